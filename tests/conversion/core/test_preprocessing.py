import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_config
from transformers import BitImageProcessorPil, CLIPImageProcessorPil, ViTImageProcessorPil

from vit_hf.conversion.core.preprocessing import (
    for_channels,
    preprocessing_words,
    pretrained_cfg_of,
    processor_from_json,
    processor_from_timm,
    stock_processor,
    timm_label_names,
)
from vit_hf.conversion.pretrained import is_non_commercial, license_of, license_sentence
from vit_hf.data.decode.processors import make_image_processor

CONFIG = tiny_config(image_size=32)
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 83, 3), np.uint8))


@pytest.mark.parametrize("crop_pct", [None, 0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("size", [32, 48, [32, 64]])
def test_timms_words_come_back_from_the_processor(crop_pct, size):
    config = tiny_config(image_size=size)
    said = {
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear",
        "crop_pct": crop_pct or 1.0,
        "crop_mode": "center" if crop_pct else "squash",
    }
    processor, notes = processor_from_timm(said, config)
    assert notes == []
    back = pretrained_cfg_of(processor, config)
    again, _ = processor_from_timm(back, config)
    assert again.to_dict() == processor.to_dict()
    assert {name: back[name] for name in said if name != "crop_pct"} == {
        name: value for name, value in said.items() if name != "crop_pct"
    }


def test_a_border_of_timms_is_ours_and_comes_back():
    said = {"mean": [0.1, 0.2, 0.3], "crop_mode": "border", "crop_pct": 1.0}
    processor, notes = processor_from_timm(said, CONFIG)
    assert notes == []
    assert (processor.fit, list(processor.pad_color)) == ("pad", [26, 51, 76])
    back = pretrained_cfg_of(processor, CONFIG)
    assert (back["crop_mode"], back["crop_pct"]) == ("border", 1.0)
    assert preprocessing_words(processor)["pad_color"] == [26, 51, 76]


@pytest.mark.parametrize("how", [{"fit": "pad", "pad_color": [1, 2, 3]}, {"pixel_range": [0, 4095]}, {"fit": "crop"}])
def test_what_ours_knows_comes_back_from_its_json(how, tmp_path):
    make_image_processor(CONFIG, **how).save_pretrained(tmp_path)
    assert {
        name: value for name, value in processor_from_json(tmp_path, CONFIG).to_dict().items() if name != "auto_map"
    } == make_image_processor(CONFIG, **how).to_dict()


@pytest.mark.parametrize(("how", "said"), [({"fit": "pad"}, "pads images"), ({"pixel_range": [0, 1023]}, "1023")])
def test_what_no_processor_of_transformers_does_is_said(how, said):
    stock, notes = stock_processor(make_image_processor(CONFIG, **how))
    assert stock is None
    assert said in notes[0]


def test_what_the_processor_cannot_do_is_noted():
    _, notes = processor_from_timm({"crop_mode": "border", "crop_pct": 0.9, "interpolation": "hamming"}, CONFIG)
    assert [note.split("=")[0] for note in notes] == ["interpolation", "crop_mode"]


def test_gray_images_are_given_the_mean_of_the_colors():
    assert for_channels([0.2, 0.4, 0.6], 1) == [pytest.approx(0.4)]
    assert for_channels([0.2, 0.4, 0.6], 4) == [0.2, 0.4, 0.6, 0.2]


@pytest.mark.parametrize(
    "theirs",
    [
        ViTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3]),
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
    ],
    ids=["vit", "clip", "bit"],
)
def test_a_processor_of_transformers_is_read_from_its_json(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    ours = processor_from_json(tmp_path, CONFIG)
    found, expected = (made(PHOTO, return_tensors="pt")["pixel_values"] for made in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_an_old_json_with_one_number_for_both_sides_is_read(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 32, "resample": 2, "do_normalize": True}))
    assert preprocessing_words(processor_from_json(tmp_path, CONFIG))["interpolation"] == "bilinear"
    assert processor_from_json(tmp_path / "nowhere", CONFIG) is None


def test_a_stock_processor_needs_no_code_and_says_what_it_changes():
    ours = make_image_processor(CONFIG, crop_pct=0.875)
    stock, notes = stock_processor(ours)
    assert "transformers.models" in type(stock).__module__
    assert stock(PHOTO, return_tensors="pt")["pixel_values"].shape == (1, 3, 32, 32)
    assert "a pixel" in notes[0]
    plain = make_image_processor(CONFIG)
    assert stock_processor(plain) == (plain, [])


def test_labels_are_called_by_their_descriptions_where_these_differ():
    assert timm_label_names({}) is None
    assert timm_label_names({"label_names": ["n1", "n2"], "label_descriptions": {"n1": "cat", "n2": "dog"}}) == [
        "cat",
        "dog",
    ]
    assert timm_label_names({"label_names": ["n1", "n2"], "label_descriptions": {"n1": "x", "n2": "x"}}) == ["n1", "n2"]
    assert timm_label_names({"label_names": {"1": "b", "0": "a"}}) == ["a", "b"]


def test_licenses_that_forbid_commercial_use_say_so():
    assert is_non_commercial("cc-by-nc-4.0")
    assert is_non_commercial("cc-by-nc")
    assert is_non_commercial("fair-noncommercial-research-license")
    assert not is_non_commercial("apache-2.0")
    assert not is_non_commercial(None)
    assert "forbids commercial use" in license_sentence("cc-by-nc-4.0")
    assert "names no license" in license_sentence(None)
    assert license_of({"license": "other", "license_name": "dinov3-license"}) == "dinov3-license"
    assert license_of({}, {"license": "mit"}) == "mit"
