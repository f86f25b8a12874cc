"""The files in which Vision Transformers were first published, as ours; which is which is told by their keys."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import UserError, first_few
from ...families import FAMILIES, Family
from ...families.base import PublishedFiles
from ...modality import modality_of
from ..core.checkpoint_files import open_checkpoint, under_prefix
from ..core.infer_config import Found, build_model
from ..core.preprocessing import for_channels

logger = logging.getLogger(__name__)


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
) -> tuple[Any, list[str], PublishedFiles, Found]:
    """-> our model, what was left out or assumed, whose file it is, and what was found in it."""
    family, files, (state, left) = recognize(open_checkpoint(source, part=part), source, words)
    found = files.find(state, words)
    beside = [f"left out, beside the model: {first_few(left)}"] if left else []
    return build_model(family, found, words), [*found.notes, *beside], files, found


def authors_processor(images: dict[str, Any], config: Any) -> Any:
    """The processor of the authors, whose numbers are of colors; other channels take over what theirs say."""
    channels = config.num_channels
    numbers = {name: for_channels(images[name], channels) for name in ("mean", "std")}
    return modality_of(config).make_processor(config, **{**images, **numbers})


def recognize(
    state: Mapping[str, Tensor], source: Any, said: Mapping[str, Any]
) -> tuple[Family, PublishedFiles, tuple[Mapping[str, Tensor], list[str]]]:
    """-> whose file it is, its weights without a prefix, and the keys that belong to something else.

    The plainest family, whose keys others have among theirs, is asked last.
    """
    published = [(family, files) for family in reversed(FAMILIES.values()) for files in family.original_files()]
    for family, files in published:
        found = under_prefix(state, files.anchor) if files.under is None else files.under(state, said)
        if found is not None:
            return family, files, found
    known = ", ".join(f"{files.kind} ({files.anchor})" for _, files in published)
    raise UserError(
        f"{source} holds no Vision Transformer that is known here: its keys are {first_few(state)}. Known are files of "
        f"{known}; from_vit_pytorch reads those of vit-pytorch, from_transformers and from_timm their folders."
    )
