"""The same Swin Transformer, built by each library that is installed."""

from importlib import import_module

from torch import nn

from ...models.configuration_swin import SwinTransformerConfig
from ...models.modeling_swin import SwinTransformerForImageClassification
from ...training.operations import SwinNumbers
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
    return Logits(SwinTransformerForImageClassification(SwinTransformerConfig(**config_fields(numbers))))


def build_transformers(numbers: SwinNumbers) -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    return Logits(SwinForImageClassification(SwinConfig(**config_fields(numbers))))


def build_timm(numbers: SwinNumbers) -> nn.Module:
    return import_module("timm.models.swin_transformer").SwinTransformer(
        img_size=numbers.side,
        patch_size=numbers.patch,
        embed_dim=numbers.width,
        depths=numbers.depths,
        num_heads=numbers.heads,
        window_size=numbers.window,
        mlp_ratio=numbers.ratio,
        drop_path_rate=RATE,
        num_classes=numbers.labels,
    )


BUILDERS = {OURS: build_ours, "transformers": build_transformers, "timm": build_timm}
