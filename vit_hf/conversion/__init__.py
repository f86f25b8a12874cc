"""From any pretrained Vision Transformer, and to the libraries where people already are."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .original.convert import from_original
    from .original.vit_pytorch import from_vit_pytorch
    from .pretrained import load_any
    from .timm.convert import from_timm, to_timm
    from .transformers.convert import from_transformers, to_transformers

# What is public, and the module that is imported when it is first asked for.
WHERE = {
    "from_original": "original.convert",
    "from_timm": "timm.convert",
    "from_transformers": "transformers.convert",
    "from_vit_pytorch": "original.vit_pytorch",
    "load_any": "pretrained",
    "to_timm": "timm.convert",
    "to_transformers": "transformers.convert",
}
__all__ = [
    "from_original",
    "from_timm",
    "from_transformers",
    "from_vit_pytorch",
    "load_any",
    "to_timm",
    "to_transformers",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
