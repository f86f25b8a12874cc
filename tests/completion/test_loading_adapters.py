"""A PEFT adapter comes back with its model, whoever loads it and whatever changes on the way, as with transformers'."""

import json
from typing import Any

import pytest
import torch
from tiny import images, tiny
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

from vit_hf import VisionTransformerForImageClassification
from vit_hf.errors import UserError

peft = pytest.importorskip("peft")
Classifier = VisionTransformerForImageClassification
BOTH = [Classifier, AutoModelForImageClassification]


def trained(base: Any, folder: Any) -> Any:
    """A model with an adapter and a new head that differ from those of the base, saved alone into a folder."""
    words = {"target_modules": ["qkv", "inner"], "modules_to_save": ["classifier"], "init_lora_weights": False}
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, **words)).eval()
    model.save_pretrained(folder)
    return model


@pytest.fixture
def saved(tmp_path):
    """The folder of an adapter for three labels on a base of two, and the whole model."""
    tiny(Classifier, num_labels=2).save_pretrained(tmp_path / "base")
    base = Classifier.from_pretrained(tmp_path / "base", num_labels=3)
    return tmp_path / "adapter", trained(base, tmp_path / "adapter")


@pytest.mark.parametrize("loader", BOTH)
@pytest.mark.parametrize("words", [{}, {"adapter_name": "mine"}, {"output_loading_info": True}], ids=str)
def test_an_adapter_comes_back_with_other_labels_than_its_base(loader, words, saved):
    folder, model = saved
    loaded = loader.from_pretrained(folder, num_labels=3, **words)
    loaded = loaded[0] if words.get("output_loading_info") else loaded
    pixels = images()
    assert torch.equal(loaded(pixels).logits, model(pixels).logits)
    assert [*loaded.peft_config] == [words.get("adapter_name", "default")]


@pytest.mark.parametrize("loader", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_comes_back_on_its_base_as_it_was(loader, dtype, tmp_path):
    tiny(Classifier).save_pretrained(tmp_path / "base")
    model = trained(Classifier.from_pretrained(tmp_path / "base"), tmp_path / "adapter")
    loaded = loader.from_pretrained(tmp_path / "adapter", dtype=dtype)
    state = {key.removeprefix("base_model.model."): value for key, value in model.state_dict().items()}
    assert {key: value.dtype for key, value in loaded.state_dict().items()} == dict.fromkeys(state, dtype)
    assert all(torch.equal(value, state[key].to(dtype)) for key, value in loaded.state_dict().items())


def test_an_adapter_is_loaded_as_transformers_loads_that_of_its_vit(tmp_path):
    """The same keys, in the same dtype, learning no more."""
    sizes: dict[str, Any] = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "intermediate_size": 48}
    found = {}
    for name, base, targets in (
        ("theirs", ViTForImageClassification(ViTConfig(**sizes)), ["fc1"]),
        ("ours", tiny(Classifier, num_labels=2), ["inner"]),
    ):
        base.save_pretrained(tmp_path / name)
        words = {"target_modules": targets, "init_lora_weights": False}
        plain = type(base).from_pretrained(tmp_path / name)
        peft.get_peft_model(plain, peft.LoraConfig(r=2, **words)).save_pretrained(tmp_path / f"{name} adapter")
        loaded = type(base).from_pretrained(tmp_path / f"{name} adapter", dtype=torch.bfloat16)
        lora = {key: value for key, value in loaded.named_parameters() if "lora_" in key}
        found[name] = sorted((str(value.dtype), value.shape, value.requires_grad) for value in lora.values())
    assert found["ours"] == found["theirs"] != []


@pytest.mark.parametrize("loader", BOTH)
def test_an_adapter_comes_on_a_base_of_another_size(loader, saved):
    folder, model = saved
    loaded = loader.from_pretrained(folder, num_labels=3, image_size=64)
    assert loaded.config.image_size == 64
    larger = images(height=64, width=64)
    torch.testing.assert_close(loaded(larger).logits, model(larger).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("loader", BOTH)
def test_an_adapter_in_the_folder_of_its_base_survives_adapting(loader, tmp_path):
    tiny(Classifier).save_pretrained(tmp_path)
    model = trained(Classifier.from_pretrained(tmp_path), tmp_path)
    loaded = loader.from_pretrained(tmp_path, image_size=64)
    larger = images(height=64, width=64)
    torch.testing.assert_close(loaded(larger).logits, model(larger).logits, rtol=0, atol=1e-5)
    assert torch.equal(loader.from_pretrained(tmp_path)(images() * 0).logits, model(images() * 0).logits)


def test_an_adapter_of_other_labels_is_refused_in_a_sentence(saved):
    folder, _ = saved
    with pytest.raises(UserError, match="holds weights of other sizes than its model.* num_labels or id2label"):
        Classifier.from_pretrained(folder)


def test_an_adapter_of_another_model_is_refused(saved, tmp_path):
    folder, _ = saved
    tiny(Classifier, num_labels=3, num_hidden_layers=1).save_pretrained(tmp_path / "shallow")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": str(tmp_path / "shallow")}))
    with pytest.raises(UserError, match=r"is not one of a VisionTransformerFor.*layers\.1\..* do not fit"):
        Classifier.from_pretrained(folder)


def test_an_adapter_that_does_not_name_its_base_is_refused(saved):
    folder, _ = saved
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(UserError, match="does not say which model it belongs to"):
        Classifier.from_pretrained(folder)


def test_without_peft_an_adapter_alone_says_what_it_needs(saved, monkeypatch):
    folder, _ = saved
    monkeypatch.setattr("vit_hf.completion.peft_adapters.is_peft_available", lambda: False)
    with pytest.raises(UserError, match="holds a PEFT adapter, which needs PEFT: pip install peft"):
        Classifier.from_pretrained(folder)
