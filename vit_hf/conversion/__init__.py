"""From any pretrained Vision Transformer, and to the libraries where people already are."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loading import load_any
    from .original import from_original
    from .timm import from_timm, to_timm
    from .transformers import from_transformers
    from .transformers_stock import to_transformers
    from .vit_pytorch import from_vit_pytorch

# What is public, and the module that is imported when it is first asked for.
WHERE = {
    "from_original": "original",
    "from_timm": "timm",
    "from_transformers": "transformers",
    "from_vit_pytorch": "vit_pytorch",
    "load_any": "loading",
    "to_timm": "timm",
    "to_transformers": "transformers_stock",
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
