"""The Swin Transformer (arXiv:2103.14030), and its second version (arXiv:2111.09883)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..completion import adaptation
from ..completion.combinations import (
    check_target_units,
    check_temperature,
    require_positive,
    require_rates,
    require_size,
)
from ..errors import UserError
from ..modality import IMAGE
from ..models.blocks import Block
from ..models.configuration_swin import SwinTransformerConfig
from ..models.modeling_swin import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    SwinTransformerModel,
)
from ..models.modeling_swin_heads import SwinTransformerForMaskedImageModeling
from ..models.shapes import pair
from .base import OF_TRAINING, Converter, Family, PublishedFiles, Steps


def check_stages(config: Any) -> None:
    """Each stage has blocks, and heads that divide its width."""
    depths, heads = config.depths, config.num_heads
    if not depths or len(depths) != len(heads):
        raise UserError(
            f"depths={depths} and num_heads={heads} must name one number for each stage, so equally many and at least "
            "one."
        )
    if min(depths) <= 0 or min(heads) <= 0:
        raise UserError(f"depths={depths} and num_heads={heads} must all be greater than 0.")
    require_positive(config, "embed_dim")
    for stage, count in enumerate(heads):
        if (width := config.embed_dim * 2**stage) % count:
            raise UserError(
                f"Stage {stage + 1} is embed_dim={config.embed_dim} times {2**stage} wide, which num_heads={heads} "
                f"does not divide: {width} into {count}; take another number there, or embed_dim="
                f"{config.embed_dim + -config.embed_dim % count}."
            )


def check_swin_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "mlp_ratio", "layer_norm_eps", "initializer_range")
    require_rates(config)
    require_size(config, "image_size", "patch_size")
    require_size(config, "window_size", sides="one number of patches, or [rows, columns]")
    sizes = config.pretrained_window_sizes
    if sizes is not None and (len(sizes) != len(config.depths) or min(sizes) < 0):
        raise UserError(
            f"pretrained_window_sizes={sizes} must name one number of patches for each of {len(config.depths)} stages, "
            "0 where the window is the one it was learned with."
        )
    if sizes is not None and config.position_bias == "table":
        raise UserError(
            f"pretrained_window_sizes={sizes} are for position_bias='continuous'; tables of biases are resampled when "
            "window_size changes at load."
        )
    if int(config.mlp_ratio * config.embed_dim) < 1:
        raise UserError(f"mlp_ratio={config.mlp_ratio} of embed_dim={config.embed_dim} leaves no width; take more.")


class SwinTransformer(Family):
    name = "swin"
    title = "Swin Transformer"
    modality = IMAGE
    config_class = SwinTransformerConfig
    classes = {
        "AutoModel": SwinTransformerModel,
        "AutoModelForImageClassification": SwinTransformerForImageClassification,
        "AutoModelForMaskedImageModeling": SwinTransformerForMaskedImageModeling,
        "AutoBackbone": SwinTransformerBackbone,
    }
    # Of both versions, whose parts mix.
    papers = r"""
@inproceedings{liu2021swin,
  title = {Swin Transformer: Hierarchical Vision Transformer using Shifted Windows},
  author = {Liu, Ze and Lin, Yutong and Cao, Yue and Hu, Han and Wei, Yixuan and Zhang, Zheng and Lin, Stephen and
            Guo, Baining},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year = {2021},
  url = {https://arxiv.org/abs/2103.14030}
}

@inproceedings{liu2022swin,
  title = {Swin Transformer V2: Scaling Up Capacity and Resolution},
  author = {Liu, Ze and Hu, Han and Lin, Yutong and Yao, Zhuliang and Xie, Zhenda and Wei, Yixuan and Ning, Jia and
            Cao, Yue and Zhang, Zheng and Dong, Li and Wei, Furu and Guo, Baining},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2022},
  url = {https://arxiv.org/abs/2111.09883}
}
"""
    checks = (check_stages, check_swin_numbers, check_temperature, check_target_units)
    adapts = ("image_size", "patch_size", "window_size", "num_channels")
    adapters = (adaptation.adapt_patches, adaptation.adapt_positions, adaptation.adapt_window_biases)
    changeable = (*OF_TRAINING, "pretrained_window_sizes")
    layer_classes = (Block,)

    def layers_of(self, config: Any) -> str:
        return f"{sum(config.depths)} layers in {len(config.depths)} stages, which end {config.hidden_size} wide"

    def open_sizes(self, config: Any) -> Mapping[int, Steps]:
        """Any of which the last stage has more than one patch; none where positions are added, whose grid is compared
        with that of the image."""
        if config.ape:
            return {}
        down, across = (side << len(config.depths) - 1 for side in pair(config.patch_size))
        return {2: Steps("height", 1, down + 1, 8192), 3: Steps("width", 1, across + 1, 8192)}

    def timm_converter(self) -> Converter:
        from ..conversion.timm import swin

        return Converter(
            swin.takes, swin.NAMES, swin.to_ours, swin.to_theirs, swin.runnable, swin.unsupported_by_timm, [swin.EPS]
        )

    def transformers_converter(self) -> Converter:
        from ..conversion.transformers import swin

        return Converter(
            swin.takes, swin.NAMES, swin.to_ours, swin.to_theirs, swin.runnable, swin.unsupported_by_transformers
        )

    def original_files(self) -> Sequence[PublishedFiles]:
        from ..conversion.original import peers, swin

        return (
            PublishedFiles("Swin", swin.ANCHOR, swin.find_swin, peers.of_swin),
            PublishedFiles("Swin V2", swin.ANCHOR_V2, swin.find_swin_v2, peers.of_swin),
        )

    def benchmark(self) -> Any:
        from ..commands.benchmark.swin import BENCHMARKED

        return BENCHMARKED
