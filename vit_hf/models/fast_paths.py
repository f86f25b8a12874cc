"""What only saves time. A reader may skip this file: each function has a plain form, which `plain_forms` brings back.

Memory that nobody looks at again is reused, and tokens that no output depends on are not computed. The numbers are the
same. What saves time in windows lies in fast_windows.py.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

ENABLED = True


@contextmanager
def plain_forms() -> Iterator[None]:
    """Within it, models compute everything as the papers write it."""
    global ENABLED
    before, ENABLED = ENABLED, False
    try:
        yield
    finally:
        ENABLED = before


def enabled() -> bool:
    return ENABLED


def recording() -> bool:
    """Whether a graph is made of what is computed, which must be the same graph whatever was computed before."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def hooked(modules: Iterable[nn.Module | None]) -> bool:
    """Whether someone is called with what one of these gives. A compiler keeps to what it has seen."""
    return not torch.compiler.is_compiling() and any(module is not None and module._forward_hooks for module in modules)


def gelu(hidden: Tensor, linear: nn.Module) -> Tensor:
    """... -> ...: GELU in the memory of what `linear` gave, the largest tensor of a model, where only it holds it."""
    parts = (linear, *linear._modules.values())  # adapters are parts of the Linear that they adapt
    if not ENABLED or hidden.requires_grad or recording() or hooked(parts):
        return functional.gelu(hidden)
    return functional.gelu(hidden, out=hidden)  # pyright: ignore[reportCallIssue] (its stub leaves `out` out)


def needed_queries(layers: nn.ModuleList, count: int | None) -> list[int | None]:
    """How many tokens of each layer must look at the others: all (None), but of the last layer only the first `count`
    where no output and no hook shows more of them."""
    *early, last = layers
    alone = ENABLED and count is not None and not hooked(last.modules())
    return [None] * len(early) + [count if alone else None]
