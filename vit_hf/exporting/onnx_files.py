"""ONNX: a file for each precision, with the labels in its metadata, and beside it weights that are too large for it."""

import json
import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from .graphs import PICTURE_INPUT, Graph, without_warnings

OPSET = 20  # the newest that all of onnxruntime, OpenVINO, TensorRT and browsers take
# Bytes of weights in one file; Protocol Buffers end at 2 GiB, and torch's exporter leaves room for the graph.
LARGEST_FILE = 3 * 2**29
REGISTRATION = "torch.onnx._internal.exporter._registration"  # which speaks of torchvision's operators


def weights_beside(path: Path) -> Path:
    """Where the weights of a graph lie that does not hold them itself."""
    return path.with_name(f"{path.name}.data")


def write_onnx(graph: Graph, path: Path, metadata: Mapping[str, Any]) -> None:
    """Float32; larger weights than `LARGEST_FILE` lie beside it.

    Raises: UserError for a model that does not go into one graph.
    """
    log = logging.getLogger(REGISTRATION)
    before = log.level
    log.setLevel(logging.ERROR)
    # Written out, for of the fused one torch's exporter loses the strides where there are biases.
    traced = graph.trace(attention="eager")
    try:
        with without_warnings():
            program: Any = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[graph.inputs],
                output_names=graph.outputs,
            )
    finally:
        log.setLevel(before)
    program.model.metadata_props.update({key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()})
    weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    program.save(path, external_data=weights > LARGEST_FILE)


def save_onnx(model: Any, path: Path) -> None:
    """model: onnx.ModelProto, which holds its weights."""
    import onnx

    weights = sum(
        math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in model.graph.initializer
    )
    onnx.save(model, path, save_as_external_data=weights > LARGEST_FILE, location=weights_beside(path).name)


def copy_onnx(source: Path, folder: Path) -> None:
    """With the weights beside it, which the graph knows by their name."""
    for file in (source, weights_beside(source)):
        if file.exists():
            shutil.copyfile(file, folder / file.name)


def to_float16(source: Path, path: Path, graph: Graph) -> None:
    """Weights and arithmetic of half the bits between an input and outputs of float32. Raises: UserError for pictures,
    whose resizing half the bits are too few for."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    if graph.inputs == PICTURE_INPUT:
        raise UserError("Resizing needs float32; export float16 without --preprocessing.")
    # Of a path, for shapes within a graph of more than 2 GiB are only found out from files.
    save_onnx(convert_float_to_float16(str(source), keep_io_types=True), path)


def quantize_onnx(source: Path, path: Path) -> None:
    """Weights as bytes, a scale for each channel; what they are multiplied with becomes bytes as it comes."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    beside, meanwhile = weights_beside(source).exists(), source.with_name("quantized.onnx")
    log = logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)  # it asks for a preparation that only helps models with convolutions
    try:
        quantize_dynamic(
            source, meanwhile, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=beside
        )
    finally:
        log.setLevel(before)
    save_onnx(onnx.load(meanwhile), path)
