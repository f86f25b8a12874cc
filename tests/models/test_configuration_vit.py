import json
import subprocess
import sys

import pytest
from tiny import tiny_config
from transformers import AutoConfig

import vit_hf.models
from vit_hf import VisionTransformerConfig

REFUSED = [
    ({"pach_size": 8}, "no field 'pach_size'; did you mean 'patch_size'"),
    ({"zebra": 1}, "no field 'zebra'; its fields are add_pooling_layer, "),
    ({"pooling": "max"}, "'pooling' expected one of .*'mean'.* got max"),
    ({"hidden_act": "step"}, "'hidden_act' expected one of"),
    ({"hidden_size": "wide"}, "'hidden_size' expected int, got str"),
    ({"image_size": 30}, "image_size=30 is no grid of patch_size=8: 30 pixels do not .* nearest that do are 24 or 32"),
    ({"layer_scale_init_value": float("nan")}, "layer_scale_init_value=nan must be finite"),
    ({"dtype": {"": "float32"}}, "dtype=.* has to be the name of a floating dtype"),
    ({"image_size": [32, 32, 32]}, r"image_size=\[32, 32, 32\] must be one number of pixels, or \[height, width\]"),
    ({"patch_size": 0}, "patch_size=0 must be greater than 0"),
    ({"num_channels": 0}, "num_channels=0 must be greater than 0"),
    ({"num_hidden_layers": -1}, "num_hidden_layers=-1 must be greater than 0"),
    ({"num_attention_heads": 5}, "32 does not divide into num_attention_heads=5; take 4 heads, or name a head_dim"),
    ({"head_dim": 0}, "head_dim=0 must be greater than 0"),
    ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob=1.0 must be at least 0 and less than 1"),
    ({"drop_path_rate": -0.1}, "drop_path_rate=-0.1 must be at least 0"),
    ({"label_smoothing": 2}, "label_smoothing=2 must be at least 0"),
    ({"num_register_tokens": -2}, "num_register_tokens=-2 must be 0 or more"),
    ({"layer_norm_eps": 0.0}, "layer_norm_eps=0.0 must be greater than 0"),
    ({"class_token": False}, "pooling='cls' needs class_token=True; without it take pooling='mean'"),
    (
        {"pooling": "attention", "num_attention_heads": 5, "head_dim": 8},
        "pooling='attention' divides hidden_size=32 into heads, which num_attention_heads=5 does not",
    ),
    ({"dual_patch_norm": True, "patch_embedding": "conv"}, "take patch_embedding='linear'"),
    ({"position_embedding": "sincos_2d", "hidden_size": 30, "num_attention_heads": 3}, "30 is not, 32 is"),
    ({"position_embedding": "rotary", "head_dim": 6}, "6 is not, head_dim=8 is"),
    ({"position_embedding": "rotary", "position_embedding_init": "normal"}, "learns nothing"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=[next(iter(fields)) for fields, _ in REFUSED])
def test_what_no_model_can_be_built_from_is_refused_in_a_sentence(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_config(**fields)


def test_a_value_is_checked_when_it_is_assigned():
    config = tiny_config()
    with pytest.raises(ValueError, match="'pooling' expected one of"):
        config.pooling = "max"  # pyright: ignore[reportAttributeAccessIssue]
    assert config.pooling == "cls"


def test_a_configuration_comes_back_from_its_file(tmp_path):
    config = tiny_config(
        image_size=[64, 32], patch_size=[16, 8], position_embedding="relative_bias", num_labels=3, out_indices=[1, 2]
    )
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is VisionTransformerConfig
    assert loaded.to_diff_dict() == config.to_diff_dict()
    assert loaded.out_features == ["stage1", "stage2"]
    assert loaded.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


def edited(folder, **fields):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def test_a_misspelt_field_in_a_file_is_refused(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    edited(tmp_path, image_sise=64)
    with pytest.raises(ValueError, match="no field 'image_sise'; did you mean 'image_size'"):
        VisionTransformerConfig.from_pretrained(tmp_path)


def test_a_note_that_another_tool_left_in_a_file_is_kept_and_told_of(tmp_path, caplog):
    tiny_config().save_pretrained(tmp_path)
    edited(tmp_path, trained_by="a colleague")
    loaded = VisionTransformerConfig.from_pretrained(tmp_path)
    assert loaded.trained_by == "a colleague"
    assert "trained_by='a colleague'" in caplog.text


def test_the_head_is_as_wide_as_it_says_or_as_the_width_allows():
    assert tiny_config().attention_head_size == 8
    assert tiny_config(head_dim=5).attention_head_size == 5


def test_a_saved_configuration_names_the_code_of_every_class():
    saved = json.loads(tiny_config().to_json_string())
    assert set(saved["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForImageClassification",
        "AutoModelForMaskedImageModeling",
        "AutoBackbone",
    }


def test_configuration_files_bring_no_torch_of_their_own():
    program = """
import importlib, sys, types
import transformers.backbone_utils, transformers.configuration_utils
sys.modules.pop("torch", None)  # transformers itself may have brought it
sys.modules["models"] = package = types.ModuleType("models")
package.__path__ = sys.argv[1:]
importlib.import_module("models.configuration_vit")
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *vit_hf.models.__path__], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
