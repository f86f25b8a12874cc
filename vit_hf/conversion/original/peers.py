"""Weights alone in the model of a library that reads them too, where it is installed, so that ours can be compared."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import require_library
from ...models.configuration_timesformer import TimeSformerConfig
from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_timesformer import TimeSformerForVideoClassification
from ...models.shapes import pair
from ..core.parity import Outputs, Runnable
from ..core.rules import translate, under, weight_and_bias
from ..core.swin_rules import version_of
from ..core.timesformer_rules import FACEBOOK, trunk_table
from ..timm import swin as swin_timm
from ..timm import vit as vit_timm
from ..timm.vit_config import timm_arguments
from ..transformers.convert import convert_to_transformers, transformers_runnable
from .vit_pytorch import vit_pytorch_runnable

Peer = Callable[[Any, Mapping[str, Tensor], Path, bool], Runnable | None]


def peer_of(kind: str, peer: Peer, config: Any, state: Mapping[str, Tensor], path: Path, head: bool) -> Any:
    """-> the other model, or a sentence that says why there is none to compare with.

    kind, peer: of the published files. state: the weights under the names of their library. head: whether a classifier
    is among them.
    """
    try:
        found = peer(config, state, path, head)
    except (ValueError, RuntimeError, KeyError) as error:
        return f"nothing was compared: {error}"
    return found or f"nothing was compared: no other library builds this {kind} model"


def of_torchvision(
    config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool
) -> Runnable | None:
    if not head:
        return None
    module = require_library("torchvision.models.vision_transformer", "torchvision")
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


def build_timm_vit(config: VisionTransformerConfig, *, head: bool, no_embed_class: bool) -> Any:
    arguments = timm_arguments(config, pooled=True, no_embed_class=no_embed_class)
    if not head:
        arguments["num_classes"] = 0
    return require_library("timm", "timm").models.vision_transformer.VisionTransformer(**arguments)


def of_timm(config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    """Registers of DINOv2, and DeiT's distillation token, are added in other places than timm's ViT adds them."""
    if config.num_register_tokens:
        return None
    rows, (down, across) = state["pos_embed"].shape[1], config.patch_grid
    model = build_timm_vit(config, head=head, no_embed_class=rows == down * across)
    model.load_state_dict({key: state[key] for key in model.state_dict()})
    return vit_timm.runnable(model.eval())


def of_swin(config: Any, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    """timm reads Microsoft's names by itself."""
    models = require_library("timm", "timm").models
    if version_of(config) == 1:
        module, build = models.swin_transformer, models.SwinTransformer
    else:
        module, build = models.swin_transformer_v2, models.SwinTransformerV2
    model = build(**swin_timm.timm_arguments(config, head=head))
    model.load_state_dict(module.checkpoint_filter_fn(dict(state), model))
    return swin_timm.runnable(model.eval())


def of_google(config: VisionTransformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    if config.position_embedding != "learned":
        return None
    model = build_timm_vit(config, head=head, no_embed_class=False)
    model.load_pretrained(str(path))
    return vit_timm.runnable(model.eval())


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
    library = require_library("vit_pytorch", "vit-pytorch")
    if "pos_embedding" in state:
        model: nn.Module = library.ViT(**sizes, pool="cls" if config.class_token else "mean")
    else:
        model = library.SimpleViT(**sizes)
    model.load_state_dict(dict(state))
    return vit_pytorch_runnable(model.eval())


def as_pair(size: Any) -> Any:
    return size if isinstance(size, int) else tuple(size)


def of_facebook(config: TimeSformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    """transformers' model, which is the same function; the original itself is no library."""
    if not head or config.attention_type == "space_only":
        return None
    ours = TimeSformerForVideoClassification(config)
    table = [*under(trunk_table(FACEBOOK, config), ours="timesformer."), *weight_and_bias(FACEBOOK.head, "classifier")]
    ours.load_state_dict(translate(state, table, config.num_hidden_layers))
    return transformers_runnable(convert_to_transformers(ours)[0].eval())


def of_lucidrains(config: TimeSformerConfig, state: Mapping[str, Tensor], path: Path, head: bool) -> Runnable | None:
    if not head:
        return None
    model = require_library("timesformer_pytorch", "timesformer-pytorch").TimeSformer(
        dim=config.hidden_size,
        num_frames=config.num_frames,
        num_classes=config.num_labels,
        image_size=pair(config.image_size)[0],
        patch_size=pair(config.patch_size)[0],
        channels=config.num_channels,
        depth=config.num_hidden_layers,
        heads=config.num_attention_heads,
        dim_head=config.attention_head_size,
        rotary_emb=config.position_embedding == "rotary",
    )
    model.load_state_dict(dict(state))
    return lucidrains_runnable(model.eval())


def lucidrains_runnable(model: Any) -> Runnable:
    """Its blocks are lists, which run nothing: what the last part of each adds to what it was given passes by."""
    blocks = [nn.Identity() for _ in model.layers]

    def run(pixel_values: Tensor) -> Outputs:
        def show(block: nn.Module, given: Any, output: Tensor) -> None:
            block(output + given[0])

        handles = [
            parts[-1].register_forward_hook(lambda module, given, output, block=block: show(block, given, output))
            for parts, block in zip(model.layers, blocks, strict=True)
        ]
        try:
            return Outputs(None, model(pixel_values))
        finally:
            for handle in handles:
                handle.remove()

    return Runnable(model, blocks, run)
