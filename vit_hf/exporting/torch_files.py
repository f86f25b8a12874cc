"""Programs of torch.export, and what AOTInductor makes of them."""

from pathlib import Path

import torch

from .graphs import Graph, without_warnings


def write_torch(graph: Graph, path: Path) -> None:
    with without_warnings():
        torch.export.save(graph.trace(), path)


def write_compiled(graph: Graph, path: Path) -> None:
    """Machine code for this processor; needs a C++ compiler."""
    with without_warnings():
        torch._inductor.aoti_compile_and_package(graph.trace(), package_path=str(path))
