"""One piece of inference or training: everyone who runs the same work, in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch

from ..measure import COUNTED_OPERATIONS, Mode
from ..peers import OURS
from ..timing import Seconds, speed_ratio
from ..workloads import Call, peak_memory_of_call
from .samples import Spread, clear_up, in_turns, one_line, wait_for, warm
from .sizes import How, Variant, Workload


def variants_of(workload: Workload, mode: Mode, batch: int, *, compiling: bool) -> list[Variant]:
    """Everyone as written; compiled ours always, and peers at one batch; of one image ours also as a CUDA graph."""
    found = []
    for library in workload.libraries(mode):
        ways: list[How] = ["eager"]
        ours = library.startswith(OURS)
        if compiling and (ours or (workload.beside and (mode == "training" or batch == workload.compared))):
            ways.append("compiled")
        if compiling and ours and batch == 1 and mode == "inference":
            ways.append("graphs")
        found += [Variant(workload, library, mode, how, batch) for how in ways]
    return found


@cache
def operations_of(workload: Workload, mode: Mode) -> int:
    """Counted, of one image, or of one clip."""
    with torch.device("meta"):
        model: Any = workload.benchmarked.builders[OURS](workload.numbers)
    return COUNTED_OPERATIONS[mode](model.model)


def utilization(images_per_second: float, operations: int, product_rate: float | None) -> float | None:
    """The operations done, over those of matrix products alone on the same card; None where nobody measured these."""
    return None if product_rate is None else images_per_second * operations / product_rate


@dataclass
class Ready:
    """Built and warm. held: bytes of its weights and of what its optimizer keeps; peak: with all that a call adds."""

    call: Call
    held: int
    peak: int


def allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def make_ready(variant: Variant, pixels: torch.Tensor) -> Ready:
    device, before = pixels.device, allocated(pixels.device)
    model = variant.build(device)
    call = variant.call(model, pixels)
    warm(call, device)
    held = allocated(device) - before
    if device.type != "cuda":
        held = sum(parameter.nbytes for parameter in model.parameters())
    peak = held + peak_memory_of_call(call, device)
    wait_for(device)
    return Ready(call, held, peak)


def in_words(variant: Variant) -> str:
    return f"{variant.library}, {variant.how}"


def measure_variants(
    variants: Sequence[Variant],
    device: torch.device,
    *,
    rounds: int,
    at_least: float,
    product_rate: float | None,
    failed: Mapping[Variant, str | None],
) -> dict[str, Any]:
    """-> rows: of each variant its figures, or its error. failed: those that could not be compiled, and why."""
    first = variants[0]
    pixels = first.pixels(device).to(torch.bfloat16 if first.mode == "inference" else torch.float32)
    ready: dict[Variant, Ready] = {}
    errors: dict[Variant, str] = {}
    try:
        for variant in variants:
            if (why := failed.get(variant)) is not None:
                errors[variant] = f"compiling failed: {why}"
                continue
            try:
                ready[variant] = make_ready(variant, pixels)
            except Exception as error:  # noqa: BLE001 (another library's, or out of memory: others go on)
                errors[variant] = one_line(error)
                if device.type == "cuda":
                    torch.cuda.empty_cache()
        calls = {in_words(variant): one.call for variant, one in ready.items()}
        seconds = in_turns(calls, device, rounds=rounds, at_least=at_least) if calls else {}
        operations = operations_of(first.workload, first.mode)
        own = {variant: seconds[in_words(variant)] for variant in ready}
        rows = [
            row_of(variant, own, ready[variant], operations, product_rate)
            if variant in own
            else {"library": variant.library, "how": variant.how, "error": errors[variant]}
            for variant in variants
        ]
        return {"operations": operations, "rows": rows}
    finally:
        ready.clear()
        clear_up(device)


def row_of(
    variant: Variant, seconds: Mapping[Variant, Seconds], ready: Ready, operations: int, product_rate: float | None
) -> dict[str, Any]:
    """alike: how many times as fast vit_hf is run in the same way; best: and in its own fastest way."""
    own = seconds[variant]
    time = Spread.of(own)
    speed = variant.batch / time.median
    row: dict[str, Any] = {
        "library": variant.library,
        "how": variant.how,
        "milliseconds": asdict(Spread.of([1000 * one for one in own])),
        "images_per_second": asdict(Spread.of([variant.batch / one for one in own])),
        "utilization": utilization(speed, operations, product_rate),
        "memory": ready.peak,
    }
    if variant.library.startswith(OURS):
        return row
    ours = {one: times for one, times in seconds.items() if one.library.startswith(OURS)}
    alike = next((times for one, times in ours.items() if one.library == OURS and one.how == variant.how), None)
    best = min(ours.values(), key=lambda times: Spread.of(times).median, default=None)
    row["alike"] = None if alike is None else asdict(speed_ratio(alike, own))
    row["best"] = None if best is None else asdict(speed_ratio(best, own))
    return row
