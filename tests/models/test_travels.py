"""A saved folder, loaded by someone who does not have the package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from strangers import run_as_stranger
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from transformers import ViTImageProcessorPil, pipeline

import vit_hf
from vit_hf import (
    SwinTransformerForImageClassification,
    SwinTransformerForMaskedImageModeling,
    SwinTransformerModel,
    TimeSformerForVideoClassification,
    TimeSformerModel,
    TimeSformerVideoProcessor,
    VisionTransformerBackbone,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.families import FAMILIES

CLASSES = {
    "AutoModel": VisionTransformerModel,
    "AutoModelForImageClassification": VisionTransformerForImageClassification,
    "AutoModelForMaskedImageModeling": VisionTransformerForMaskedImageModeling,
}


@pytest.fixture
def classifier(tmp_path):
    """A saved classifier with everything that could get lost on the way, and its image processor beside it."""
    model = tiny(
        VisionTransformerForImageClassification,
        position_embedding="relative_bias",
        layer_scale_init_value=0.1,
        num_register_tokens=2,
        pooling="attention",
        temperature=1.7,
        id2label={0: "ant", 1: "bee", 2: "cat"},
        label2id={"ant": 0, "bee": 1, "cat": 2},
    )
    model.save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    return model


@pytest.fixture
def video_classifier(tmp_path):
    """A saved classifier of clips of four frames of 32 x 24 pixels, and its video processor beside it."""
    model = tiny_timesformer(
        TimeSformerForVideoClassification, image_size=[32, 24], id2label={0: "run", 1: "sit", 2: "wave"}
    )
    model.save_pretrained(tmp_path)
    fields: dict[str, Any] = {"num_frames": 4, "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 24}}
    TimeSformerVideoProcessor(image_std=[0.2, 0.25, 0.3], **fields).save_pretrained(tmp_path)
    return model


def frames(count: int = 9) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), np.uint8))


def write_film(file: Path, codec: str) -> None:
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


PARTS = ("attention", "blocks", "configuration_base", "fast_paths", "modeling_base")
PARTS += ("patches", "pooling", "positions", "shapes", "target_units")
CODE = {f"{name}.py" for name in (*PARTS, "configuration_vit", "modeling_vit", "modeling_vit_heads")}


SWIN_PARTS = (
    "windows",
    "fast_groups",
    "fast_windows",
    "window_blocks",
    "configuration_swin",
    "modeling_swin",
)
SWIN_CODE = {f"{name}.py" for name in (*PARTS, *SWIN_PARTS)}


def lines_of_code(folder: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in folder.glob("*.py"))


def test_the_folder_holds_the_code_of_the_model_and_nothing_else(classifier, tmp_path):
    assert {file.name for file in tmp_path.glob("*.py")} == CODE


def test_the_code_of_a_vit_with_every_head_is_short(tmp_path):
    for head in FAMILIES["vit"].classes.values():
        tiny(head).save_pretrained(tmp_path)
    assert lines_of_code(tmp_path) < 1350


def test_a_folder_of_swin_holds_its_own_code_and_the_parts(tmp_path):
    tiny_swin(SwinTransformerForImageClassification).save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.glob("*.py")} == SWIN_CODE
    assert lines_of_code(tmp_path) < 1800


CLIP_FILES = ("clips", "divided", "fast_groups")
CLIP_CODE = {f"{name}.py" for name in (*PARTS, *CLIP_FILES, "configuration_timesformer", "modeling_timesformer")}


def test_a_folder_of_timesformer_holds_its_own_code_and_the_parts(tmp_path):
    tiny_timesformer(TimeSformerForVideoClassification).save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.glob("*.py")} == CLIP_CODE
    assert lines_of_code(tmp_path) < 1700


PROCESSOR_FILES = (
    *("films", "frame_sampling", "image_files", "image_processing_vit", "torchcodec_films", "video_frames"),
    "video_processing_timesformer",
)


def test_a_processor_of_videos_adds_how_frames_are_read_and_chosen(video_classifier, tmp_path):
    assert {file.name for file in tmp_path.glob("*.py")} == CLIP_CODE | {f"{name}.py" for name in PROCESSOR_FILES}
    assert sum(len((tmp_path / f"{name}.py").read_text().splitlines()) for name in PROCESSOR_FILES) < 1200


@pytest.mark.parametrize("head", FAMILIES["vit"].classes.values())
def test_every_head_of_a_family_travels_with_each(head, tmp_path):
    tiny(head).save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.glob("*.py")} == CODE
    named = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert {auto: name.split(".")[1] for auto, name in named.items() if auto != "AutoConfig"} == {
        auto: one.__name__ for auto, one in FAMILIES["vit"].classes.items()
    }


def test_a_stranger_loads_any_head_from_a_classifiers_folder(classifier, tmp_path):
    save_file({"pixels": images()}, tmp_path / "pixels.st")
    run_as_stranger(
        """
pixels = load_file("pixels.st")["pixels"]
painter = transformers.AutoModelForMaskedImageModeling.from_pretrained(folder, trust_remote_code=True)
assert type(painter).__name__ == "VisionTransformerForMaskedImageModeling"
config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True, out_indices=[1, 2])
backbone = transformers.AutoBackbone.from_config(config, trust_remote_code=True)
trunk = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True)
backbone.vit.load_state_dict(trunk.state_dict(), strict=False)
with torch.no_grad():
    one, other = backbone.eval()(pixels).feature_maps
save_file(dict(one=one, other=other), "stranger.st")
""",
        tmp_path,
    )
    maps = load_file(tmp_path / "stranger.st")
    backbone: Any = VisionTransformerBackbone.from_pretrained(tmp_path, out_indices=[1, 2])
    with torch.no_grad():
        for found, expected in zip(
            (maps["one"], maps["other"]),
            backbone(load_file(tmp_path / "pixels.st")["pixels"]).feature_maps,
            strict=True,
        ):
            assert torch.equal(found, expected)


def test_the_saved_configuration_says_which_version_wrote_the_code(classifier, tmp_path):
    assert json.loads((tmp_path / "config.json").read_text())["vit_hf_version"] == vit_hf.__version__


SWIN_CLASSES = {
    "AutoModel": SwinTransformerModel,
    "AutoModelForImageClassification": SwinTransformerForImageClassification,
    "AutoModelForMaskedImageModeling": SwinTransformerForMaskedImageModeling,
}


@pytest.mark.parametrize("auto", CLASSES)
def test_a_stranger_gets_the_same_numbers_bit_for_bit(auto, tmp_path):
    assert_same_for_a_stranger(tiny(CLASSES[auto], position_embedding="sincos_2d"), auto, images(), tmp_path)


@pytest.mark.parametrize(
    ("auto", "words"),
    [
        ("AutoModel", V2),
        ("AutoModelForImageClassification", {"ape": True}),
        ("AutoModelForMaskedImageModeling", {}),
    ],
    ids=["v2", "v1", "painter"],
)
def test_a_stranger_gets_swins_numbers_bit_for_bit(auto, words, tmp_path):
    model = tiny_swin(SWIN_CLASSES[auto], **words)
    assert_same_for_a_stranger(model, auto, images(height=36, width=46), tmp_path)


def test_a_stranger_gets_the_numbers_of_a_regression_in_their_units_and_its_loss(tmp_path):
    words = {"id2label": {0: "year", 1: "price"}, "problem_type": "regression"}
    model = tiny(VisionTransformerForImageClassification, **words, target_mean=[2016.0, 5e4], target_std=[5.0, 1e4])
    assert_same_for_a_stranger(model, "AutoModelForImageClassification", images(), tmp_path)


CLIP_CLASSES = {"AutoModel": TimeSformerModel, "AutoModelForVideoClassification": TimeSformerForVideoClassification}


@pytest.mark.parametrize(
    ("auto", "position_embedding", "attention_type"),
    [
        ("AutoModel", "rotary", "divided_space_time"),
        ("AutoModel", "embedding", "joint_space_time"),
        ("AutoModelForVideoClassification", "learned", "divided_space_time"),
    ],
)
def test_a_stranger_gets_timesformers_numbers_bit_for_bit(auto, position_embedding, attention_type, tmp_path):
    words = {"position_embedding": position_embedding, "attention_type": attention_type}
    model = tiny_timesformer(CLIP_CLASSES[auto], **words)
    assert_same_for_a_stranger(model, auto, clips(frames=3, height=40), tmp_path)


def assert_same_for_a_stranger(model, auto, pixels, tmp_path):
    model.save_pretrained(tmp_path)
    save_file({"pixels": pixels}, tmp_path / "pixels.st")
    run_as_stranger(
        f"""
model = transformers.{auto}.from_pretrained(folder, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules"), type(model).__module__
with torch.no_grad():
    first = model(load_file("pixels.st")["pixels"], return_dict=False)[0]
save_file(dict(first=first.contiguous()), "stranger.st")
""",
        tmp_path,
    )
    with torch.no_grad():  # which decides how attention is computed where biases learn
        expected = model(load_file(tmp_path / "pixels.st")["pixels"], return_dict=False)[0]
    assert torch.equal(load_file(tmp_path / "stranger.st")["first"], expected)


def test_a_stranger_uses_and_saves_what_lies_in_a_classifiers_folder(classifier, tmp_path):
    run_as_stranger(
        """
for auto in ("AutoModel", "AutoModelForImageClassification"):
    again = getattr(transformers, auto).from_pretrained(folder, trust_remote_code=True)
outputs = again(torch.zeros(1, 3, 48, 48), labels=torch.tensor([1]))
assert outputs.logits.shape == (1, 3) and outputs.loss.isfinite()
try:
    transformers.AutoModel.from_pretrained(folder, trust_remote_code=True, image_size=225)
except ValueError as error:
    assert "225 pixels do not divide into patches of 8" in str(error), error
else:
    raise AssertionError("built for a size that patches do not divide")
again.save_pretrained("again")
transformers.AutoModel.from_pretrained("again", trust_remote_code=True)
""",
        tmp_path,
    )


OF_ANOTHER_VERSION = """
import sys
from transformers import AutoModelForImageClassification

theirs = AutoModelForImageClassification.from_pretrained(sys.argv[1], trust_remote_code=True)
assert theirs.written_by == "another version"
assert "vit_hf" not in sys.modules, "the code of the folder took something from the installed package"
assert not [base for base in type(theirs).__mro__ if base.__module__.split(".")[0] == "vit_hf"]

import vit_hf
from transformers import AutoModel

ours = AutoModelForImageClassification.from_pretrained(sys.argv[1])
assert type(ours) is vit_hf.VisionTransformerForImageClassification and not hasattr(ours, "written_by")
again = AutoModelForImageClassification.from_pretrained(sys.argv[1], image_size=48)  # which only the package adapts
assert again.config.patch_grid == (6, 6)
"""


def test_a_folder_of_another_version_takes_nothing_of_the_installed_package(classifier, tmp_path):
    base = tmp_path / "modeling_base.py"
    code = base.read_text()
    mark = '    main_input_name = "pixel_values"\n'
    assert mark in code
    base.write_text(code.replace(mark, mark + '    written_by = "another version"\n'))
    environment = {**os.environ, "PYTHONPATH": str(Path(vit_hf.__file__).parents[1])}
    words = [sys.executable, "-c", OF_ANOTHER_VERSION, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_stranger_minimizes_what_the_package_does(tmp_path):
    model = tiny(VisionTransformerForImageClassification, label_smoothing=0.2)
    model.save_pretrained(tmp_path)
    save_file({"pixels": images(), "shares": torch.rand(2, 5).softmax(-1)}, tmp_path / "batch.st")
    run_as_stranger(
        """
model = transformers.AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
batch = load_file("batch.st")
whole, shares = (model(batch["pixels"], labels=labels).loss for labels in (torch.tensor([1, 4]), batch["shares"]))
save_file(dict(whole=whole.detach(), shares=shares.detach()), "stranger.st")
""",
        tmp_path,
    )
    batch, losses = (load_file(tmp_path / name) for name in ("batch.st", "stranger.st"))
    assert torch.equal(losses["whole"], model(batch["pixels"], labels=torch.tensor([1, 4])).loss)
    assert torch.equal(losses["shares"], model(batch["pixels"], labels=batch["shares"]).loss)


def test_code_is_not_run_without_trust(classifier, tmp_path):
    run_as_stranger(
        """
try:
    transformers.AutoModel.from_pretrained(folder, trust_remote_code=False)
except ValueError as error:
    assert "trust_remote_code" in str(error)
else:
    raise AssertionError("the code was run")
""",
        tmp_path,
    )


def test_pipelines_answer_alike_with_and_without_the_package(classifier, tmp_path):
    picture = Image.effect_mandelbrot((50, 40), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    picture.save(tmp_path / "picture.png")
    run_as_stranger(
        """
import json
answers = []
for task in ("image-classification", "image-feature-extraction"):
    pipe = transformers.pipeline(task, model=folder, trust_remote_code=True, device="cpu")
    answers.append(pipe("picture.png"))
json.dump(answers, open("answers.json", "w"))
""",
        tmp_path,
    )
    labels, features = json.loads((tmp_path / "answers.json").read_text())
    picture = str(tmp_path / "picture.png")
    assert pipeline("image-classification", model=str(tmp_path), device="cpu")(picture) == labels
    assert pipeline("image-feature-extraction", model=str(tmp_path), device="cpu")(picture) == features
    assert {answer["label"] for answer in labels} == {"ant", "bee", "cat"}


def test_a_backbone_comes_back_too(tmp_path):
    model = tiny(VisionTransformerBackbone, out_indices=[0, 2])
    model.save_pretrained(tmp_path)
    pixels = images()
    loaded = VisionTransformerBackbone.from_pretrained(tmp_path)
    for one, other in zip(loaded(pixels).feature_maps, model(pixels).feature_maps, strict=True):
        assert torch.equal(one, other)


def test_a_stranger_prepares_and_classifies_videos_bit_for_bit(video_classifier, tmp_path):
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(frames()):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number}.png")
    write_film(tmp_path / "clip.mp4", "libx264")
    run_as_stranger(
        """
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
processor = AutoVideoProcessor.from_pretrained(folder, trust_remote_code=True)
model = transformers.AutoModelForVideoClassification.from_pretrained(folder, trust_remote_code=True)
assert type(processor).__module__.startswith("transformers_modules"), type(processor).__module__
inputs = processor(["clip", "clip.mp4"], return_tensors="pt")
with torch.no_grad():
    save_file(dict(pixels=inputs["pixel_values"], logits=model(**inputs).logits), "stranger.st")
processor.save_pretrained("again")
AutoVideoProcessor.from_pretrained("again", trust_remote_code=True)
""",
        tmp_path,
    )
    stranger = load_file(tmp_path / "stranger.st")
    processor = TimeSformerVideoProcessor.from_pretrained(tmp_path)
    inputs = processor([tmp_path / "clip", tmp_path / "clip.mp4"], return_tensors="pt")
    assert torch.equal(stranger["pixels"], inputs["pixel_values"])
    with torch.no_grad():
        assert torch.equal(stranger["logits"], video_classifier(**inputs).logits)


def test_a_stranger_without_pyav_reads_folders_and_animations(video_classifier, tmp_path):
    write_film(tmp_path / "clip.mp4", "libx264")
    first, *others = [Image.fromarray(frame) for frame in frames()]
    first.save(tmp_path / "clip.png", save_all=True, append_images=others)
    run_as_stranger(
        """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *package: None if name in ("av", "torchcodec") else find(name, *package)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
processor = AutoVideoProcessor.from_pretrained(folder, trust_remote_code=True)
assert "av" not in sys.modules
assert processor("clip.png", return_tensors="pt")["pixel_values"].shape == (1, 4, 3, 32, 24)
try:
    processor("clip.mp4")
except ValueError as error:
    assert "pip install av" in str(error), error
else:
    raise AssertionError("read by what is not there")
""",
        tmp_path,
    )


def test_the_video_pipeline_answers_alike_with_and_without_the_package(video_classifier, tmp_path):
    films = {"clip.mp4": "libx264", "clip.avi": "mpeg4"}
    for name, codec in films.items():
        write_film(tmp_path / name, codec)
    run_as_stranger(
        """
import json
pipe = transformers.pipeline("video-classification", model=folder, trust_remote_code=True, device="cpu")
assert type(pipe.video_processor).__module__.startswith("transformers_modules")
json.dump(pipe(["clip.mp4", "clip.avi"], top_k=3), open("answers.json", "w"))
""",
        tmp_path,
    )
    answers = json.loads((tmp_path / "answers.json").read_text())
    pipe = pipeline("video-classification", model=str(tmp_path), device="cpu")
    assert type(pipe.video_processor) is TimeSformerVideoProcessor
    paths = [str(tmp_path / name) for name in films]
    assert pipe(paths, top_k=3) == answers
    inputs = TimeSformerVideoProcessor.from_pretrained(tmp_path)(paths, return_tensors="pt")
    with torch.no_grad():
        shares = video_classifier(**inputs).logits.softmax(-1)
    for answer, expected in zip(answers, shares, strict=True):
        scores = {one["label"]: one["score"] for one in answer}
        given = torch.tensor([scores[label] for label in ("run", "sit", "wave")])
        torch.testing.assert_close(given, expected)  # a batch of one adds up in another order than one of two
