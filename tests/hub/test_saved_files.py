"""What lies beside weights says what cannot be: a sentence at once, with the value, and hardly any memory."""

import json
import shutil
import tracemalloc
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from PIL import Image
from tiny import tiny

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.conversion.pretrained import load_any
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.errors import UserError
from vit_hf.publishing.load_classifier import load_classifier
from vit_hf.runs.predict import predict

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
HUGE = 10**9


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    model = tiny(VisionTransformerForImageClassification)
    model.save_pretrained(folder)
    make_image_processor(model.config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


def rewrite(file: Path, fields: dict[str, Any]) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


WRONG_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"model_type": ["vit_hf"]}, "model_type=.* has to be a text"),
    ({"id2label": 5}, "id2label=5 has to be a table"),
    ({"id2label": ["cat"]}, "id2label=.*cat.* has to be a table"),
    ({"id2label": {"cat": 0}}, "id2label=.*cat.* has to be a table from numbers to names"),
    ({"label2id": {"dtype": []}}, "label2id=.*dtype.* has to be a table from names to numbers"),
    ({"label2id": {"cat": "first"}}, "label2id=.*first.* has to be a table from names to numbers"),
    ({"out_indices": ["none"]}, "out_indices=.*none.* has to be a list of whole numbers"),
    ({"depths": [1, HUGE]}, "depths=.*(has to be of no more than 1,000 layers|, and the weights)"),
    ({"rope_theta": 1e30}, "rope_theta=1e.30 is more than anything here has"),
    ({"auto_map": "x"}, "auto_map='x' has to be a table"),
    ({"auto_map": {"AutoConfig": 5}}, "auto_map=.* has to be a table"),
    ({"auto_map": None}, "auto_map=None has to be a table"),
    ({"auto_map": {"AutoConfig": None}}, "auto_map=.* has to be a table"),
    ({"rope_theta": nested(300)}, r"config\.json: rope_theta is nested too deeply"),
    ({"architectures": 5}, "architectures=5 has to be a list"),
    ({"dtype": "xx"}, "dtype='xx' has to be the name"),
    ({"dtype": "int8"}, "dtype='int8' has to be the name of a floating dtype"),
    ({"dtype": 5}, "dtype=5 has to be"),
    ({"quantization_config": 5}, "quantization_config=5 has to be a table"),
    ({"quantization_config": {}}, "quantization_config={} has to be a table with a quant_method"),
    ({"quantization_config": {"quant_method": "gptx"}}, "no quantization 'gptx'; did you mean 'gptq'"),
    ({"attn_implementation": "flash_attention_2"}, "FlashAttention2 .* installed"),
    ({"attn_implementation": "nope"}, "nope"),
    ({"problem_type": "guessing"}, "problem_type='guessing' has to be one of"),
    ({"transformers_weights": 5}, "transformers_weights=5 has to be a text"),
    ({"num_labels": -5, "id2label": None}, "num_labels=-5 has to be a whole number from 0"),
    ({"layer_norm_eps": float("inf")}, "layer_norm_eps=inf must be greater than 0, and finite"),
    ({"layer_norm_eps": float("nan")}, "layer_norm_eps=nan must be"),
    ({"rope_theta": float("nan")}, "rope_theta=nan must be"),
    ({"num_attention_heads": 0}, "num_attention_heads=0 must be greater than 0"),
    ({"out_features": 5}, "out_features=5 has to be a list of texts"),
    ({"model_type": "swin_hf"}, "SwinTransformerConfig|swin_hf"),
    ({"model_type": "bert"}, "bert|custom code|VisionTransformerForImageClassification"),
    ({"hidden_size": 64}, "class_token is 1 x 1 x 32 and not 1 x 1 x 64"),
    ({"num_hidden_layers": 3}, "lacks vit.layers.2|too"),
    (
        {"num_labels": HUGE, "id2label": None},
        f"num_labels={HUGE}(, and the weights| has to be)",
    ),
    (
        {"num_hidden_layers": HUGE},
        f"num_hidden_layers={HUGE}(, and the weights| has to be)",
    ),
    ({"num_hidden_layers": 999}, "num_hidden_layers=999, and the weights beside it hold only 32 tensors"),
    ({"num_labels": 4_000_000, "id2label": None}, "num_labels=4000000, and the weights .* numbers"),
    ({"num_register_tokens": HUGE}, "num_register_tokens=1000000000, and the weights .* numbers"),
    ({"image_size": 8 * 10**6, "position_embedding": "sincos_2d"}, "image_size=8000000 .* needs for one image .* TB"),
]


@pytest.mark.parametrize("load", [load_classifier, load_any, VisionTransformerForImageClassification.from_pretrained])
@pytest.mark.parametrize(("fields", "sentence"), WRONG_CONFIGS, ids=[str(fields)[:50] for fields, _ in WRONG_CONFIGS])
def test_a_configuration_that_cannot_be_is_a_sentence_at_once(folder: Path, load: Any, fields: dict, sentence: str):
    rewrite(folder / "config.json", fields)
    tracemalloc.start()
    began = perf_counter()
    with pytest.raises(UserError, match=sentence):
        load(str(folder))
    assert perf_counter() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["null", "[]", "5", '"x"', DEEP], ids=lambda text: text[:5])
@pytest.mark.parametrize("load", [load_classifier, load_any, VisionTransformerForImageClassification.from_pretrained])
def test_a_configuration_that_holds_no_fields_is_a_sentence(folder: Path, load: Any, text: str):
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json.*(holds no configuration|nested too deeply)"):
        load(str(folder))


WRONG_PROCESSORS: list[tuple[dict[str, Any], str]] = [
    ({"rescale_factor": "x"}, "rescale_factor='x' has to be a number greater than 0"),
    ({"image_std": 0}, "image_std=0 has to be a number greater than 0 for each channel"),
    ({"image_std": [0.5, 0, 0.5]}, "image_std=.* has to be a number greater than 0"),
    ({"image_mean": [0.5] * 5}, "has 5 numbers, and the model takes images of 3 channels; give 3"),
    ({"image_mean": [float("nan")] * 3}, "image_mean=.*nan.* has to be"),
    ({"rescale_factor": None}, "do_rescale of the processor needs rescale_factor, which"),
    ({"resample": None}, "do_resize of the processor needs resample, which"),
    ({"do_center_crop": True}, "do_center_crop of the processor needs crop_size, which"),
    ({"resample": 99}, "resample=99 has to be a number from 0 to 5"),
    ({"size": {"height": 0, "width": 4}}, "size=.* has to be a table of pixels"),
    ({"size": "x"}, "size='x' has to be a table of pixels"),
    ({"do_resize": "x"}, "do_resize='x' has to be true or false"),
    ({"size": {"height": 30, "width": 32}}, "size .*30.* is no grid of patches: 30 pixels do not divide into patches"),
    ({"image_processor_type": 5}, "image_processor_type=5 has to be a text"),
    ({"size": {"height": 400_000, "width": 400_000}}, "the processor's size .*400000.* needs for one image .* memory"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG_PROCESSORS, ids=[str(one)[:40] for one, _ in WRONG_PROCESSORS])
def test_a_processor_that_cannot_be_is_a_sentence_before_an_image_is_read(folder: Path, fields: dict, sentence: str):
    rewrite(folder / "preprocessor_config.json", fields)
    with pytest.raises(UserError, match=sentence):
        load_classifier(str(folder))


@pytest.mark.parametrize("text", ["null", "[]", DEEP], ids=lambda text: text[:5])
def test_a_processor_that_holds_no_fields_is_a_sentence(folder: Path, text: str):
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(UserError, match=r"preprocessor_config\.json"):
        load_classifier(str(folder))


def test_labels_with_a_gap_in_their_numbers_have_no_names(folder: Path):
    rewrite(folder / "config.json", {"id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "7": "e"}, "label2id": None})
    Image.new("RGB", (9, 9)).save(folder / "x.png")
    with pytest.raises(UserError, match="names 5 labels, and none of them is number 4; count them from 0"):
        predict(str(folder), [folder / "x.png"])


def test_thresholds_of_other_labels_are_refused(folder: Path):
    rewrite(folder / "config.json", {"thresholds": [0.5, 0.5]})
    with pytest.raises(UserError, match=r"thresholds=\[0.5, 0.5\], and there are 5 labels"):
        load_classifier(str(folder))


def test_nobody_is_asked_whether_code_may_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    rewrite(folder / "config.json", {"model_type": "evil"})
    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("asked"))
    with pytest.raises(UserError, match="'evil', which this version of transformers does not know"):
        load_any(str(folder))


def test_a_size_that_a_model_says_otherwise_is_taken_where_it_fits(folder: Path):
    rewrite(folder / "preprocessor_config.json", {"size": {"height": 64, "width": 64}})
    assert load_classifier(str(folder))[1].size["height"] == 64


@pytest.mark.parametrize("label2id", [{"dtype": 0, "b": 1}, {"dtype": "0", "b": "1"}])
def test_labels_may_be_numbered_by_texts_and_be_called_anything(folder: Path, label2id: dict[str, Any]):
    rewrite(folder / "config.json", {"label2id": label2id})
    assert load_classifier(str(folder))[0].config.label2id["dtype"] == label2id["dtype"]


@pytest.mark.parametrize("fields", [{"out_indices": [None]}, {"out_features": "stem"}])
def test_layers_of_a_backbone_that_cannot_be_are_a_sentence(fields: dict[str, Any]):
    with pytest.raises(UserError, match=rf"{next(iter(fields))}=.* has to be a list"):
        VisionTransformerConfig(**fields)


@pytest.mark.parametrize("fields", [{"num_labels": -5}, {"id2label": 5}, {"layer_norm_eps": float("inf")}])
def test_a_configuration_made_by_hand_refuses_the_same(fields: dict[str, Any]):
    with pytest.raises(UserError, match=next(iter(fields))):
        VisionTransformerConfig(**fields)


def test_pixels_beyond_whole_patches_are_fine_where_the_model_cuts_them(folder: Path):
    rewrite(folder / "config.json", {"partial_patches": "cut"})
    rewrite(folder / "preprocessor_config.json", {"size": {"height": 36, "width": 38}})
    Image.new("RGB", (50, 40)).save(folder / "x.png")
    (answer,) = predict(str(folder), [folder / "x.png"]).results
    assert len(answer["predictions"]) == 3
