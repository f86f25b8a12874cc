"""Weights that are too large for the file of a graph, of which here a thousand bytes are enough."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vit_hf.errors import UserError
from vit_hf.exporting import onnx_files
from vit_hf.exporting.formats import find_format, refuse_sizes, size_on_disk
from vit_hf.exporting.onnx_files import copy_onnx, quantize_onnx, save_onnx, to_float16, weights_beside
from vit_hf.exporting.runtimes import open_onnx

WEIGHTS = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)  # 6,400 bytes; halves 3,200


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product with a matrix, which lies beside the graph, in a folder of its own."""
    monkeypatch.setattr(onnx_files, "LARGEST_FILE", 5_000)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["pixel_values", "weights"], ["logits"])],
        "graph",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 40])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 40])],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    (tmp_path / "scratch").mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    save_onnx(model, tmp_path / "scratch" / "model.onnx")
    return tmp_path / "scratch" / "model.onnx"


def answers(path: Path) -> np.ndarray:
    return open_onnx(path, 1)(np.eye(40, dtype=np.float32))[0]


def test_a_copy_finds_its_weights_where_it_lies(source: Path, tmp_path: Path):
    assert source.stat().st_size < 1_000
    copy_onnx(source, tmp_path)
    weights_beside(source).unlink()
    assert np.array_equal(answers(tmp_path / "model.onnx"), WEIGHTS)
    assert size_on_disk(tmp_path / "model.onnx") > WEIGHTS.nbytes
    with pytest.raises(ValueError, match=r"model\.onnx\.data"):
        open_onnx(source, 1)


@pytest.mark.parametrize("largest", [5_000, 1_000], ids=["fits", "beside"])
def test_what_is_made_of_it_is_one_file_where_it_fits(source: Path, tmp_path: Path, monkeypatch, largest: int):
    monkeypatch.setattr(onnx_files, "LARGEST_FILE", largest)
    graph: Any = SimpleNamespace(inputs="pixel_values")
    written = {"half": 2e-3, "bytes": 0.05}
    to_float16(source, tmp_path / "half", graph)
    quantize_onnx(source, tmp_path / "bytes")
    weights_beside(source).unlink()
    for name, bound in written.items():
        assert weights_beside(tmp_path / name).exists() == (largest == 1_000)
        assert np.abs(answers(tmp_path / name) - WEIGHTS).max() < bound
        assert len(onnx.load(tmp_path / name, load_external_data=False).SerializeToString()) < 5_000


def test_where_one_file_is_taken_the_precisions_that_fit_are_named():
    found, _ = find_format("transformers.js")
    million = 10**6
    refuse_sizes("transformers.js", found, ["float32"], 400 * million)
    refuse_sizes("onnx", find_format("onnx")[0], ["float32"], 4000 * million)
    with pytest.raises(UserError, match=r"2\.5 GB; take --precision float16, --precision int8, or --to onnx, which"):
        refuse_sizes("transformers.js", found, ["int8", "float32"], 632 * million)
    with pytest.raises(UserError, match=r"at most 1\.6 GB of weights, and in float16 there are 4\.0 GB; take a small"):
        refuse_sizes("transformers.js", found, ["float16"], 2000 * million)
