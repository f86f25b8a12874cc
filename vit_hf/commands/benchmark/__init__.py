"""How fast, and in how much memory, beside other libraries: python scripts/benchmark.py (see --help)."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ...errors import UserError
from ..cli import given_arguments, guarded, parser

EXAMPLES = """\
  {program} --sizes ti --batch 1 8 --mode inference
  {program} --family swin --sizes t v2_t --peers .venv/peers
  {program} --family timesformer --batch 1 --mode inference --peers .venv/peers
  {program} --peers .venv/peers --threads 2 --rounds 40 --json outputs/benchmark.json
  {program} training --help
  {program} data --help
  {program} recipe --help
  {program} gpu --help

--peers is a folder of other libraries (timm, vit-pytorch, torchvision), as `make test` installs them.
"""
SUBCOMMANDS = ("training", "data", "recipe", "gpu")


def add_options(parse: ArgumentParser) -> None:
    parse.add_argument("--family", default="vit", help="of models: vit (where not said), swin, timesformer")
    parse.add_argument("--sizes", nargs="+", help="of the family, as in configuration/models/vit.yaml")
    parse.add_argument("--mode", choices=["inference", "training", "all"], default="all")
    parse.add_argument("--batch", nargs="+", type=positive, help="images in a call; by default a small and a large")
    parse.add_argument("--rounds", type=positive, default=20)
    parse.add_argument("--image-size", type=positive, help="pixels; by default those of the size, or 224")
    parse.add_argument("--threads", type=positive, help="of torch on the CPU")
    parse.add_argument("--device", choices=["cpu", "cuda"], help="cuda, where there is one")
    parse.add_argument("--precision", choices=["float32", "bfloat16", "float16"])
    parse.add_argument("--compile", action="store_true", default=None, help="also on the CPU")
    parse.add_argument("--no-compile", dest="compile", action="store_false", help="not even on a GPU")
    parse.add_argument("--token-merging", metavar="R", help="of ViT: beside it the same, merging R tokens a layer")
    parse.add_argument("--peers", type=Path, help="a folder of other libraries")
    parse.add_argument("--json", type=Path, help="a file for all that was measured")


def positive(word: str) -> int:
    number = int(word)
    if number <= 0:
        raise UserError(word)
    return number


def run(given: Namespace) -> int:
    from .model import benchmark

    return benchmark(given)


def main(words: Sequence[str] | None = None) -> int:
    """The first word says what is measured: `model`, which may be left out, or one of `SUBCOMMANDS`."""
    # torch's profiler, which counts the memory, otherwise announces itself on every use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    words = given_arguments(words)
    if words and words[0] in SUBCOMMANDS:
        return import_module(f".{words[0]}", __name__).main(words[1:])
    parse = parser("benchmark", "Measure speed and memory against other libraries, all in turn.", EXAMPLES)
    add_options(parse)
    return guarded(run, parse.parse_args(words[1:] if words[:1] == ["model"] else words))
