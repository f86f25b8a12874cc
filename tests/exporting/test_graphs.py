"""ONNX files of all families, at batches, sizes and numbers of frames that they were not traced with."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny import clips, images, tiny, tiny_swin, tiny_timesformer

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerModel,
)
from vit_hf.errors import UserError
from vit_hf.explanation.explain import explain
from vit_hf.exporting.graphs import graph_of
from vit_hf.exporting.onnx_files import write_onnx
from vit_hf.exporting.runtimes import open_onnx

Classifier = VisionTransformerForImageClassification
OPEN = {
    "vit": lambda: (tiny(Classifier), [images(1), images(5, 64, 24), images(1, 16, 80)]),
    "vit, biases": lambda: (tiny(Classifier, position_embedding="relative_bias"), [images(1), images(3, 40, 16)]),
    "swin": lambda: (tiny_swin(SwinTransformerForImageClassification, depths=[2, 1]), [images(1), images(3, 37, 45)]),
    "timesformer": lambda: (
        tiny_timesformer(TimeSformerForVideoClassification),
        [clips(1), clips(2, 7), clips(3, 2, height=64, width=24)],
    ),
}


@pytest.mark.parametrize("family", OPEN)
def test_one_file_says_what_the_model_says_at_its_own_size_and_at_others(family, tmp_path: Path, quiet_exporter):
    model, inputs = OPEN[family]()
    write_onnx(graph_of(model, None), tmp_path / "model.onnx", {"labels": ["a", "é"]})
    run = open_onnx(tmp_path / "model.onnx", 1)
    for pixels in inputs:
        np.testing.assert_allclose(run(pixels.numpy())[0], model(pixels).logits.detach(), atol=1e-5)
    (said,) = onnx.load(tmp_path / "model.onnx").metadata_props
    assert (said.key, said.value) == ("labels", '["a", "é"]')


@pytest.mark.parametrize(
    "model", [tiny(Classifier), tiny_swin(SwinTransformerForImageClassification, depths=[1, 1])], ids=["vit", "swin"]
)
def test_the_heat_of_a_graph_is_that_of_rollout(model):
    program, pixels = graph_of(model, None, heat=True).trace(), images(3)
    logits, heat = program.module()(pixels)
    rollout = explain(model, pixels, method="rollout").maps
    torch.testing.assert_close(heat, rollout / rollout.amax((1, 2), keepdim=True))
    torch.testing.assert_close(logits, model(pixels).logits)


def test_a_fixed_size_is_kept_to():
    graph = graph_of(tiny(Classifier), None, fixed_size=True)
    assert graph.open == "any batch"
    assert tuple(graph.trace().module()(images(5))[0].shape) == (5, 5)
    with pytest.raises(AssertionError, match="Guard failed"):
        graph.trace().module()(images(2, 64, 64))


def test_models_without_a_head_and_videos_within_a_graph_are_refused():
    with pytest.raises(UserError, match="has no classifier"):
        graph_of(tiny(VisionTransformerModel), None)
    with pytest.raises(UserError, match="the model takes videos; export without --preprocessing"):
        graph_of(tiny_timesformer(TimeSformerForVideoClassification), None, preprocessing=True)
