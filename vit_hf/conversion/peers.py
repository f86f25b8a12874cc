"""Weights alone in the model of a library that reads them too, where it is installed, so that ours can be compared."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..models.configuration_vit import VisionTransformerConfig
from . import swin_timm
from .optional import required
from .parity import Outputs, Runnable
from .swin_rules import version_of
from .timesformer_peers import of_facebook, of_lucidrains
from .timm import timm_runnable
from .timm_config import timm_arguments
from .vit_pytorch import vit_pytorch_runnable

Peer = Callable[[Any, Mapping[str, Tensor], Path, bool], Runnable | None]


def peer_of(kind: str, config: Any, state: Mapping[str, Tensor], path: Path, head: bool) -> Any:
    """-> the other model, or a sentence that says why there is none to compare with.

    state: the weights under the names of their library. head: whether a classifier is among them.
    """
    try:
        peer = PEERS[kind](config, state, path, head)
    except (ValueError, RuntimeError, KeyError) as error:
        return f"nothing was compared: {error}"
    return peer or f"nothing was compared: no other library builds this {kind} model"


def of_torchvision(
    config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool
) -> Runnable | None:
    if not head:
        return None
    module = required("torchvision.models.vision_transformer", "torchvision")
    model = module.VisionTransformer(
        config.image_size,
        config.patch_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        config.intermediate_size,
        num_classes=config.num_labels,
        representation_size=config.hidden_size if config.add_pooling_layer else None,
    )
    model.load_state_dict(dict(state))

    def run(pixel_values: Tensor) -> Outputs:
        tokens: list[Tensor] = []
        handle = model.encoder.register_forward_hook(lambda module, given, output: tokens.append(output))
        logits = model(pixel_values)
        handle.remove()
        return Outputs(tokens[0], logits)

    return Runnable(model, list(model.encoder.layers), run)


def build_timm(config: VisionTransformerConfig, *, head: bool, no_embed_class: bool) -> Any:
    arguments = timm_arguments(config, pooled=True, no_embed_class=no_embed_class)
    if not head:
        arguments["num_classes"] = 0
    return required("timm", "timm").models.vision_transformer.VisionTransformer(**arguments)


def of_timm(config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    """Registers of DINOv2, and DeiT's distillation token, are added in other places than timm's ViT adds them."""
    if config.num_register_tokens:
        return None
    rows, (down, across) = state["pos_embed"].shape[1], config.patch_grid
    model = build_timm(config, head=head, no_embed_class=rows == down * across)
    model.load_state_dict({key: state[key] for key in model.state_dict()})
    return timm_runnable(model.eval())


def of_swin(config: Any, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    """timm reads Microsoft's names by itself."""
    models = required("timm", "timm").models
    if version_of(config) == 1:
        module, build = models.swin_transformer, models.SwinTransformer
    else:
        module, build = models.swin_transformer_v2, models.SwinTransformerV2
    model = build(**swin_timm.timm_arguments(config, head=head))
    model.load_state_dict(module.checkpoint_filter_fn(dict(state), model))
    return swin_timm.timm_runnable(model.eval())


def of_google(config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    if config.position_embedding != "learned":
        return None
    model = build_timm(config, head=head, no_embed_class=False)
    model.load_pretrained(str(path))
    return timm_runnable(model.eval())


def of_vit_pytorch(
    config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool
) -> Runnable | None:
    """Today's; earlier ones are no longer to be had beside them."""
    if "transformer.layers.0.0.to_qkv.weight" not in state or "transformer.norm.weight" not in state or not head:
        return None
    sizes = {
        "image_size": as_pair(config.image_size),
        "patch_size": as_pair(config.patch_size),
        "num_classes": config.num_labels,
        "dim": config.hidden_size,
        "depth": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "mlp_dim": config.intermediate_size,
        "channels": config.num_channels,
        "dim_head": config.attention_head_size,
    }
    library = required("vit_pytorch", "vit-pytorch")
    if "pos_embedding" in state:
        model: nn.Module = library.ViT(**sizes, pool="cls" if config.class_token else "mean")
    else:
        model = library.SimpleViT(**sizes)
    model.load_state_dict(dict(state))
    return vit_pytorch_runnable(model.eval())


def as_pair(size: Any) -> Any:
    return size if isinstance(size, int) else tuple(size)


PEERS: dict[str, Peer] = {
    "google": of_google,
    "swin": of_swin,
    "swin, v2": of_swin,
    "timesformer": of_facebook,
    "timesformer, joint": of_facebook,
    "timesformer-pytorch": of_lucidrains,
    "timm": of_timm,
    "torchvision": of_torchvision,
    "vit-pytorch": of_vit_pytorch,
}
