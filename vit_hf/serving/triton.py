"""A model as a model repository of Triton Inference Server, which batches requests by itself.

NAME/config.pbtxt, NAME/labels.txt and NAME/1/model.onnx, with what lies beside it. Source: the server's "Model
Configuration" and model_config.proto (https://github.com/triton-inference-server/common).
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ..errors import UserError, require_library
from ..exporting.exported import is_exported
from ..exporting.runtimes import EXPORT
from ..files import read_json, refuse_no_folder
from ..runs.export import export

# As Triton calls what ONNX calls a tensor's elements.
TYPES = {
    "FLOAT": "TYPE_FP32",
    "FLOAT16": "TYPE_FP16",
    "BFLOAT16": "TYPE_BF16",
    "DOUBLE": "TYPE_FP64",
    "UINT8": "TYPE_UINT8",
    "INT8": "TYPE_INT8",
    "INT64": "TYPE_INT64",
}
OPEN = -1  # as Triton writes a size that a request says
LABEL_FILE = "labels.txt"
OF_LABELS = ("logits", "probabilities")  # outputs with a number for each label


class Port(NamedTuple):
    """An input or output of a graph; sizes are numbers, or the names of those that are open."""

    name: str
    type: str
    sizes: tuple[int | str, ...]


def ports_of(values: Any, onnx: Any) -> list[Port]:
    found = []
    for value in values:
        tensor = value.type.tensor_type
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        if kind not in TYPES:
            raise UserError(
                f"{value.name} of the graph holds {kind}, which Triton is not told of; export it otherwise."
            )
        sizes = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
        found.append(Port(value.name, TYPES[kind], sizes))
    return found


def are_batched(inputs: Sequence[Port], outputs: Sequence[Port]) -> bool:
    """Whether all begin with one and the same open size."""
    first = {port.sizes[0] if port.sizes else 0 for port in (*inputs, *outputs)}
    return len(first) == 1 and isinstance(first.pop(), str)


def port_text(port: Port, batched: bool, labeled: bool = False) -> str:
    sizes = [size if isinstance(size, int) else OPEN for size in port.sizes[1 if batched else 0 :]]
    labels = f'\n    label_filename: "{LABEL_FILE}"' if labeled else ""
    return f"""\
  {{
    name: "{port.name}"
    data_type: {port.type}
    dims: {sizes}{labels}
  }}"""


def triton_config(
    name: str, inputs: Sequence[Port], outputs: Sequence[Port], *, max_batch: int, batch_wait_ms: float
) -> str:
    """config.pbtxt, in protobuf's text format. Of a graph that takes one item and no batch, max_batch_size is 0."""
    batched = are_batched(inputs, outputs)
    ins = ",\n".join(port_text(port, batched) for port in inputs)
    outs = ",\n".join(port_text(port, batched, port.name in OF_LABELS) for port in outputs)
    batching = (
        f"dynamic_batching {{ max_queue_delay_microseconds: {round(1000 * batch_wait_ms)} }}\n" if batched else ""
    )
    return f"""\
name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch if batched else 0}
input [
{ins}
]
output [
{outs}
]
{batching if batched else ""}"""


def write_triton(
    exported: Path, dest: Path, *, name: str | None = None, max_batch: int = 16, batch_wait_ms: float = 5
) -> Path:
    """-> the folder of the model in the repository `dest`, which may hold others.

    exported: a folder with an ONNX file. name: of the model; that of the folder where not said.

    Raises: UserError for a folder that holds no ONNX file, a name that Triton does not take, or one that is there.
    """
    onnx: Any = require_library("onnx", "onnx")
    said = read_json(exported / EXPORT) if is_exported(exported) else {}
    graph = exported / str(said.get("file", "model.onnx"))
    if graph.suffix != ".onnx" or not graph.is_file():
        raise UserError(f"{exported} holds no ONNX file ({graph.name}), which Triton is given; export --to onnx first.")
    name = name or exported.resolve().name
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise UserError(f"A model of Triton cannot be called {name!r}; take letters, digits, _ and -.")
    folder = dest / name
    refuse_no_folder(folder, "the model repository")
    if folder.exists():
        raise UserError(f"{folder} is there already; remove it, or take another name.")
    loaded = onnx.load(graph, load_external_data=False).graph
    inputs, outputs = ports_of(loaded.input, onnx), ports_of(loaded.output, onnx)
    config = triton_config(name, inputs, outputs, max_batch=max_batch, batch_wait_ms=batch_wait_ms)
    (folder / "1").mkdir(parents=True)
    shutil.copyfile(graph, folder / "1" / "model.onnx")
    for file in graph.parent.glob(f"{graph.name}[._]*"):  # weights, which the graph knows by the name that they have
        shutil.copyfile(file, folder / "1" / file.name)
    labels = read_json(exported / "config.json")["id2label"]
    lines = [str(labels[number]).replace("\n", " ") for number in sorted(labels, key=int)]
    (folder / LABEL_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    return folder


def export_for_triton(
    model_name: str,
    dest: Path,
    *,
    preprocessing: bool = False,
    name: str | None = None,
    max_batch: int = 16,
    batch_wait_ms: float = 5,
    trust_remote_code: bool = False,
) -> Path:
    """As `write_triton`, of a model of PyTorch, which is compared with what is written in a process of its own; or of a
    folder that is exported already, as it is.

    preprocessing: from the bytes of pictures to probabilities, of as many at once as are of one size; else as
    `runs.export.export`, from pixel_values to logits. name: that of the model's folder where not said.

    Raises: UserError, as `write_triton` and `export`; of videos, that pictures alone are prepared within a graph.
    """
    name = name or re.sub(r"[^\w.-]", "_", Path(model_name).name, flags=re.ASCII)
    how: dict[str, Any] = {"name": name, "max_batch": max_batch, "batch_wait_ms": batch_wait_ms}
    if is_exported(Path(model_name)):
        return write_triton(Path(model_name), dest, **how)
    with TemporaryDirectory(prefix="vit_hf-triton-") as scratch:
        folder = Path(scratch) / name
        export(model_name, folder, preprocessing=preprocessing, batched=True, trust_remote_code=trust_remote_code)
        return write_triton(folder, dest, **how)
