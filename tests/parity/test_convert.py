"""From timm's folders to ours and back, by the command and by a recipe, as a user does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

from vit_hf.commands.convert import main
from vit_hf.commands.train import main as train
from vit_hf.conversion import from_timm, load_any, to_timm
from vit_hf.conversion.core import parity as comparing
from vit_hf.conversion.timm.convert import save_timm

ROOT = Path(__file__).parents[2]
CLIP = "vit_base_patch16_clip_224"
NAMES = ["ant", "bee", "cat", "dog", "elk"]


def tiny_timm(name: str = CLIP, **words):
    sizes = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "patch_size": 8, "num_classes": 5}
    model = timm.create_model(name, **{**sizes, **words})
    cfg = {"num_classes": 5, "label_names": NAMES, "license": "cc-by-nc-4.0", "input_size": (3, 32, 32)}
    model.pretrained_cfg = {**model.pretrained_cfg, **cfg}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    timm.models.save_for_hf(tiny_timm(), tmp_path / "theirs", safe_serialization=True)
    return tmp_path / "theirs"


def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32)


def test_a_folder_of_timms_becomes_one_of_ours_that_anyone_can_load(folder, tmp_path, capsys):
    assert main([str(folder), str(tmp_path / "ours")]) == 0
    said = capsys.readouterr().out
    assert "equal within 0.0001" in said
    assert "forbids commercial use" in said
    assert len(said.split("Next, you could")[1].strip().splitlines()) == 3
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "ours")
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = pixels()
    torch.testing.assert_close(model(images).logits, theirs(images), rtol=0, atol=1e-5)
    assert [model.config.id2label[index] for index in range(5)] == NAMES
    processor = AutoImageProcessor.from_pretrained(tmp_path / "ours", trust_remote_code=True)
    assert list(processor.image_mean) == list(theirs.pretrained_cfg["mean"])
    report = json.loads((tmp_path / "ours" / "parity.json").read_text())["timm and vit_hf"]
    assert report["passed"]
    assert [row["place"] for row in report["differences"]] == ["block 1", "block 2", "tokens", "logits"]
    card = ModelCard.load(tmp_path / "ours" / "README.md")
    assert card.data.license == "cc-by-nc-4.0"
    assert "forbids commercial use" in card.text
    assert not list(tmp_path.glob(".*"))  # nothing is left beside it


def test_there_and_back_again_is_bit_equal_in_every_tensor(folder, tmp_path):
    assert main([str(folder), str(tmp_path / "ours")]) == 0
    assert main([str(tmp_path / "ours"), str(tmp_path / "back"), "--to", "timm"]) == 0
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    one, other = (timm.create_model(f"local-dir:{path}", pretrained=True) for path in (folder, tmp_path / "back"))
    images = pixels()
    assert torch.equal(one.eval()(images), other.eval()(images))
    for name in ("mean", "std", "interpolation", "crop_mode", "label_names", "license"):
        assert other.pretrained_cfg[name] == one.pretrained_cfg[name], name


def test_weights_alone_need_the_name_of_what_they_are(tmp_path):
    weights = tmp_path / "weights.safetensors"
    model = timm.create_model("test_vit", num_classes=5)
    save_file(model.state_dict(), weights)
    loaded = load_any(weights, architecture="test_vit")
    assert loaded.compare().passed
    assert loaded.model.config.num_labels == 5
    with pytest.raises(ValueError, match="weights alone; name what they are"):
        from_timm(weights)
    with pytest.raises(ValueError, match="are not of this VisionTransformer of timm: they lack|blocks"):
        load_any(weights, architecture="test_vit2")


def test_another_function_is_not_written(folder, tmp_path, capsys, monkeypatch):
    bounds = dict.fromkeys(comparing.BOUNDS, -1.0)
    monkeypatch.setattr(comparing, "BOUNDS", bounds)
    assert main([str(folder), str(tmp_path / "ours")]) == 1
    assert "nothing is written" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def truncated(folder: Path) -> str:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return "truncated"


def of_another_model(folder: Path) -> str:
    save_file({"fc.weight": torch.zeros(2)}, folder / "model.safetensors")
    return "lack ['blocks.0.attn.proj.bias', "


def of_another_size(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["embed_dim"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    return "of shape (1, 1, 32), but the model that is named there has (1, 1, 64)"


def without_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "holds no weights"


def of_no_library(folder: Path) -> str:
    (folder / "config.json").write_text("{}")
    return "of no known library"


def no_json(folder: Path) -> str:
    (folder / "config.json").write_text("{")
    return "is no JSON"


def of_an_unknown_architecture(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({"architecture": "vit_nowhere", "pretrained_cfg": {}}))
    return "cannot build it"


@pytest.mark.parametrize(
    "broken",
    [truncated, of_another_model, of_another_size, without_weights, of_no_library, no_json, of_an_unknown_architecture],
)
def test_a_broken_source_is_one_sentence_and_leaves_nothing(broken, folder, tmp_path, capsys):
    message = broken(folder)
    assert main([str(folder), str(tmp_path / "ours")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def test_a_destination_that_is_taken_is_refused(folder, tmp_path, capsys):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "mine.txt").write_text("keep me")
    assert main([str(folder), str(tmp_path / "ours")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "ours" / "mine.txt").read_text() == "keep me"


def test_what_timm_cannot_represent_is_named():
    model = from_timm(tiny_timm("vit_base_patch16_224"))
    model.config.layer_norm_eps = 1e-12
    live = to_timm(model)
    assert live.blocks[0].norm1.eps == 1e-12
    with pytest.raises(ValueError, match="cannot represent layer_norm_eps=1e-12, only 1e-06 or 1e-05"):
        save_timm(live, Path("nowhere"))


def test_a_recipe_fine_tunes_a_model_of_timms(folder, tmp_path):
    out, recipe = tmp_path / "out", tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {{from: {folder}, image_size: 16, num_channels: 1, drop_path_rate: 0.1}}\n"
        "data: {name: digits, interpolation: bilinear}\n"
        f"training: {{output_dir: {out}, max_steps: 3, per_device_train_batch_size: 16, save_strategy: no}}\n"
    )
    assert train([str(recipe)]) == 0
    model = AutoModelForImageClassification.from_pretrained(out)
    config = model.config
    assert (config.image_size, config.num_channels, config.drop_path_rate, config.pre_norm) == (16, 1, 0.1, True)
    assert config.num_labels == 10
    start = load_file(folder / "model.safetensors")["blocks.0.mlp.fc1.weight"]
    learned = model.vit.layers[0].feed_forward.inner.weight
    assert 0 < (learned - start).abs().max() < 0.01  # it went on from there
    saved = (out / "recipe.yaml").read_text()
    assert f"from: {folder.name}" in saved
    assert "interpolation: bilinear" in saved
    processor = AutoImageProcessor.from_pretrained(out, trust_remote_code=True)
    mean = timm.create_model(CLIP).pretrained_cfg["mean"]
    assert list(processor.image_mean) == [pytest.approx(sum(mean) / 3)]
    card = ModelCard.load(out / "README.md")
    assert card.data.license == "cc-by-nc-4.0"
    assert "fine-tuned from theirs" in card.text.replace("\\", "")
    assert "from scratch" not in card.text


def test_a_pretrained_model_keeps_its_shape(folder, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: {{from: {folder}, hidden_size: 64}}\ndata: {{name: digits}}\n")
    assert train([str(recipe)]) == 2
    assert "are of a model with hidden_size=32, which cannot be changed" in capsys.readouterr().err


MEASURED = """
import re, resource, runpy, sys
runpy.run_path(sys.argv[2])["make_torchvision_importable"]()
import timm, torch, vit_hf.conversion.timm
from vit_hf.conversion.pretrained import load_any
torch.set_num_threads(1)
def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
load_any(sys.argv[3]).compare()
before = resident()
loaded = load_any(sys.argv[1])
assert loaded.compare().passed
# Not getrusage, whose peak begins with that of the process which started this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(peak - before)
"""


def test_a_conversion_holds_less_than_two_and_a_fifth_of_the_checkpoint(folder, tmp_path):
    words = {"embed_dim": 768, "num_heads": 12, "depth": 4, "patch_size": 16, "img_size": 224}
    timm.models.save_for_hf(tiny_timm(**words), tmp_path / "large", safe_serialization=True)
    size = (tmp_path / "large" / "model.safetensors").stat().st_size
    operators = ROOT / "vit_hf" / "commands" / "benchmark" / "operators.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "large"), str(operators), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2.2 * size
