import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny import images, tiny
from transformers import (
    AutoModelForImageClassification,
    TorchAoConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from vit_hf import VisionTransformerForImageClassification, VisionTransformerModel
from vit_hf.commands.convert import fields_said, main
from vit_hf.conversion import load_any
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.errors import UserError


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    model: Any = tiny(VisionTransformerForImageClassification, id2label={0: "ant", 1: "bee"}, patch_embedding="conv")
    model.save_pretrained(tmp_path / "ours")
    make_image_processor(model.config, mean=(0.1, 0.2, 0.3)).save_pretrained(tmp_path / "ours")
    (tmp_path / "ours" / "README.md").write_text("---\nlicense: mit\nbase_model: owner/first\n---\n\n# Mine\n")
    return tmp_path / "ours"


def test_our_own_folder_comes_with_everything_that_is_known_of_it(ours):
    loaded = load_any(ours)
    assert (loaded.kind, loaded.license, loaded.base_model, loaded.notes) == ("vit_hf", "mit", "owner/first", [])
    assert list(loaded.processor.image_mean) == [0.1, 0.2, 0.3]
    assert loaded.model.config.id2label == {0: "ant", 1: "bee"}
    assert loaded.compare() is None


def test_an_encoder_alone_is_loaded_as_one(tmp_path):
    model: Any = tiny(VisionTransformerModel)
    model.save_pretrained(tmp_path)
    loaded = load_any(tmp_path)
    assert type(loaded.model) is VisionTransformerModel
    assert "does not say how images are prepared" in loaded.notes[0]


def test_a_folder_of_transformers_is_compared_with_it(tmp_path):
    config = ViTConfig(
        image_size=16,
        patch_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        id2label={0: "ant", 1: "bee"},
    )
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 16, "width": 16}, resample=2).save_pretrained(tmp_path)
    loaded = load_any(tmp_path)
    report = loaded.compare()
    assert loaded.kind == "transformers"
    assert report is not None
    assert report.passed
    assert loaded.model.config.id2label == {0: "ant", 1: "bee"}
    assert loaded.processor.resample == 2


def test_our_model_leaves_for_transformers_without_any_code(ours, tmp_path):
    assert main([str(ours), str(tmp_path / "stock"), "--to", "transformers"]) == 0
    names = {path.name for path in (tmp_path / "stock").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "parity.json", "preprocessor_config.json"}
    assert "auto_map" not in (tmp_path / "stock" / "config.json").read_text()
    assert "auto_map" not in (tmp_path / "stock" / "preprocessor_config.json").read_text()
    stock: Any = AutoModelForImageClassification.from_pretrained(tmp_path / "stock")
    assert stock.config.id2label == {0: "ant", 1: "bee"}
    ours_again: Any = VisionTransformerForImageClassification.from_pretrained(ours)
    pixels = images()
    torch.testing.assert_close(stock(pixels).logits, ours_again(pixels).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nobody/nothing", "no folder here.* The Hub is not asked, because HF_HUB_OFFLINE is set"),
        ("./nowhere", "There is no file or folder ./nowhere"),
        ("nowhere", "written owner/name"),
        ("weights/none.npz", "There is no file or folder weights/none.npz"),
    ],
)
def test_a_source_that_is_not_there_is_one_sentence(source, message):
    with pytest.raises(ValueError, match=message):
        load_any(source)


def test_our_weights_alone_do_not_say_what_they_are(ours, tmp_path):
    with pytest.raises(ValueError, match="give the folder that they lie in"):
        load_any(ours / "model.safetensors")
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "strange.safetensors")
    with pytest.raises(ValueError, match="no Vision Transformer that is known here: its keys are stem.weight"):
        load_any(tmp_path / "strange.safetensors")


def test_a_config_json_of_no_library_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="holds no configuration, but a list"):
        load_any(tmp_path)


def test_a_damaged_processor_is_one_sentence(tmp_path, capsys):
    tiny(VisionTransformerForImageClassification).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "preprocessor_config.json").write_text('{"size": ')
    assert main([str(tmp_path / "model"), str(tmp_path / "converted")]) == 2
    assert "preprocessor_config.json is no JSON" in capsys.readouterr().err
    assert not (tmp_path / "converted").exists()


def test_what_is_said_of_weights_is_yaml_as_in_recipes():
    assert fields_said(["heads=8", "layer_norm_eps=1e-6"]) == {"heads": 8, "layer_norm_eps": 1e-6}
    with pytest.raises(UserError, match="The value of --say heads is not valid YAML"):
        fields_said(["heads=[8"])


def test_an_adapter_alone_says_how_it_becomes_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/base"}))
    with pytest.raises(UserError, match=r"a PEFT adapter of owner/base, and no model.*merge_and_unload\(\)"):
        load_any(tmp_path)


def test_quantized_weights_are_refused_in_a_sentence(ours):
    torchao = pytest.importorskip("torchao.quantization")
    config = TorchAoConfig(torchao.Int8WeightOnlyConfig())
    model: Any = VisionTransformerForImageClassification.from_pretrained(ours, quantization_config=config)
    model.save_pretrained(ours.parent / "quantized")
    with pytest.raises(UserError, match=r"weights that are quantized \(torchao\), .* quantize it again there"):
        load_any(ours.parent / "quantized")
