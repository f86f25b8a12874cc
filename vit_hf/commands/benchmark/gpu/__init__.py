"""How fast a GPU is used, in the minutes that there are: vit-hf benchmark gpu (see --help)."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ...cli import given_arguments, guarded, parser
from .. import positive
from ..recipe import positive_number

EXAMPLES = """\
  {program} gpu --json outputs/gpu.json --markdown outputs/gpu.md
  {program} gpu --minutes 4 --sizes vit-s vit-b swin-t --parts ceilings inference training trainer
  {program} gpu --sizes vit-b --parts ceilings latency
  {program} gpu --minutes 1 --pieces ceilings "inference: vit-b, batch 256"
  {program} gpu --parts ceilings trainer --profile outputs/profiles
  {program} gpu --tiny --device cpu --no-compile

The pieces run in the order of their importance. Each is left out, and named, where it would not end within --minutes.
Both files are written anew after every piece.
"""
PARTS_OF_IT = ("ceilings", "inference", "training", "latency", "trainer", "data")
GPU_SIZES = ("vit-b", "vit-s", "swin-t", "timesformer-b", "vit-l", "swinv2-t")


def run(given: Namespace) -> int:
    from .conduct import benchmark

    return benchmark(given)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("benchmark", "Measure a GPU: inference, training and data, beside other libraries.", EXAMPLES)
    parse.prog += " gpu"
    parse.add_argument("--minutes", type=positive_number, default=8.0, help="in which the whole ends")
    parse.add_argument("--parts", nargs="+", choices=PARTS_OF_IT, default=PARTS_OF_IT)
    parse.add_argument("--sizes", nargs="+", choices=GPU_SIZES, default=GPU_SIZES, help="in this order")
    parse.add_argument("--pieces", nargs="+", metavar="NAME", help="by name, as the output calls them, in this order")
    parse.add_argument("--batch", type=positive, help="of inference and training, in place of each size's own")
    parse.add_argument("--rounds", type=positive, help="in which everyone takes a turn; by default 9")
    parse.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parse.add_argument("--no-compile", dest="compile", action="store_false", help="only as written")
    parse.add_argument("--compilers", type=positive, help="processes; by default two fewer than cores, at most 14")
    parse.add_argument("--compiled", type=Path, help="a folder that keeps what was compiled for the next run")
    parse.add_argument("--tiny", action="store_true", help="models and batches that a CPU does at once, to try it out")
    parse.add_argument("--peers", type=Path, help="a folder of other libraries")
    parse.add_argument("--profile", type=Path, metavar="FOLDER", help="tables of what takes time in whole trainings")
    parse.add_argument("--json", type=Path, help="a file for all that was measured")
    parse.add_argument("--markdown", type=Path, help="a file for it as tables")
    return guarded(run, parse.parse_args(given_arguments(words)))
