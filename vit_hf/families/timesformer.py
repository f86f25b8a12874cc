"""TimeSformer (arXiv:2102.05095)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..completion import adaptation
from ..completion.combinations import (
    check_heads,
    check_layer_scale,
    check_patch_grid,
    check_positions,
    check_target_units,
    check_temperature,
    require_positive,
    require_rates,
)
from ..errors import UserError
from ..modality import VIDEO
from ..models.blocks import Block
from ..models.configuration_timesformer import TimeSformerConfig
from ..models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel
from ..models.video_processing_timesformer import TimeSformerVideoProcessor
from .base import Converter, Family, PublishedFiles, Steps, open_patches


def check_timesformer_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "num_frames", "hidden_size", "num_hidden_layers", "num_attention_heads")
    require_positive(config, "intermediate_size", "layer_norm_eps", "initializer_range")
    require_rates(config)


def check_space_and_time(config: Any) -> None:
    kind = config.attention_type
    if kind == "joint_space_time" and config.position_embedding == "rotary":
        raise UserError(
            "position_embedding='rotary' turns tokens by place or by frame, which attention_type='joint_space_time' "
            "does not hold apart; take position_embedding='learned', or attention_type='divided_space_time'."
        )
    if kind != "divided_space_time" and config.class_attention == "all":
        raise UserError(
            f"class_attention='all' is a form of 'divided_space_time'; leave it out with attention_type={kind!r}."
        )


class TimeSformer(Family):
    name = "timesformer"
    title = "TimeSformer"
    modality = VIDEO
    config_class = TimeSformerConfig
    classes = {
        "AutoModel": TimeSformerModel,
        "AutoModelForVideoClassification": TimeSformerForVideoClassification,
    }
    video_processor = TimeSformerVideoProcessor
    papers = r"""
@inproceedings{bertasius2021space,
  title = {Is Space-Time Attention All You Need for Video Understanding?},
  author = {Bertasius, Gedas and Wang, Heng and Torresani, Lorenzo},
  booktitle = {International Conference on Machine Learning},
  year = {2021},
  url = {https://arxiv.org/abs/2102.05095}
}
"""
    checks = (
        check_heads,
        check_timesformer_numbers,
        check_layer_scale,
        check_patch_grid,
        check_positions,
        check_space_and_time,
        check_temperature,
        check_target_units,
    )
    adapts = ("image_size", "patch_size", "num_frames", "num_channels")
    adapters = (
        adaptation.adapt_patches,
        adaptation.adapt_frames,
        adaptation.adapt_clip_positions,
        adaptation.adapt_positions,
    )
    layer_classes = (Block,)

    def open_sizes(self, config: Any) -> Mapping[int, Steps]:
        """Frames and patches; of rotary positions frames alone, as their table of places is made while tracing."""
        if config.position_embedding == "rotary":
            return {1: Steps("frames", 1, 1, 1024)}
        several = {1: Steps("frames", 1, 2, 1024)} if config.num_frames > 1 else {}
        return {**several, **open_patches(config, 3)}

    def transformers_converter(self) -> Converter:
        from ..conversion.transformers import timesformer as one

        return Converter(
            one.takes, one.NAMES, one.to_ours, one.to_theirs, one.runnable, one.unsupported_by_transformers
        )

    def original_files(self) -> Sequence[PublishedFiles]:
        from ..conversion.original import peers
        from ..conversion.original import timesformer as one

        facebook, lucidrains = (one.find_facebook, peers.of_facebook), (one.find_lucidrains, peers.of_lucidrains)
        return (
            PublishedFiles("TimeSformer, space_only", one.APART, *facebook, one.under_space_alone),
            PublishedFiles("TimeSformer", one.ANCHOR, *facebook),
            PublishedFiles("TimeSformer, joint", one.JOINT, *facebook),
            PublishedFiles("timesformer-pytorch", one.LUCIDRAINS, *lucidrains),
            PublishedFiles("timesformer-pytorch, shifted", one.SHIFTED, *lucidrains),
        )

    def benchmark(self) -> Any:
        from ..commands.benchmark.timesformer import BENCHMARKED

        return BENCHMARKED
