"""One recipe with both libraries at equal cost: the same model in each, and each as it would be used. See --help."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ..cli import given_arguments, guarded, parser

EXAMPLES = """\
  {program} recipe cifar10_cpu --data.name cifar10/ --json outputs/cifar10_cpu.json
  {program} recipe photos --data.name photos/ --seeds 0 1 2 --processor-minutes 10 --threads 1

Of the matched pair both see the same images, augmented alike, and begin with the same weights of the same function; by
default ours is the recipe, and theirs transformers' ViT of the same sizes in its Trainer, with the augmentation of its
example script, the recipe's batch, rates and schedule, and its best checkpoint on the validation split, if any.
All take as many steps, or, with --processor-minutes, as much of the processor's time: reading the data and evaluating
count, and the schedule ends then.
"""
MATCHED, DEFAULT = PAIRS = ("matched", "default")


def run(given: Namespace, overrides: Sequence[str]) -> int:
    from .trained_pairs import benchmark

    return benchmark(given, overrides)


def positive_number(word: str) -> float:
    number = float(word)
    if not number > 0:
        raise ValueError(word)
    return number


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("benchmark", "Train by a recipe with vit_hf, and with transformers' own ViT and Trainer.", EXAMPLES)
    parse.prog += " recipe"
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package")
    parse.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    parse.add_argument("--seeds", type=int, nargs="+", help="of the trainings; by default the recipe's")
    parse.add_argument("--processor-minutes", type=positive_number, help="of each training, in place of its steps")
    parse.add_argument("--threads", type=int, help="of torch on the CPU")
    parse.add_argument("--output", default="outputs/benchmark", help="a folder for what the trainings write")
    parse.add_argument("--json", type=Path, help="a file for every figure and curve")
    given, overrides = parse.parse_known_args(given_arguments(words))
    return guarded(run, given, overrides)
