"""How fast, and in how much memory, beside other libraries: python scripts/benchmark.py (see --help)."""

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

from ...errors import UserError
from ...families import FAMILIES
from ..cli import guarded, parser, words_of
from . import data, recipe, training
from .measure import Mode, compare_libraries
from .peers import installed_version, libraries_beside
from .report import as_record, comparison_words, heading
from .timing import threads
from .workloads import Conditions

EXAMPLES = """\
  {program} --sizes ti --batch 1 8 --mode inference
  {program} --family swin --sizes t v2_t --peers .venv/peers
  {program} --family timesformer --batch 1 --mode inference --peers .venv/peers
  {program} --peers .venv/peers --threads 2 --rounds 40 --json outputs/benchmark.json
  {program} training --help
  {program} data --help
  {program} recipe --help

--peers is a folder of other libraries (timm, vit-pytorch, torchvision), as `make test` installs them.
"""
SUBCOMMANDS = {"training": training, "data": data, "recipe": recipe}
BATCHES: dict[tuple[str, str], list[int]] = {
    ("cpu", "inference"): [1, 8],
    ("cpu", "training"): [8],
    ("cuda", "inference"): [1, 64, 256],
    ("cuda", "training"): [64, 128],
}


def conditions_of(given: Namespace) -> Conditions:
    """bfloat16 and compiled on a GPU, float32 and as written on a CPU, unless said otherwise."""
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda, but torch sees no GPU here; leave --device out.")
    on_gpu = device.type == "cuda"
    precision = given.precision or ("bfloat16" if on_gpu else "float32")
    return Conditions(device, getattr(torch, precision), on_gpu if given.compile is None else given.compile)


def benchmark(given: Namespace) -> int:
    family = FAMILIES[given.family]
    benchmarked = family.benchmark()
    libraries, asked = benchmarked.builders, given.sizes or benchmarked.usual
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
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        record = as_record(conditions, versions, given.rounds, comparisons)
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"written to {given.json}")
    return 0


def add_options(parse: ArgumentParser) -> None:
    default_device = "cuda" if torch.cuda.is_available() else "cpu"
    parse.add_argument("--family", choices=list(FAMILIES), default="vit")
    parse.add_argument("--sizes", nargs="+", help="of the family, as in configuration/models/vit.yaml")
    parse.add_argument("--mode", choices=["inference", "training", "all"], default="all")
    parse.add_argument("--batch", nargs="+", type=positive, help="images in a call; by default a small and a large")
    parse.add_argument("--rounds", type=positive, default=20)
    parse.add_argument("--image-size", type=positive, help="pixels; by default those of the size, or 224")
    parse.add_argument("--threads", type=positive, help="of torch on the CPU")
    parse.add_argument("--device", choices=["cpu", "cuda"], default=default_device)
    parse.add_argument("--precision", choices=["float32", "bfloat16", "float16"])
    parse.add_argument("--compile", action="store_true", default=None, help="also on the CPU")
    parse.add_argument("--no-compile", dest="compile", action="store_false", help="not even on a GPU")
    parse.add_argument("--peers", type=Path, help="a folder of other libraries")
    parse.add_argument("--json", type=Path, help="a file for all that was measured")


def positive(word: str) -> int:
    number = int(word)
    if number <= 0:
        raise UserError(word)
    return number


def main(words: Sequence[str] | None = None) -> int:
    """The first word says what is measured: `model`, which may be left out, or one of `OTHERS`."""
    # torch's profiler, which counts the memory, otherwise announces itself on every use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    words = words_of(words)
    if words and words[0] in SUBCOMMANDS:
        return SUBCOMMANDS[words[0]].main(words[1:])
    parse = parser("benchmark", "Measure speed and memory against other libraries, all in turn.", EXAMPLES)
    add_options(parse)
    return guarded(benchmark, parse.parse_args(words[1:] if words[:1] == ["model"] else words))
