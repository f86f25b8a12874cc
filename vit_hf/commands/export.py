"""From a classifier to a folder for another runtime."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from .cli import given_arguments, guarded, parser, program

EXAMPLES = """\
  {program} outputs/digits digits-onnx
  {program} outputs/photos photos-onnx --precision float32 int8
  {program} outputs/photos photos-openvino --to openvino --precision int8 --data more_photos/
  {program} outputs/photos photos-app --preprocessing --heat
  {program} outputs/photos photos-trt --to tensorrt
  {program} outputs/photos repository --to triton --preprocessing

Every file is run in its own runtime, in a process of its own, beside PyTorch: on random inputs, and on the test images
that the model's recipe names. Nothing is written where float32 differs by more than 1e-3, or where int8 or float16
names half a point less of them right.
"""

TRITON = "triton"  # a repository of models, into which one more is written


def run(given: Namespace) -> int:
    from ..files import refuse_no_folder
    from ..runs.export import export

    refuse_no_folder(given.dest, "DEST")
    if given.to == TRITON:
        return run_for_triton(given)
    done = export(
        given.model,
        given.dest,
        given.to,
        precisions=tuple(dict.fromkeys(given.precision)),
        preprocessing=given.preprocessing,
        heat=given.heat,
        fixed_size=given.fixed_size,
        data=given.data,
        images=given.images,
        allow_difference=given.allow_difference,
        overwrite=given.overwrite,
        trust_remote_code=given.trust_remote_code,
    )
    print(measured_table(done.measured))
    for complaint in done.complaints:
        print(f"warning: {complaint}", file=sys.stderr)
    print(f"\nWritten to {done.dest}, for {done.open}.")
    predict = f"{program('predict')} {done.dest} one.jpg"
    print(f"Next: {done.next or predict}")
    return 0


def run_for_triton(given: Namespace) -> int:
    from ..serving.triton import export_for_triton

    if given.heat or given.precision != ["float32"]:
        raise UserError(
            "--to triton writes logits or probabilities in float32; for anything else export --to onnx first, and then "
            "that folder --to triton."
        )
    remote = given.trust_remote_code
    folder = export_for_triton(given.model, given.dest, preprocessing=given.preprocessing, trust_remote_code=remote)
    print(f"Written to {folder}, and compared.\nNext: tritonserver --model-repository={given.dest}")
    return 0


def measured_table(measured: Sequence[Any]) -> str:
    from ..cards.export import TABLE_COLUMNS, cells_of
    from ..runs.report import table

    return table(TABLE_COLUMNS, [[cell or "-" for cell in cells_of(one)] for one in measured])


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("export", "Write a model for another runtime, once it is proven to say the same there.", EXAMPLES)
    parse.add_argument("model", metavar="MODEL", help="the output folder of a training, or an id on the Hub")
    parse.add_argument("dest", metavar="DEST", type=Path, help="a new folder")
    parse.add_argument(
        "--to",
        default="onnx",
        metavar="FORMAT",
        help="onnx (where not said), openvino, torch, aotinductor, transformers.js, triton; or coreml, executorch, "
        "litert, ncnn, tensorrt, whose own tools make them of what is written",
    )
    parse.add_argument("--precision", nargs="+", default=["float32"], choices=("float32", "float16", "int8"))
    parse.add_argument("--preprocessing", action="store_true", help="from a picture's bytes to probabilities")
    parse.add_argument("--heat", action="store_true", help="the graph also says where attention goes")
    parse.add_argument("--fixed-size", action="store_true", help="leave only the batch open")
    parse.add_argument("--data", help="real images to try it on (those of the model's recipe where not said)")
    parse.add_argument("--images", type=int, default=500, help="of these at most so many (500)")
    parse.add_argument("--allow-difference", action="store_true", help="write what differs too much all the same")
    parse.add_argument("--overwrite", action="store_true", help="put the result in the place of an earlier export")
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(run, parse.parse_args(given_arguments(words)))
