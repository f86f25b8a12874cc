"""The same Swin Transformer, or Swin V2, built by each library that is installed."""

from importlib import import_module
from typing import Any

from torch import nn

from ...conversion.core.swin_rules import V2_WORDS
from ...models.configuration_swin import SwinTransformerConfig
from ...models.modeling_swin import SwinTransformerForImageClassification
from .operations import SwinNumbers
from .peers import OURS, Logits

RATE = 0.2  # of stochastic depth in training, the same in all of them


def config_fields(numbers: SwinNumbers) -> dict:
    """The numbers in the words that transformers' configuration and ours share."""
    return {
        "image_size": numbers.side,
        "patch_size": numbers.patch,
        "embed_dim": numbers.width,
        "depths": list(numbers.depths),
        "num_heads": list(numbers.heads),
        "window_size": numbers.window,
        "mlp_ratio": numbers.ratio,
        "drop_path_rate": RATE,
        "num_labels": numbers.labels,
        "attn_implementation": "sdpa",
    }


def build_ours(numbers: SwinNumbers) -> nn.Module:
    words: dict[str, Any] = V2_WORDS if numbers.version == 2 else {}
    return Logits(SwinTransformerForImageClassification(SwinTransformerConfig(**config_fields(numbers), **words)))


def build_transformers(numbers: SwinNumbers) -> nn.Module:
    import transformers

    if numbers.version == 1:
        return Logits(transformers.SwinForImageClassification(transformers.SwinConfig(**config_fields(numbers))))
    fields = {**config_fields(numbers), "attn_implementation": "eager"}  # its only one
    return Logits(transformers.Swinv2ForImageClassification(transformers.Swinv2Config(**fields)))


def build_timm(numbers: SwinNumbers) -> nn.Module:
    arguments = {
        "img_size": numbers.side,
        "patch_size": numbers.patch,
        "embed_dim": numbers.width,
        "depths": numbers.depths,
        "num_heads": numbers.heads,
        "window_size": numbers.window,
        "mlp_ratio": numbers.ratio,
        "drop_path_rate": RATE,
        "num_classes": numbers.labels,
    }
    if numbers.version == 1:
        return import_module("timm.models.swin_transformer").SwinTransformer(**arguments)
    return import_module("timm.models.swin_transformer_v2").SwinTransformerV2(**arguments)


BUILDERS = {OURS: build_ours, "transformers": build_transformers, "timm": build_timm}
