"""The Vision Transformer (arXiv:2010.11929)."""

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
from ..modality import IMAGE
from ..models.blocks import Block
from ..models.configuration_vit import VisionTransformerConfig
from ..models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from ..models.modeling_vit_heads import VisionTransformerBackbone, VisionTransformerForMaskedImageModeling
from .base import OF_TRAINING, Converter, Family, PublishedFiles, Steps, open_patches


def check_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads")
    require_positive(config, "intermediate_size", "layer_norm_eps", "initializer_range", "rope_theta")
    require_rates(config)
    if config.num_register_tokens < 0:
        raise UserError(f"num_register_tokens={config.num_register_tokens} must be 0 or more.")


def check_patch_norm(config: Any) -> None:
    if config.dual_patch_norm and config.patch_embedding == "conv":
        raise UserError(
            "dual_patch_norm=True normalizes flattened patches, which patch_embedding='conv' never has; "
            "take patch_embedding='linear'."
        )


def check_pooling(config: Any) -> None:
    if config.pooling in ("cls", "cls_mean") and not config.class_token:
        raise UserError(
            f"pooling={config.pooling!r} needs class_token=True; without it take pooling='mean' or 'attention'."
        )
    if config.pooling == "cls_mean" and (config.final_norm == "pooled" or config.add_pooling_layer):
        raise UserError(
            "pooling='cls_mean' is twice as wide as a token, which final_norm='pooled' and add_pooling_layer=True are "
            "not made for; take final_norm='tokens' and add_pooling_layer=False, or pooling='mean'."
        )
    if config.pooling.startswith("attention") and config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"pooling={config.pooling!r} divides hidden_size={config.hidden_size} into heads, which "
            f"num_attention_heads={config.num_attention_heads} does not; take another number, or pooling='mean'."
        )


def check_distillation(config: Any) -> None:
    """Its token is a register beside the class token, normalized with all others."""
    plain = config.pooling == "cls" and config.final_norm == "tokens" and not config.add_pooling_layer
    if config.distillation_token and not (plain and config.num_register_tokens):
        raise UserError(
            "distillation_token=True makes the first register answer beside the class token; it takes pooling='cls', "
            "final_norm='tokens', add_pooling_layer=False and num_register_tokens=1 or more."
        )


class VisionTransformer(Family):
    name = "vit"
    title = "Vision Transformer"
    modality = IMAGE
    config_class = VisionTransformerConfig
    classes = {
        "AutoModel": VisionTransformerModel,
        "AutoModelForImageClassification": VisionTransformerForImageClassification,
        "AutoModelForMaskedImageModeling": VisionTransformerForMaskedImageModeling,
        "AutoBackbone": VisionTransformerBackbone,
    }
    papers = r"""
@inproceedings{dosovitskiy2021image,
  title = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
  author = {Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua and
            Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and Gelly, Sylvain and
            Uszkoreit, Jakob and Houlsby, Neil},
  booktitle = {International Conference on Learning Representations},
  year = {2021},
  url = {https://arxiv.org/abs/2010.11929}
}
"""
    # The first that refuses is heard.
    checks = (
        check_heads,
        check_numbers,
        check_layer_scale,
        check_patch_grid,
        check_patch_norm,
        check_pooling,
        check_positions,
        check_distillation,
        check_temperature,
        check_target_units,
    )
    adapts = ("image_size", "patch_size", "num_channels", "pooling")
    adapters = (
        adaptation.adapt_patches,
        adaptation.adapt_positions,
        adaptation.adapt_grid_biases,
        adaptation.adapt_pooled_width,
    )
    changeable = (*OF_TRAINING, "pooling", "add_pooling_layer", "partial_patches")
    layer_classes = (Block,)

    def open_sizes(self, config: Any) -> Mapping[int, Steps]:
        return {} if config.partial_patches == "cut" else open_patches(config, 2)

    def timm_converter(self) -> Converter:
        from ..conversion.timm import vit, vit_config

        return Converter(
            vit.takes,
            vit.NAMES,
            vit.to_ours,
            vit.to_theirs,
            vit.runnable,
            unsupported=vit_config.unsupported_by_timm,
            saved_eps=[*vit.ARCHITECTURES],
        )

    def transformers_converter(self) -> Converter:
        from ..conversion.transformers import vit_config, vit_export, vit_import

        names = [*vit_config.WORDS]
        return Converter(vit_import.takes, names, vit_import.to_ours, vit_export.to_theirs, vit_import.runnable)

    def original_files(self) -> Sequence[PublishedFiles]:
        from ..conversion.original import google, peers, timm, torchvision

        of_google = google.under_google_prefix
        return (
            PublishedFiles("Google", google.ANCHOR, google.find_google, peers.of_google, of_google),
            PublishedFiles("timm, DeiT, MAE and DINO", timm.ANCHOR, timm.find_timm, peers.of_timm),
            PublishedFiles("torchvision", torchvision.ANCHOR, torchvision.find_torchvision, peers.of_torchvision),
        )

    def benchmark(self) -> Any:
        from ..commands.benchmark.vit import BENCHMARKED

        return BENCHMARKED
