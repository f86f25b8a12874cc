"""One comparison: a size, a batch, and inference or training, by every library that is there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import torch
from torch import nn

from ...training.costs import forward_operations, training_operations
from .operations import Counted, linear_operations, products_alone
from .peers import OURS
from .timing import Ratio, interleave, speed_ratio
from .workloads import Conditions, inference, peak_memory_of_call, training

Mode = Literal["inference", "training"]
PRODUCTS = "matrix products alone"
WORKLOADS = {"inference": inference, "training": training}
COUNTED_OPERATIONS = {"inference": forward_operations, "training": training_operations}


@dataclass(frozen=True)
class Row:
    """images_per_second: at the median; share: of the rate of matrix products; memory: bytes of one call;
    ours_against_it: how many times as fast vit_hf is, None for vit_hf itself."""

    library: str
    images_per_second: float
    share: float
    memory: int
    ours_against_it: Ratio | None


@dataclass(frozen=True)
class Comparison:
    """product_rate: operations a second of the matrix products alone, in the same rounds."""

    mode: Mode
    size: str
    batch: int
    product_rate: float
    rows: list[Row]

    @property
    def against_the_best(self) -> tuple[str, Ratio] | None:
        """The fastest peer, and how many times as fast vit_hf is; None without peers."""
        peers = [row for row in self.rows if not row.library.startswith(OURS)]
        best = max(peers, key=lambda row: row.images_per_second, default=None)
        return None if best is None or best.ours_against_it is None else (best.library, best.ours_against_it)


def compare_libraries(
    builders: Mapping[str, Callable[[Any], nn.Module]],
    numbers: Counted,
    conditions: Conditions,
    *,
    mode: Mode,
    size: str,
    batch: int,
    rounds: int,
) -> Comparison:
    """Build, warm up and time all of them in turn; the products of the same shapes run along."""
    torch.manual_seed(0)
    pixels = torch.randn(batch, *numbers.shape)
    calls = {name: WORKLOADS[mode](build(numbers), pixels, conditions) for name, build in builders.items()}
    products = conditions.waiting(products_alone(numbers, batch, conditions.device, conditions.dtype))
    seconds = interleave({**calls, PRODUCTS: products}, rounds)
    memory = {name: peak_memory_of_call(call, conditions.device) for name, call in calls.items()}
    rate = batch * linear_operations(numbers) / median(seconds.pop(PRODUCTS))
    work = batch * COUNTED_OPERATIONS[mode](builders[OURS](numbers).model)
    rows = [
        Row(
            library=name,
            images_per_second=batch / median(seconds[name]),
            share=work / median(seconds[name]) / rate,
            memory=memory[name],
            ours_against_it=None if name == OURS else speed_ratio(seconds[OURS], seconds[name]),
        )
        for name in builders
    ]
    return Comparison(mode, size, batch, rate, rows)
