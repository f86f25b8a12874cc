import json
import logging
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import images, tiny
from transformers import AutoModelForImageClassification

from vit_hf import (
    VisionTransformerBackbone,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
    __version__,
)
from vit_hf.errors import UserError

Classifier = VisionTransformerForImageClassification


@pytest.fixture
def saved(tmp_path):
    """A folder with a classifier of 32 x 32 pixels, and the classifier."""
    model = tiny(Classifier, id2label={0: "ant", 1: "bee", 2: "cat"}, label2id={"ant": 0, "bee": 1, "cat": 2})
    model.save_pretrained(tmp_path)
    return tmp_path, model


@pytest.fixture(autouse=True)
def lines(caplog):
    """What the loader logged, one entry a line."""
    caplog.set_level(logging.WARNING, logger="vit_hf")
    return caplog


def test_a_model_comes_back_bit_for_bit(saved):
    folder, model = saved
    pixels = images()
    loaded = AutoModelForImageClassification.from_pretrained(folder)
    assert type(loaded) is Classifier
    assert torch.equal(loaded(pixels).logits, model(pixels).logits)


def test_shards_come_back_bit_for_bit(tmp_path):
    model = tiny(Classifier)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    pixels = images()
    assert torch.equal(Classifier.from_pretrained(tmp_path)(pixels).logits, model(pixels).logits)
    assert Classifier.from_pretrained(tmp_path, image_size=48).config.image_size == 48


@pytest.mark.parametrize("position_embedding", ["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"])
def test_another_image_size_resamples_as_the_run_time_does(tmp_path, position_embedding):
    model = tiny(Classifier, position_embedding=position_embedding)
    model.save_pretrained(tmp_path)
    pixels = images(height=48, width=24)
    adapted = Classifier.from_pretrained(tmp_path, image_size=[48, 24])
    assert adapted.config.image_size == [48, 24]
    if position_embedding != "sincos_2d":  # whose waves count patches, and so are those of the new grid itself
        torch.testing.assert_close(adapted(pixels).logits, model(pixels).logits, atol=1e-6, rtol=1e-5)


def test_adapting_says_what_it_did(saved, lines):
    folder, _ = saved
    Classifier.from_pretrained(folder, image_size=64, patch_size=16, num_channels=1, num_labels=7)
    told = [record.getMessage() for record in lines.records if record.name.startswith("vit_hf")]
    assert told == [
        f"{folder}: patches resampled from 8 x 8 to 16 x 16 pixels",
        f"{folder}: patches adapted from 3 to 1 channels",
        f"{folder}: a new, untrained classifier for 7 labels in place of 3",
    ]


@pytest.mark.parametrize("patch_embedding", ["linear", "conv"])
def test_larger_patches_of_an_enlarged_image_give_the_same_answer(tmp_path, patch_embedding):
    model = tiny(Classifier, patch_embedding=patch_embedding)
    model.save_pretrained(tmp_path)
    adapted = Classifier.from_pretrained(tmp_path, image_size=64, patch_size=16)
    patches = images(height=8, width=8, batch=16)
    enlarged = torch.nn.functional.interpolate(patches, size=16, mode="bicubic", antialias=True)
    small, large = (
        p.permute(1, 0, 2, 3).reshape(3, 4, 4, side, side).permute(0, 1, 3, 2, 4).reshape(1, 3, 4 * side, 4 * side)
        for p, side in ((patches, 8), (enlarged, 16))
    )
    torch.testing.assert_close(adapted(large).logits, model(small).logits, atol=1e-4, rtol=1e-4)


def test_a_gray_image_looks_to_the_adapted_model_as_its_copy_in_three_channels_did(saved):
    folder, model = saved
    gray = images(channels=1)
    adapted = Classifier.from_pretrained(folder, num_channels=1)
    torch.testing.assert_close(adapted(gray).logits, model(gray.expand(-1, 3, -1, -1)).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fields", [{"patch_size": 4}, {"num_channels": 5}, {"patch_size": [16, 8], "num_channels": 1}])
def test_both_norms_of_the_patches_are_adapted_too(tmp_path, fields):
    tiny(Classifier, dual_patch_norm=True).save_pretrained(tmp_path)
    adapted = Classifier.from_pretrained(tmp_path, **fields)
    assert adapted(images(channels=fields.get("num_channels", 3))).logits.isfinite().all()


def test_labels_in_another_order_take_their_rows_along(saved, lines):
    folder, model = saved
    turned = {0: "cat", 1: "ant", 2: "bee"}
    adapted = Classifier.from_pretrained(folder, id2label=turned, label2id={v: k for k, v in turned.items()})
    pixels = images()
    assert torch.equal(adapted(pixels).logits, model(pixels).logits[:, [2, 0, 1]])
    assert "new order of the 3 labels" in lines.text


def test_a_new_head_leaves_the_trunk_as_it_was(saved):
    folder, model = saved
    adapted: Any = Classifier.from_pretrained(folder, num_labels=9)
    pixels = images()
    assert adapted(pixels).logits.shape == (2, 9)
    assert torch.equal(adapted.vit(pixels).pooler_output, model.vit(pixels).pooler_output)
    assert adapted.classifier.weight.std() > 0


def test_a_classifier_grows_from_a_masked_image_model_and_says_what_is_new(tmp_path, lines):
    painter = tiny(VisionTransformerForMaskedImageModeling)
    painter.save_pretrained(tmp_path)
    model: Any = Classifier.from_pretrained(tmp_path, num_labels=5)
    assert torch.equal(model.vit.layers[1].attention.qkv.weight, painter.vit.layers[1].attention.qkv.weight)
    assert "classifier.bias, classifier.weight start untrained" in lines.text
    assert "decoder.bias, decoder.weight, vit.embeddings.mask_token are left out" in lines.text


def test_a_masked_image_model_of_other_patches_paints_anew(tmp_path, lines):
    tiny(VisionTransformerForMaskedImageModeling).save_pretrained(tmp_path)
    model = VisionTransformerForMaskedImageModeling.from_pretrained(tmp_path, patch_size=4)
    assert model(images()).reconstruction.shape == (2, 3, 32, 32)
    assert "the decoder of pixels starts anew" in lines.text


def test_the_trunk_alone_and_a_backbone_load_from_a_classifier(saved):
    folder, model = saved
    pixels = images()
    trunk = VisionTransformerModel.from_pretrained(folder)
    assert torch.equal(trunk(pixels).last_hidden_state, model.vit(pixels).last_hidden_state)
    backbone = VisionTransformerBackbone.from_pretrained(folder, out_indices=[1])
    assert backbone(pixels).feature_maps[0].shape == (2, 32, 4, 4)


def test_adapting_also_casts_and_places(saved):
    folder, _ = saved
    adapted = Classifier.from_pretrained(folder, image_size=48, dtype=torch.bfloat16, device_map="cpu")
    assert adapted.dtype == torch.bfloat16
    assert adapted.name_or_path == str(folder)


def rewritten(folder, change):
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def test_a_missing_weight_of_the_trunk_is_an_error(saved):
    folder, _ = saved
    rewritten(folder, lambda state: {key: value for key, value in state.items() if "norm.bias" not in key})
    with pytest.raises(ValueError, match=r"not those of a VisionTransformerForImage.*: the file lacks .*bias"):
        Classifier.from_pretrained(folder)


def test_half_a_head_is_an_error(saved):
    folder, _ = saved
    rewritten(folder, lambda state: {key.replace("er.weight", "er.weigHt"): state[key] for key in state})
    with pytest.raises(ValueError, match=r"the file lacks classifier\.weight"):
        Classifier.from_pretrained(folder)


def test_an_unknown_weight_is_an_error(saved):
    folder, _ = saved
    rewritten(folder, lambda state: state | {"vit.layers.7.strange": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"has unknown vit\.layers\.7\.strange"):
        Classifier.from_pretrained(folder)


def test_the_version_that_wrote_what_does_not_fit_is_named(saved, lines):
    folder, _ = saved
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vit_hf_version": "9.0", "mixture_of_experts": 8}))
    Classifier.from_pretrained(folder)
    assert f"does not use. vit_hf 9.0 wrote it, and this is {__version__}." in lines.text
    rewritten(folder, lambda state: state | {"vit.layers.7.strange": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"convert them first\. vit_hf 9\.0 wrote it"):
        Classifier.from_pretrained(folder)


def test_who_asks_for_the_account_of_keys_gets_it_instead(saved):
    folder, _ = saved
    rewritten(folder, lambda state: state | {"strange": torch.zeros(1)})
    loaded: Any = Classifier.from_pretrained(folder, output_loading_info=True)
    _, info = loaded
    assert info["unexpected_keys"] == {"strange"}


@pytest.mark.parametrize("kept", [0, 4, 100, -8])
def test_a_truncated_file_is_named(saved, kept):
    folder, _ = saved
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(OSError, match=rf"weights in {folder} cannot be read .*truncated or damaged"):
        Classifier.from_pretrained(folder)


def test_a_tampered_header_is_named(saved):
    folder, _ = saved
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[8:40] = b"\xff" * 32
    file.write_bytes(content)
    with pytest.raises(OSError, match="truncated or damaged"):
        Classifier.from_pretrained(folder)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(OSError, match="no file named model.safetensors"):
        Classifier.from_pretrained(tmp_path)


def test_weights_of_other_widths_are_refused(saved):
    folder, _ = saved
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_size": 16}))
    with pytest.raises(UserError, match="class_token is 1 x 1 x 32 and not 1 x 1 x 16"):
        Classifier.from_pretrained(folder)
