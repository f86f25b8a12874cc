"""Models of all libraries in turn: their speed, and their memory."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import torch

from ...errors import UserError, unknown_name
from ...families import FAMILIES
from ...fewer_tokens.put_on import merge_tokens
from .measure import Mode, compare_libraries
from .peers import OURS, Logits, installed_version, libraries_beside
from .report import as_record, comparison_words, heading, write_record
from .timing import threads
from .workloads import Conditions

BATCHES: dict[tuple[str, str], list[int]] = {
    ("cpu", "inference"): [1, 8],
    ("cpu", "training"): [8],
    ("cuda", "inference"): [1, 64, 256],
    ("cuda", "training"): [64, 128],
}


def conditions_of(given: Namespace) -> Conditions:
    """bfloat16 and compiled on a GPU, float32 and as written on a CPU, unless said otherwise."""
    device = torch.device(given.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda, but torch sees no GPU here; leave --device out.")
    on_gpu = device.type == "cuda"
    precision = given.precision or ("bfloat16" if on_gpu else "float32")
    return Conditions(device, getattr(torch, precision), on_gpu if given.compile is None else given.compile)


def merging(build: Callable[[Any], Any], r: str) -> Callable[[Any], Logits]:
    """What builds our model so that each layer merges r tokens."""
    return lambda numbers: Logits(merge_tokens(build(numbers).model, r))


def benchmark(given: Namespace) -> int:
    if given.family not in FAMILIES:
        raise UserError(unknown_name("model family", given.family, FAMILIES))
    family = FAMILIES[given.family]
    benchmarked = family.benchmark()
    libraries, asked = dict(benchmarked.builders), given.sizes or benchmarked.usual
    if given.token_merging is not None:
        libraries[f"{OURS}, merging {given.token_merging}"] = merging(libraries[OURS], given.token_merging)
    unknown = set(asked) - set(sizes := family.sizes())
    if unknown:
        raise UserError(f"There is no size {', '.join(sorted(unknown))}; there are {', '.join(sizes)}.")
    conditions = conditions_of(given)
    modes: list[Mode] = ["inference", "training"] if given.mode == "all" else [given.mode]
    comparisons = []
    with libraries_beside(given.peers), threads(given.threads):
        versions = {name: installed_version(name) for name in libraries}
        builders = {name: build for name, build in libraries.items() if versions[name] is not None}
        print(heading(conditions, versions, given.rounds))
        for size in asked:
            numbers = benchmarked.numbers(sizes[size], given.image_size)
            for mode in modes:
                left_out = () if mode == "inference" else benchmarked.for_inference
                able = {name: build for name, build in builders.items() if name not in left_out}
                for batch in given.batch or BATCHES[conditions.device.type, mode]:
                    comparison = compare_libraries(
                        able, numbers, conditions, mode=mode, size=size, batch=batch, rounds=given.rounds
                    )
                    comparisons.append(comparison)
                    print(comparison_words(comparison), flush=True)
    write_record(given.json, as_record(conditions, versions, given.rounds, comparisons))
    return 0
