"""The files in which Vision Transformers were first published, as ours; which is which is told by their keys."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import UserError, first_few
from ...modality import modality_of
from ..core.checkpoint_files import open_checkpoint, under_prefix
from ..core.infer_config import Found, build
from ..core.preprocessing import for_channels
from .google import ANCHOR as GOOGLE
from .google import find_google, under_google_prefix
from .swin import ANCHOR as SWIN
from .swin import ANCHOR_V2 as SWIN_V2
from .swin import find_swin, find_swin_v2
from .timesformer import ANCHOR as FACEBOOK
from .timesformer import APART, JOINT, LUCIDRAINS, SHIFTED, find_facebook, find_lucidrains
from .timm import ANCHOR as TIMM
from .timm import find_timm
from .torchvision import ANCHOR as TORCHVISION
from .torchvision import find_torchvision

logger = logging.getLogger(__name__)

FINDERS = {
    "swin": (SWIN, find_swin),
    "swin, v2": (SWIN_V2, find_swin_v2),
    "timesformer": (FACEBOOK, find_facebook),
    "timesformer, joint": (JOINT, find_facebook),
    "timesformer-pytorch": (LUCIDRAINS, find_lucidrains),
    "timesformer-pytorch, shifted": (SHIFTED, find_lucidrains),
    "timm": (TIMM, find_timm),
    "torchvision": (TORCHVISION, find_torchvision),
}


def from_original(source: str | Path, *, part: str | None = None, **words: Any) -> Any:
    """Our classifier with the weights of a published file; without a head in it, our model of its tokens.

    source: an .npz of Google's (AugReg, ViT, SigLIP), a .pth of DeiT, DeiT III, MAE, DINO, DINOv2 or Swin, a .pyth of
        TimeSformer or a .pt of lucidrains', a state dict of torchvision's vit_*, in any form that `open_checkpoint`
        reads.
    part: which of several state dicts in the file, as "student".
    words: fields of our configuration that the weights do not tell, or that hold over what they seem to tell:
        num_attention_heads, image_size where it is no square, num_labels=0 to leave the head out, and
        attention_type="space_only" of a TimeSformer that looks like any ViT, ...

    Raises: UserError for other files, for what our words cannot say, and for keys that no rule covers.
    """
    ours, notes, _, _ = convert_from_original(source, part=part, **words)
    for note in notes:
        logger.warning("%s: %s", source, note)
    return ours


def convert_from_original(
    source: str | Path, *, part: str | None = None, **words: Any
) -> tuple[Any, list[str], str, Found]:
    """-> our model, what was left out or assumed, whose file it is, and what was found in it."""
    kind, found, left = recognize(open_checkpoint(source, part=part), source, words)
    beside = [f"left out, beside the model: {first_few(left)}"] if left else []
    return build(found, words), [*found.notes, *beside], kind, found


def processor_of(images: dict[str, Any], config: Any) -> Any:
    """The processor of the authors, whose numbers are of colors; other channels take over what theirs say."""
    channels = config.num_channels
    numbers = {name: for_channels(images[name], channels) for name in ("mean", "std")}
    return modality_of(config).make_processor(config, **{**images, **numbers})


def recognize(state: Mapping[str, Tensor], source: Any, said: Mapping[str, Any]) -> tuple[str, Found, list[str]]:
    """-> whose file it is, what the weights are, and the keys that belong to something else."""
    if said.get("attention_type") == "space_only" and (found := under_prefix(state, APART)) is not None:
        return "timesformer", find_facebook(found[0], said), found[1]
    if (google := under_google_prefix(state)) is not None:
        return "google", find_google(google[0], said), google[1]
    for kind, (anchor, find) in FINDERS.items():
        if (found := under_prefix(state, anchor)) is not None:
            return kind, find(found[0], said), found[1]
    raise UserError(
        f"{source} holds no Vision Transformer that is known here: its keys are {first_few(state)}. Known are files of "
        f"Google ({GOOGLE}), of timm, DeiT, MAE and DINO ({TIMM}), of Swin ({SWIN}, {SWIN_V2}), of TimeSformer "
        f"({FACEBOOK}, {LUCIDRAINS}) and of torchvision ({TORCHVISION}); from_vit_pytorch reads those of vit-pytorch, "
        "from_transformers and from_timm their folders."
    )
