"""Files of TimeSformers in models of other libraries that compute the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..models.configuration_timesformer import TimeSformerConfig
from ..models.modeling_timesformer import TimeSformerForVideoClassification
from ..models.shapes import pair
from .optional import required
from .parity import Outputs, Runnable
from .rules import translate, under, weight_and_bias
from .timesformer_rules import FACEBOOK, trunk_table
from .timesformer_transformers import convert_to_transformers, transformers_runnable


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
    model = required("timesformer_pytorch", "timesformer-pytorch").TimeSformer(
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
