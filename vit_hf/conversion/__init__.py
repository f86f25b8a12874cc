"""From any pretrained Vision Transformer, and to the libraries where people already are."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .timm import from_timm, to_timm

# What is public, and the module that is imported when it is first asked for.
WHERE = {
    "from_timm": "timm",
    "to_timm": "timm",
}
__all__ = ["from_timm", "to_timm"]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
