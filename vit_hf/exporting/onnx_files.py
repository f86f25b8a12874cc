"""ONNX: a file for each precision, with the labels in its metadata."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from .graphs import PICTURE_INPUT, Graph, without_warnings

OPSET = 20  # the newest that all of onnxruntime, OpenVINO, TensorRT and browsers take
REGISTRATION = "torch.onnx._internal.exporter._registration"  # which speaks of torchvision's operators


def write_onnx(graph: Graph, path: Path, metadata: Mapping[str, Any]) -> None:
    """Float32. Raises: UserError for a model that does not go into one graph."""
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
    program.save(path)


def to_float16(source: Path, path: Path, graph: Graph) -> None:
    """Weights and arithmetic of half the bits between an input and outputs of float32. Raises: UserError for pictures,
    whose resizing half the bits are too few for."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    if graph.inputs == PICTURE_INPUT:
        raise UserError("Resizing needs float32; export float16 without --preprocessing.")
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), path)


def quantize_onnx(source: Path, path: Path) -> None:
    """Weights as bytes, a scale for each channel; what they are multiplied with becomes bytes as it comes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    log = logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)  # it asks for a preparation that only helps models with convolutions
    try:
        quantize_dynamic(source, path, per_channel=True, weight_type=QuantType.QInt8)
    finally:
        log.setLevel(before)
