"""OpenVINO's own files, made of ONNX ones, and quantized by NNCF."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_openvino(source: Path, path: Path, *, half: bool = False) -> None:
    """source: an ONNX file. half: whether weights are stored in float16."""
    import openvino

    openvino.save_model(openvino.convert_model(source), path, compress_to_fp16=half)


def quantize_openvino(source: Path, path: Path, calibration: Sequence[np.ndarray]) -> None:
    """calibration: what the graph takes, one batch after another, whose ranges what comes later is cut to."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    import nncf
    import openvino

    model: Any = openvino.convert_model(source)
    quantized = nncf.quantize(
        model,
        nncf.Dataset(calibration),
        subset_size=len(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
    )
    openvino.save_model(quantized, path, compress_to_fp16=False)
