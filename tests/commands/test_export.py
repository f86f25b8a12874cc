"""ExportResult folders: that they answer as the model does, in processes of their own, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import noise
from PIL import Image
from tiny import tiny, tiny_timesformer

import vit_hf.runs.export as export_run
from vit_hf import TimeSformerForVideoClassification, VisionTransformerForImageClassification
from vit_hf.commands.evaluate import main as evaluate
from vit_hf.commands.export import main
from vit_hf.commands.predict import main as predict
from vit_hf.errors import UserError
from vit_hf.exporting import exported as exported_files
from vit_hf.exporting import onnx_files
from vit_hf.exporting.comparison import Measured
from vit_hf.exporting.exported import ExportedClassifier, Pictures, load_exported
from vit_hf.exporting.formats import HANDED, find_format, next_command
from vit_hf.files import read_json, write_json
from vit_hf.modality import modality_of
from vit_hf.runs.export import export


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory) -> Path:
    """With the float32 weights beside their graph, as those of large models are, and int8 in one file."""
    folder = tmp_path_factory.mktemp("exported") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_files, "LARGEST_FILE", (trained / "model.safetensors").stat().st_size * 3 // 4)
        export(str(trained), folder, precisions=("float32", "int8"))
    assert [path.name for path in sorted(folder.glob("*.onnx*"))] == [
        "model.onnx",
        "model.onnx.data",
        "model_int8.onnx",
    ]
    return folder


def said_of(main: Any, *words: Any, capsys: Any) -> Any:
    assert main([str(word) for word in [*words, "--json"]]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_file_is_measured_beside_the_model(exported: Path):
    record = read_json(exported / "export.json")
    assert record["files"] == {"float32": "model.onnx", "int8": "model_int8.onnx"}
    full, bytes_ = record["measured"]
    assert full["random"] < 1e-4 > full["real"]
    assert full["agreement"] == 1
    assert full["accuracy"] == full["of_torch"]
    # Bytes are not the same, and not far from it.
    assert bytes_["real"] > 1e-4
    assert bytes_["size"] < 0.6 * full["size"]
    card = (exported / "README.md").read_text()
    assert f"| float32 | {full['size'] / 1e6:.3g} MB |" in card
    assert "with vit_hf: `vit-hf predict digits one.jpg`" in card


def test_the_folder_predicts_and_is_evaluated_as_the_model_is(exported: Path, trained: Path, tmp_path: Path, capsys):
    both = [said_of(predict, folder, trained / "examples", capsys=capsys) for folder in (exported, trained)]
    for ours, theirs in zip(*both, strict=True):
        assert ours["image"] == theirs["image"]
        for found, expected in zip(ours["predictions"], theirs["predictions"], strict=True):
            assert found["label"] == expected["label"]
            assert found["probability"] == pytest.approx(expected["probability"], abs=2e-6)
    assert evaluate([str(exported), "--output", str(tmp_path / "figures.json")]) == 0
    assert read_json(tmp_path / "figures.json")["accuracy"] == read_json(trained / "metrics.json")["accuracy"]


def test_a_stranger_needs_no_more_than_the_card_says(exported: Path, trained: Path):
    """The card's own lines, in a process without torch or vit_hf."""
    lines = (exported / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    code = f"import numpy, sys; pixel_values = numpy.zeros((3, 3, 8, 8), 'float32')\n{lines}\n"
    code += "assert not {'torch', 'vit_hf'} & {*sys.modules}; print(logits.shape)"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=exported, capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 10)\n"


def test_a_graph_that_begins_with_a_picture_ends_with_its_probabilities(trained: Path, tmp_path: Path, capsys):
    for number, size in enumerate([(20, 30), (8, 8), (57, 41)]):
        noise(number).resize(size, Image.Resampling.BILINEAR).save(tmp_path / f"{number}.png")
    assert main([str(trained), str(tmp_path / "app"), "--preprocessing", "--heat", "--images", "20"]) == 0
    assert "one picture of any size" in capsys.readouterr().out
    model, _ = load_exported(tmp_path / "app")
    assert model.record["outputs"] == ["probabilities", "heat"]
    both = [said_of(predict, where, *tmp_path.glob("*.png"), capsys=capsys) for where in (tmp_path / "app", trained)]
    for ours, theirs in zip(*both, strict=True):
        assert ours["predictions"][0]["label"] == theirs["predictions"][0]["label"]
        # Of pixels that differ by a gray level.
        assert ours["predictions"][0]["probability"] == pytest.approx(theirs["predictions"][0]["probability"], abs=0.02)
    assert evaluate([str(tmp_path / "app"), "--output", str(tmp_path / "figures.json")]) == 0
    assert read_json(tmp_path / "figures.json")["accuracy"] == pytest.approx(
        read_json(trained / "metrics.json")["accuracy"], abs=0.01
    )
    assert evaluate([str(tmp_path / "app"), "--tta"]) == 2
    assert "has no views of them to average" in capsys.readouterr().err


def test_a_graph_of_batches_is_given_pictures_of_any_size_as_batches_of_one(monkeypatch):
    monkeypatch.setattr(exported_files, "open_file", lambda *where: lambda images: [images.mean((1, 2)) / 255])
    record = {"file": "model.onnx", "runtime": "onnxruntime", "batched": True}
    model = ExportedClassifier(Path(), tiny(VisionTransformerForImageClassification).config, record)
    black, white = np.zeros((4, 6, 3), np.uint8), np.full((5, 3, 3), 255, np.uint8)
    answers: Any = model(Pictures([black, white])).logits
    assert answers.exp().tolist() == [pytest.approx([share] * 3) for share in (0, 1)]


def test_a_runtime_that_says_something_else_is_refused_and_leaves_nothing(trained: Path, tmp_path: Path, monkeypatch):
    written = export_run.ExportTrial.measure

    def disagreeing(self: Any, *given: Any) -> Measured:
        for answers in self.expected.values():
            answers[0] = answers[0] + 0.01
        return written(self, *given)

    monkeypatch.setattr(export_run.ExportTrial, "measure", disagreeing)
    with pytest.raises(UserError, match=r"float32 file differs from PyTorch by 1\.0e-02, over 0\.001\. Nothing is"):
        export(str(trained), tmp_path / "out", "torch", images=0)
    assert [*tmp_path.iterdir()] == []
    kept = export(str(trained), tmp_path / "out", "torch", images=0, allow_difference=True)
    assert len(kept.complaints) == 1


def test_bytes_may_lose_half_a_point_and_no_number_may_be_none():
    fine = Measured("int8", 1, 1.0, 1, random=0.5, real=0.5, agreement=0.9, accuracy=0.905, of_torch=0.91, images=200)
    assert fine.complaint() is None
    worse = Measured("int8", 1, 1.0, 1, random=0.5, real=0.5, agreement=0.9, accuracy=0.9, of_torch=0.91, images=200)
    assert worse.complaint() == (
        "the int8 file names 90.00% of 200 right, 1.00 points less than PyTorch, and 0.5 are allowed"
    )
    assert Measured("float32", 1, 1.0, 1, random=float("nan")).complaint() == "the float32 file says what is no number"
    assert Measured("float32", 1, 1.0, 1, random=1e-6, heat=0.1).complaint() is not None


def test_clips_of_other_lengths_go_through_one_folder(tmp_path: Path):
    model = tiny_timesformer(TimeSformerForVideoClassification)
    model.save_pretrained(tmp_path / "model")
    modality_of(model.config).make_processor(model.config).save_pretrained(tmp_path / "model")
    done = export(str(tmp_path / "model"), tmp_path / "out", "torch")
    assert [one.random < 1e-5 for one in done.measured] == [True]
    answering, _ = load_exported(tmp_path / "out")
    pixels = torch.randn(2, *modality_of(model.config).input_shape(model.config))
    torch.testing.assert_close(answering(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "onxx"], "There is no format 'onxx'; did you mean 'onnx'?"),
        (["--to", "torch", "--precision", "int8"], "--to torch writes float32, and no int8."),
        (["--preprocessing", "--precision", "float16"], "Resizing needs float32; export float16 without"),
        (["--to", "openvino", "--precision", "int8", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_sentence(words, said, trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folders_with_anything_in_them_stay(exported: Path, trained: Path, tmp_path: Path):
    with pytest.raises(UserError, match="is there already; name a new folder"):
        export(str(trained), exported)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UserError, match="holds something else than an earlier export"):
        export(str(trained), tmp_path, overwrite=True)
    with pytest.raises(UserError, match="is an exported folder; export the model that it was made of"):
        export(str(exported), tmp_path / "again")


def test_damaged_folders_are_refused_with_what_is_wrong(exported: Path, tmp_path: Path):
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((exported / name).read_bytes())
    record = read_json(exported / "export.json")
    for change, said in [
        ({"runtime": "abacus"}, "names the runtime 'abacus'"),
        ({"file": "gone.onnx"}, "has no file gone.onnx"),
        ({"file": "../model.onnx"}, r"has no file \.\./model\.onnx"),
    ]:
        write_json(tmp_path / "export.json", {**record, **change})
        with pytest.raises(UserError, match=said):
            load_exported(tmp_path)
    write_json(tmp_path / "export.json", record)
    (tmp_path / "model.onnx").write_bytes((exported / "model.onnx").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"model\.onnx cannot be loaded"):
        load_exported(tmp_path)


def test_an_exporter_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("vit_hf.exporting.formats.find_spec", lambda name: None if name == "nncf" else object())
    with pytest.raises(UserError, match=r"openvino needs nncf, which is not installed: pip install 'vit_hf\[openvi"):
        find_format("openvino")


@pytest.mark.parametrize("name", HANDED)
def test_what_another_tool_makes_gets_the_command_to_type(name, tmp_path: Path):
    _, handed = find_format(name)
    assert handed is not None
    command = next_command(handed, tmp_path / "a folder" / "model.onnx", "pixel_values", (3, 8, 8))
    assert "a folder" in command
    assert "{" not in command


def test_a_model_without_labels_is_refused(tmp_path: Path):
    model = tiny(VisionTransformerForImageClassification, num_labels=0)
    model.save_pretrained(tmp_path / "model")
    modality_of(model.config).make_processor(model.config).save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="has no classifier"):
        export(str(tmp_path / "model"), tmp_path / "out")
