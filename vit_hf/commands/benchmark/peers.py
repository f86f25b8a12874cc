"""The same Vision Transformer, built by each library that is installed."""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from ... import __version__
from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_vit import VisionTransformerForImageClassification
from .operations import Numbers
from .operators import make_torchvision_importable

OURS = "vit_hf"


class Logits(nn.Module):
    """A model of the transformers kind, as a function from pixels to logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels).logits


def config_fields(numbers: Numbers) -> dict[str, Any]:
    """The numbers in the words that transformers' configurations and ours share."""
    return {
        "image_size": numbers.side,
        "patch_size": numbers.patch,
        "hidden_size": numbers.width,
        "num_hidden_layers": numbers.layers,
        "num_attention_heads": numbers.heads,
        "intermediate_size": numbers.inner,
        "num_labels": numbers.labels,
        "attn_implementation": "sdpa",
    }


def build_ours(numbers: Numbers) -> Logits:
    return Logits(VisionTransformerForImageClassification(VisionTransformerConfig(**config_fields(numbers))))


def build_transformers(numbers: Numbers) -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return Logits(ViTForImageClassification(ViTConfig(**config_fields(numbers))))


def build_timm(numbers: Numbers) -> nn.Module:
    return import_module("timm.models.vision_transformer").VisionTransformer(
        img_size=numbers.side,
        patch_size=numbers.patch,
        embed_dim=numbers.width,
        depth=numbers.layers,
        num_heads=numbers.heads,
        mlp_ratio=numbers.inner / numbers.width,
        num_classes=numbers.labels,
    )


def build_vit_pytorch(numbers: Numbers) -> nn.Module:
    return import_module("vit_pytorch").ViT(
        image_size=numbers.side,
        patch_size=numbers.patch,
        dim=numbers.width,
        depth=numbers.layers,
        heads=numbers.heads,
        dim_head=numbers.width // numbers.heads,
        mlp_dim=numbers.inner,
        num_classes=numbers.labels,
    )


BUILDERS: dict[str, Callable[[Numbers], nn.Module]] = {
    OURS: build_ours,
    "transformers": build_transformers,
    "timm": build_timm,
    "vit-pytorch": build_vit_pytorch,
}


def installed_version(library: str) -> str | None:
    """None where it is not installed."""
    if library.startswith(OURS):
        return __version__
    try:
        return version(library)
    except PackageNotFoundError:
        return None


@contextmanager
def libraries_beside(folder: Path | None):
    """Look for libraries in `folder` too (`pip install --target`), and let torchvision be imported from there.

    Raises: FileNotFoundError where there is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} of peers; make one with `make {folder}/.installed`.")
    found = [] if folder is None else [str(folder.resolve())]
    sys.path[:0] = found
    try:
        make_torchvision_importable()
        yield
    finally:
        for place in found:
            sys.path.remove(place)
