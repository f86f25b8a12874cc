"""The formats that a model is written in, and those that another tool makes of one of them."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..errors import UserError, unknown_name
from . import onnx_files, openvino_files, torch_files
from .graphs import Graph

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


FILE_SUFFIXES: Mapping[Precision, str] = {"float32": "", "float16": "_float16", "int8": "_int8"}
BYTES: Mapping[Precision, int] = {"float32": 4, "float16": 2, "int8": 1}  # of most weights
OF_TRANSFORMERS_JS: Mapping[Precision, str] = {"float32": "", "float16": "_fp16", "int8": "_quantized"}


class Order(NamedTuple):
    """What is to be written. metadata: of the file. calibration: real inputs, for the ranges of int8."""

    graph: Graph
    metadata: dict[str, Any]
    calibration: Sequence[np.ndarray] = ()


class Format(NamedTuple):
    """A format of files. runtime: a word of `runtimes.RUNTIMES`. ending: of its files.

    write: (order, precision, path, where other files may lie meanwhile). opens_sizes: whether sizes beside the batch
    may stay open. calibrated: whether int8 needs real images. needs: packages, and extra: of ours that brings them.
    file: what a file is called behind the folder that it lies in. one_file: whether no other lies beside it. stock:
    whether configuration and processor are those of transformers' own model, where it has the same.
    """

    runtime: str
    ending: str
    write: Callable[[Order, Precision, Path, Path], None]
    precisions: tuple[Precision, ...] = ("float32",)
    opens_sizes: bool = True
    calibrated: bool = False
    needs: tuple[str, ...] = ()
    extra: str = ""
    file: str = "model"
    one_file: bool = False
    stock: bool = False
    suffixes: Mapping[Precision, str] = FILE_SUFFIXES


def onnx_of(order: Order, scratch: Path) -> Path:
    """The float32 file that others are made of, written once, by the name that it has in every folder."""
    path = scratch / "model.onnx"
    if not path.exists():
        onnx_files.write_onnx(order.graph, path, order.metadata)
    return path


def as_onnx(order: Order, precision: Precision, path: Path, scratch: Path) -> None:
    source = onnx_of(order, scratch)
    if precision == "float16":
        onnx_files.to_float16(source, path, order.graph)
    elif precision == "int8":
        onnx_files.quantize_onnx(source, path)
    else:
        onnx_files.copy_onnx(source, path.parent)


def as_openvino(order: Order, precision: Precision, path: Path, scratch: Path) -> None:
    source = onnx_of(order, scratch)
    if precision == "int8":
        openvino_files.quantize_openvino(source, path, order.calibration)
    else:
        openvino_files.write_openvino(source, path, half=precision == "float16")


ONNX = Format("onnxruntime", "onnx", as_onnx, PRECISIONS, needs=("onnx", "onnxscript", "onnxruntime"), extra="export")
FORMATS: dict[str, Format] = {
    "onnx": ONNX,
    "transformers.js": ONNX._replace(file="onnx/model", one_file=True, stock=True, suffixes=OF_TRANSFORMERS_JS),
    "openvino": Format(
        *("openvino", "xml", as_openvino, PRECISIONS),
        opens_sizes=False,  # it computes learned positions of other sizes wrongly
        calibrated=True,
        needs=("onnx", "onnxscript", "openvino", "nncf"),
        extra="openvino",
    ),
    # A program keeps to what it was traced with, and refuses the one size that it was not: the model's own.
    "torch": Format(
        "torch",
        "pt2",
        lambda order, precision, path, scratch: torch_files.write_torch(order.graph, path),
        opens_sizes=False,
    ),
    "aotinductor": Format(
        *("aotinductor", "pt2"),
        lambda order, precision, path, scratch: torch_files.write_compiled(order.graph, path),
        opens_sizes=False,
    ),
}


class Handed(NamedTuple):
    """A format that another tool makes of a file of ours. of: that file's format. install, command: what to type."""

    of: str
    install: str
    command: str


# {file}: of ours, {folder}: where it lies.
HANDED: dict[str, Handed] = {
    "coreml": Handed(
        "torch",
        "pip install coremltools",
        "python -c \"import coremltools, torch; program = torch.export.load('{file}').run_decompositions(); "
        "coremltools.convert(program).save('{folder}/model.mlpackage')\"",
    ),
    "executorch": Handed(
        "torch",
        "pip install executorch",
        'python -c "import torch; from executorch.exir import to_edge_transform_and_lower; '
        "from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner; "
        "edge = to_edge_transform_and_lower(torch.export.load('{file}'), partitioner=[XnnpackPartitioner()]); "
        "open('{folder}/model.pte', 'wb').write(edge.to_executorch().buffer)\"",
    ),
    "litert": Handed(
        "torch",
        "pip install litert-torch",
        "python -c \"import litert_torch, torch; program = torch.export.load('{file}'); "
        "litert_torch.convert(program.module(), program.example_inputs[0]).export('{folder}/model.tflite')\"",
    ),
    "tensorrt": Handed(
        "onnx",
        "trtexec comes with TensorRT",
        "trtexec --onnx={file} --saveEngine={folder}/model.engine --fp16 --minShapes={input}:1x{shape} "
        "--optShapes={input}:8x{shape} --maxShapes={input}:64x{shape}",
    ),
    "ncnn": Handed("onnx", "pip install pnnx", "pnnx {file} inputshape=[1,{commas}]f32"),
}


def find_format(name: str) -> tuple[Format, Handed | None]:
    """Raises: UserError for a format that there is not, or whose packages are not installed."""
    if name not in (*FORMATS, *HANDED):
        raise UserError(unknown_name("format", name, [*FORMATS, *HANDED]))
    handed = HANDED.get(name)
    found = FORMATS[handed.of if handed else name]
    if missing := [package for package in found.needs if find_spec(package) is None]:
        raise UserError(
            f"--to {name} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"pip install 'vit_hf[{found.extra}]'."
        )
    return found, handed


def refuse_precisions(to: str, found: Format, precisions: Sequence[Precision]) -> None:
    for precision in precisions:
        if precision not in found.precisions:
            raise UserError(f"--to {to} writes {', '.join(found.precisions)}, and no {precision}.")


def refuse_sizes(to: str, found: Format, precisions: Sequence[Precision], weights: int) -> None:
    """weights: how many numbers. Raises: UserError for those that do not go into one file, where there is no other."""
    most = onnx_files.LARGEST_FILE
    smaller = [f"--precision {precision}" for precision in found.precisions if BYTES[precision] * weights <= most]
    for precision in precisions:
        if found.one_file and (size := BYTES[precision] * weights) > most:
            raise UserError(
                f"--to {to} writes one file with at most {most / 1e9:.1f} GB of weights, and in {precision} there are "
                f"{size / 1e9:.1f} GB; take {', '.join(smaller) or 'a smaller model'}, or --to onnx, which writes the "
                "weights into a file beside it."
            )


def size_on_disk(path: Path) -> int:
    """With the weights, where they lie in a file beside it."""
    beside = (path.with_suffix(".bin"), onnx_files.weights_beside(path))
    return path.stat().st_size + sum(file.stat().st_size for file in beside if file.exists())


def next_command(handed: Handed, file: Path, inputs: str, shape: Sequence[int]) -> str:
    """What to type for a format that another tool makes."""
    words = {
        "file": shlex.quote(str(file)),
        "folder": shlex.quote(str(file.parent)),
        "input": inputs,
        "shape": "x".join(map(str, shape)),
        "commas": ",".join(map(str, shape)),
    }
    return handed.command.format(**words)


def file_name(found: Format, precision: Precision) -> str:
    return f"{found.file}{found.suffixes[precision]}.{found.ending}"
