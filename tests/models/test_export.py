"""Graphs of whole models for other programs: torch.export and ONNX, of any batch, and of any size of image."""

import logging
from typing import get_args

import onnxruntime
import pytest
import torch
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch.export import Dim

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    TimeSformerModel,
    VisionTransformerForImageClassification,
)
from vit_hf.models.configuration_timesformer import ClipPositionEmbedding

Classifier = VisionTransformerForImageClassification
POSITIONS = ["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"]
CLIP_FORMS = [("divided_space_time", "learned"), ("divided_space_time", "rotary"), ("joint_space_time", "embedding")]
# Each kind of attention with each kind of positions, every other one with a mask.
CLIP_KINDS = [
    (attention, position, class_attention, bool((place + row) % 2))
    for row, (attention, class_attention) in enumerate(
        [
            ("divided_space_time", "frames"),
            ("divided_space_time", "all"),
            ("joint_space_time", "frames"),
            ("space_only", "frames"),
        ]
    )
    for place, position in enumerate(get_args(ClipPositionEmbedding))
    if (attention, position) != ("joint_space_time", "rotary")
]
OTHER_CLIPS = [(3, 1), (1, 2), (2, 4), (5, 9), (1, 20)]  # how many, and of how many frames
BATCH = Dim("batch", min=1, max=64)
FRAMES = Dim("frames", min=1, max=256)

pytestmark = [
    # torch's exporter pickles by an old name, is told of torchvision's operators without torchvision, and asks
    # for a leaf of a tree in an old way.
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


def exported(model, pixels, sizes) -> torch.export.ExportedProgram:
    return torch.export.export(model, (pixels,), dynamic_shapes=(sizes,), strict=False)


def silence(monkeypatch) -> None:
    """pytest listens to torch's trace of its own work, and what is then written takes many times as long as that."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "handlers", [])


def session_of(program) -> onnxruntime.InferenceSession:
    """What ONNX's own runtime makes of a model or of what was exported of it."""
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])


def logits_of(session: onnxruntime.InferenceSession, pixels: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(session.run(None, {"pixel_values": pixels.numpy()})[0])


@pytest.mark.parametrize("position_embedding", POSITIONS)
def test_an_exported_model_takes_any_batch(position_embedding):
    model = tiny(Classifier, position_embedding=position_embedding, pooling="mean")
    program, pixels = exported(model, images(), {0: BATCH}), images(batch=5)
    torch.testing.assert_close(program.module()(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize("size", [(32, 32), (28, 36)])
def test_an_exported_swin_takes_any_batch(size):
    model = tiny_swin(SwinTransformerForImageClassification)
    program, pixels = exported(model, images(2, *size), {0: BATCH}), images(5, *size)
    torch.testing.assert_close(program.module()(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize(("attention_type", "position_embedding"), CLIP_FORMS)
def test_an_exported_timesformer_takes_any_batch(attention_type, position_embedding):
    words = {"attention_type": attention_type, "position_embedding": position_embedding}
    model = tiny_timesformer(TimeSformerForVideoClassification, **words)
    program, pixels = exported(model, clips(frames=3), {0: BATCH}), clips(5, frames=3)
    torch.testing.assert_close(program.module()(pixels).logits, model(pixels).logits)


def seen_of(batch: int, frames: int) -> torch.Tensor:
    """b t, of which at least the first frame is seen."""
    return torch.rand(batch, frames).gt(0.4).index_fill(1, torch.tensor(0), True)


def clips_of(batch: int, frames: int, masked: bool) -> dict[str, torch.Tensor]:
    """Clips, and where they are masked which of their frames are seen: the first, and some more."""
    if not masked:
        return {"pixel_values": clips(batch, frames)}
    return {"pixel_values": clips(batch, frames), "frame_mask": seen_of(batch, frames)}


def of_any_clips(model, *, masked: bool) -> torch.export.ExportedProgram:
    """Exported with as many frames as an image has channels."""
    given, sizes = clips_of(2, 3, masked), {0: BATCH, 1: FRAMES}
    return torch.export.export(model, (), given, dynamic_shapes=dict.fromkeys(given, sizes), strict=False)


@pytest.mark.parametrize(("attention_type", "position_embedding", "class_attention", "masked"), CLIP_KINDS)
def test_one_graph_of_clips_takes_any_number_of_frames(attention_type, position_embedding, class_attention, masked):
    """Fewer than positions are learned for, as many, and more; none of them those of the example."""
    words = {"attention_type": attention_type, "class_attention": class_attention}
    model = tiny_timesformer(TimeSformerForVideoClassification, position_embedding=position_embedding, **words)
    graph = of_any_clips(model, masked=masked).module()
    for batch, frames in OTHER_CLIPS:
        others = clips_of(batch, frames, masked)
        torch.testing.assert_close(graph(**others).logits, model(**others).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("attention_type", "position_embedding", "class_attention", "masked"), CLIP_KINDS[1::4])
def test_clips_of_any_number_of_frames_are_the_same_in_onnx(
    attention_type, position_embedding, class_attention, masked, monkeypatch
):
    silence(monkeypatch)
    words = {"attention_type": attention_type, "class_attention": class_attention}
    model = tiny_timesformer(TimeSformerForVideoClassification, position_embedding=position_embedding, **words)
    session = session_of(torch.onnx.export(of_any_clips(model, masked=masked), dynamo=True, verbose=False))
    for batch, frames in OTHER_CLIPS:
        others = clips_of(batch, frames, masked)
        found = session.run(None, {name: values.numpy() for name, values in others.items()})[0]
        torch.testing.assert_close(torch.from_numpy(found), model(**others).logits, atol=1e-4, rtol=0)


def test_the_tokens_of_clips_of_any_length_come_out_of_one_graph():
    model = tiny_timesformer(TimeSformerModel, num_frames=3)
    program = exported(model, clips(2, 3), {0: BATCH, 1: FRAMES})
    for frames in (1, 3, 8):
        pixels = clips(1, frames)
        torch.testing.assert_close(program.module()(pixels).last_hidden_state, model(pixels).last_hidden_state)


@pytest.mark.parametrize(
    "model",
    [
        lambda: tiny_swin(SwinTransformerForImageClassification, mask_padding=True, ape=True, depths=[2, 1]),
        lambda: tiny_swin(SwinTransformerForImageClassification, **V2, depths=[2, 1]),
        lambda: tiny(Classifier, position_embedding="rotary", pooling="attention"),
    ],
    ids=["swin", "swin, v2", "vit"],
)
def test_a_model_goes_to_onnx_by_itself_for_any_batch(model, monkeypatch):
    silence(monkeypatch)
    model = model()
    session = session_of(
        torch.onnx.export(model, (images(),), dynamo=True, verbose=False, dynamic_shapes=({0: BATCH},))
    )
    for batch in (1, 2, 5):
        pixels = images(batch)
        torch.testing.assert_close(logits_of(session, pixels), model(pixels).logits, atol=1e-5, rtol=1e-5)
