import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from made_images import noise
from PIL import Image
from tiny import tiny_timesformer

from vit_hf import TimeSformerForVideoClassification
from vit_hf.commands.explain import comparison_table, main
from vit_hf.errors import UserError
from vit_hf.explanation.comparison import MethodGains
from vit_hf.explanation.inside import last_features
from vit_hf.modality import modality_of
from vit_hf.runs.explain import Subject
from vit_hf.runs.explained_features import colors_of


@pytest.fixture
def video_model(tmp_path: Path) -> Path:
    model = tiny_timesformer(TimeSformerForVideoClassification)
    model.save_pretrained(tmp_path / "model")
    modality_of(model.config).make_processor(model.config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def size_of(picture: str | Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_each_image_gets_a_picture_with_its_heat_and_its_gain(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), str(trained / "examples"), "--output", str(tmp_path / "why"), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert len(results) == 10
    for result in results:
        assert 0 < result["probability"] <= 1
        assert result["label"] in "0123456789"
        assert -1 <= result["gains"]["relevance"] <= 1
        (picture,) = result["pictures"]
        assert size_of(picture)[0] > 300


def test_methods_are_compared_side_by_side(trained: Path, tmp_path: Path, capsys):
    noise(0).save(tmp_path / "a.png")
    assert main([str(trained), str(tmp_path / "a.png"), "--output", str(tmp_path), "--compare", "--target", "7"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("relevance", "grad_cam", "rollout", "attention", "chance"))
    # What is there keeps its name.
    assert size_of(tmp_path / "a.png") == noise(0).size
    assert size_of(tmp_path / "a_2.png")[0] > 900


def test_over_all_images_methods_have_mean_gains_with_intervals(trained: Path, tmp_path: Path, capsys):
    pictures = [str(trained / "examples" / f"{number}.png") for number in range(3)]
    assert main([str(trained), *pictures, "--output", str(tmp_path), "--compare", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    means = {name: sum(one["gains"][name] for one in results) / 3 for name in results[0]["gains"]}
    assert [*means] == ["relevance", "grad_cam", "rollout", "attention", "chance"]
    gains = {name: torch.tensor([one["gains"][name] for one in results]) for name in means}
    lines = comparison_table(MethodGains(gains)).splitlines()
    assert "more than relevance" in lines[0]
    for line, (name, mean) in zip(lines[2:], means.items(), strict=True):
        assert line.split()[:2] == [name, f"{mean:+.3f}"]
        assert line.count(" to ") == (1 if name == "relevance" else 2)


def test_of_a_video_there_is_an_animation_and_a_curve_over_time(video_model: Path, tmp_path: Path, capsys):
    (tmp_path / "clip").mkdir()
    for number in range(6):
        noise(number).save(tmp_path / "clip" / f"{number}.png")
    assert main([str(video_model), str(tmp_path / "clip"), "--output", str(tmp_path / "why"), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    strips, animated, time = result["pictures"]
    with Image.open(animated) as animation:
        assert (animation.format, getattr(animation, "n_frames", 1)) == ("GIF", 4)
        assert animation.width == 2 * animation.height
    assert size_of(strips)[0] > 300
    assert size_of(time)[0] > 100


def test_inside_a_model_there_are_features_filters_positions_and_distances(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--inside", "--output", str(tmp_path / "inside")]) == 0
    pictures = capsys.readouterr().out.splitlines()[-4:]
    assert [Path(one).stem for one in pictures] == ["features", "filters", "positions", "attention_distance"]
    assert all(min(size_of(one)) > 100 for one in pictures)


def test_inside_a_model_of_videos_there_are_strips(video_model: Path, tmp_path: Path, capsys):
    assert main([str(video_model), "--inside", "--output", str(tmp_path / "inside")]) == 2
    assert "has no folder of examples; name images" in capsys.readouterr().err
    (tmp_path / "clip").mkdir()
    for number in range(6):
        noise(number).save(tmp_path / "clip" / f"{number}.png")
    assert main([str(video_model), str(tmp_path / "clip"), "--inside", "--output", str(tmp_path / "inside")]) == 0
    assert size_of(tmp_path / "inside" / "features.png")[0] > 300


def test_features_of_all_images_share_their_colors(trained: Path, tmp_path: Path, capsys):
    pictures = [str(trained / "examples" / f"{number}.png") for number in (0, 1)]
    words = [*pictures, "--method", "features", "--json", "--output", str(tmp_path)]
    assert main([str(trained), *words]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in results] == pictures
    alike = show_colors(trained, pictures)
    assert not torch.allclose(alike[0], show_colors(trained, pictures[:1])[0])
    for one, colors in zip(results, alike, strict=True):
        (picture,) = one["pictures"]
        with Image.open(picture) as drawn:
            panel = torch.from_numpy(np.array(drawn.convert("RGB"))).float()
        for color in colors.flatten(0, 1).mul(255):  # each of the 16 patches is seen
            assert (panel - color).abs().amax(-1).min() <= 1
    assert main([str(trained), pictures[0], *words[2:], "--target", "7"]) == 2
    assert "Leave --target out: features are the same whatever the label" in capsys.readouterr().err


def show_colors(model: Path, pictures: list[str]) -> Sequence[torch.Tensor]:
    subject = Subject(str(model), pictures, None, trust_remote_code=False)
    shown = [subject.read(path)[0][0].float().div(255) for path in subject.paths]
    return colors_of([last_features(subject.model, subject.inputs(one)) for one in shown])


def test_three_directions_take_four_patches():
    with pytest.raises(UserError, match="take 4 of them, and the last layer has 3 in all; name more images"):
        colors_of([torch.rand(1, 1, 1, 8)] * 3)
    assert [one.shape for one in colors_of([torch.rand(1, 1, 1, 8)] * 4)] == [(1, 1, 3)] * 4


def test_features_of_a_video_are_those_of_each_frame(video_model: Path, tmp_path: Path, capsys):
    (tmp_path / "clip").mkdir()
    for number in range(6):
        noise(number).save(tmp_path / "clip" / f"{number}.png")
    assert main([str(video_model), str(tmp_path / "clip"), "--method", "features", "--output", str(tmp_path)]) == 0
    assert str(tmp_path / "clip.png") in capsys.readouterr().out
    width, height = size_of(tmp_path / "clip.png")
    assert width > 4 * height


def test_without_images_there_is_nothing_to_explain(trained: Path, capsys):
    assert main([str(trained)]) == 2
    assert "Name the images to explain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "relevanse"], "There is no method 'relevanse'; did you mean 'relevance'?"),
        (["--method", "attention", "--compare"], "leave --method out, or --compare"),
        (["--method", "features", "--compare"], "leave --method out, or --compare"),
        (["--method", "featurs"], "There is no method 'featurs'; did you mean 'features'?"),
        (["--compare", "--layer", "1"], "--layer is an option of one method"),
        (["--target", "11"], "There is no label '11'"),
        (["--method", "attention", "--layer", "7"], "There is no layer 7; the model has 1, 0 to 0"),
        (["--method", "grad_cam", "--layer", "vit.layer"], "did you mean 'vit.layers'"),
    ],
)
def test_what_does_not_exist_is_a_sentence_before_anything_is_written(
    trained: Path, tmp_path: Path, capsys, words, sentence
):
    noise(0).save(tmp_path / "a.png")
    assert main([str(trained), str(tmp_path / "a.png"), "--output", str(tmp_path / "why"), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "why").exists()


def test_images_where_a_video_is_wanted_are_named(video_model: Path, trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), str(tmp_path), "--output", str(tmp_path / "why")]) == 2
    assert "is empty" in capsys.readouterr().err
    (tmp_path / "film.mp4").write_bytes(b"no film")
    assert main([str(trained), str(tmp_path / "film.mp4"), "--output", str(tmp_path / "why")]) == 1
    assert "1 of 1 images cannot be read" in capsys.readouterr().err


def test_heat_lies_where_the_evidence_was_put(trained: Path):
    """A sum of the maps of many images is not the same everywhere: heat follows the image."""
    from vit_hf.explanation.explain import explain
    from vit_hf.publishing.load_classifier import load_classifier

    model, processor = load_classifier(str(trained))
    pictures = [Image.open(path) for path in sorted((trained / "examples").iterdir())]
    maps = explain(model, processor(pictures, return_tensors="pt")["pixel_values"]).maps
    assert torch.pdist(maps.flatten(1)).min() > 0
