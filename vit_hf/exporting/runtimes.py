"""Exported files in the runtimes that they are for. Run by itself, in a process of its own, it needs no vit_hf:

    python -I runtimes.py FOLDER FILE INPUTS.safetensors OUTPUTS.safetensors

runs FILE of FOLDER over every tensor of INPUTS, writes what it said, and prints how long that took.
"""

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXPORT = "export.json"
# A float array or bytes -> what the graph says to it, in the order of its outputs.
Run = Callable[[np.ndarray], list[np.ndarray]]


def open_onnx(path: Path, threads: int | None) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    faults: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    # Its exceptions have no class in common.
    broken = tuple(kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, Exception))
    try:
        session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
    except broken as error:
        raise ValueError(str(error)) from error
    (given,) = session.get_inputs()
    return lambda values: [np.asarray(found) for found in session.run(None, {given.name: values})]


def open_openvino(path: Path, threads: int | None) -> Run:
    import openvino

    wanted = {"INFERENCE_NUM_THREADS": threads} if threads else {}
    # Float32 is computed as float32, which on newer processors it is not unless that is said.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **wanted})
    return lambda values: [np.array(found) for found in compiled([values]).values()]


def open_torch(path: Path, threads: int | None) -> Run:
    """A program of torch.export."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    module = torch.export.load(path).module()
    return with_tensors(module)


def open_compiled(path: Path, threads: int | None) -> Run:
    """A package of AOTInductor: machine code."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    return with_tensors(torch._inductor.aoti_load_package(str(path)))


def with_tensors(module: Any) -> Run:
    import torch

    def run(values: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            found = module(torch.from_numpy(values))
        return [output.numpy() for output in ([found] if isinstance(found, torch.Tensor) else found)]

    return run


RUNTIMES: dict[str, Callable[[Path, int | None], Run]] = {
    "onnxruntime": open_onnx,
    "openvino": open_openvino,
    "torch": open_torch,
    "aotinductor": open_compiled,
}


def open_file(folder: Path, name: str, runtime: str, threads: int | None = None) -> Run:
    return RUNTIMES[runtime](folder / name, threads)


def timed(run: Run, values: np.ndarray, seconds: float = 1.0) -> float:
    """Seconds, the median of runs over the same input."""
    begun, took = time.perf_counter(), list[float]()
    while not took or (time.perf_counter() - begun < seconds and len(took) < 50):
        before = time.perf_counter()
        run(values)
        took.append(time.perf_counter() - before)
    return statistics.median(took)


def run_file(folder: str, name: str, inputs: str, outputs: str) -> None:
    numpy_files: Any = importlib.import_module("safetensors.numpy")
    runtime = json.loads(Path(folder, EXPORT).read_text(encoding="utf-8"))["runtime"]
    run = open_file(Path(folder), name, runtime)
    found, first = {}, list[np.ndarray]()
    with importlib.import_module("safetensors").safe_open(inputs, "numpy") as given:
        for key in given.keys():  # noqa: SIM118
            values = given.get_tensor(key)
            first = first or [values]
            found |= {f"{key}/{place}": np.ascontiguousarray(output) for place, output in enumerate(run(values))}
    numpy_files.save_file(found, outputs)
    print(json.dumps({"seconds": timed(run, first[0])}))


if __name__ == "__main__":
    run_file(*sys.argv[1:])
