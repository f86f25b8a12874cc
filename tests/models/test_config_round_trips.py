"""Any configuration, with anybody's notes in it, comes back equal from wherever transformers puts one."""

import json
import pickle
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from any_config import CLIP_CONFIGS, CONFIGS, swin_configs
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TINY, TINY_SWIN, images, tiny, tiny_clip_config, tiny_config, tiny_swin, tiny_swin_config
from transformers import (
    AutoConfig,
    BertConfig,
    BertModel,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerModel,
    TimeSformerConfig,
    VisionTransformerConfig,
    VisionTransformerModel,
)
from vit_hf.completion.configurations import HANDED_BY_TRANSFORMERS, is_misspelt, knows

GPT2: dict[str, Any] = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "vocab_size": 50,
    "add_cross_attention": True,
    "is_decoder": True,
}
GPT2 |= {"bos_token_id": 0, "eos_token_id": 1}
TEXT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 50,
}


def of_transformers(name: str) -> bool:
    """Of what transformers has a use of its own for: it is dropped, or becomes something else, in its ViT as well."""
    taken = {*vars(GenerationConfig()), *HANDED_BY_TRANSFORMERS, "per_layer_config", "rope_scaling", "torch_dtype"}
    return hasattr(PreTrainedConfig, name) or name in taken or name.startswith("_") or name == "kwargs"


SMALL = {VisionTransformerConfig: TINY, SwinTransformerConfig: TINY_SWIN, TimeSformerConfig: TINY | {"num_frames": 4}}
NAMES = st.one_of(
    st.sampled_from(["trained_by", "wandb", "my-tool/version", "é", "hidden", "vocab", "image_token"]),
    st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True),
).filter(lambda name: not any(of_transformers(name) or knows(one, name) or is_misspelt(one, name) for one in SMALL))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1, 1), st.text(max_size=5)),
    lambda inside: st.one_of(st.lists(inside, max_size=2), st.dictionaries(st.text(max_size=3), inside, max_size=2)),
    max_leaves=3,
)
NOTES = st.dictionaries(NAMES, VALUES, max_size=3)


def ways_back(config: Any, folder: Path) -> dict[str, Any]:
    """The configuration again, by every way that leads out of one and back."""
    config_class = type(config)
    config.save_pretrained(folder)
    words, few = config.to_dict(), config.to_diff_dict()
    decoder = GPT2Config(**GPT2)
    nested = {
        "encoder": VisionEncoderDecoderConfig.from_encoder_decoder_configs(config, decoder),
        "vision_config": LlavaConfig(vision_config=config, text_config=LlamaConfig(**TEXT)),
        "vision": VisionTextDualEncoderConfig.from_vision_text_configs(config, BertConfig(**TEXT)),
    }
    found = {
        "its file": config_class.from_pretrained(folder),
        "AutoConfig": AutoConfig.from_pretrained(folder),
        "from_json_file": config_class.from_json_file(folder / "config.json"),
        "to_dict": config_class(**words),
        "to_diff_dict": config_class(**few),
        "from_dict": config_class.from_dict(words),
        "JSON": config_class(**json.loads(config.to_json_string())),
        "all of JSON": config_class(**json.loads(config.to_json_string(use_diff=False))),
        "for_model": AutoConfig.for_model(**words),
        "deepcopy": deepcopy(config),
        "pickle": pickle.loads(pickle.dumps(config)),
    }
    for name, composite in nested.items():
        tower = "vision_config" if name == "vision" else name
        composite.save_pretrained(folder)
        found[f"{name} again"] = getattr(type(composite).from_dict(composite.to_dict()), tower)
        found[f"{name} saved"] = getattr(type(composite).from_pretrained(folder), tower)
        found[f"{name} copied"] = getattr(deepcopy(composite), tower)
    return found


def said(config: Any) -> dict[str, Any]:
    """All that it says but of where it lies and of what transformers wrote it."""
    return json.loads(json.dumps({**config.to_dict(), "transformers_version": None, "_name_or_path": None}))


def buildable(config_class: Any, fields: dict[str, Any]) -> Any:
    """The configuration of as many of the fields as go together."""
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            config_class(**{**SMALL[config_class], **kept, name: value})
        except ValueError:
            continue
        kept[name] = value
    return config_class(**{**SMALL[config_class], **kept})


def comes_back(config_class: Any, fields: dict[str, Any], notes: dict[str, Any]) -> None:
    config = buildable(config_class, fields)
    for name, value in notes.items():
        setattr(config, name, value)
    with tempfile.TemporaryDirectory() as folder:
        found = ways_back(config, Path(folder))
    expected = said(config)
    for way, again in found.items():
        assert type(again) is config_class, way
        assert said(again) == expected, way


@settings(max_examples=60)
@given(CONFIGS, NOTES)
def test_any_config_comes_back_equal_with_its_notes(fields, notes):
    comes_back(VisionTransformerConfig, fields, notes)


@settings(max_examples=40)
@given(swin_configs(), NOTES)
def test_any_config_of_swin_does(fields, notes):
    comes_back(SwinTransformerConfig, fields, notes)


@settings(max_examples=40)
@given(CLIP_CONFIGS, NOTES)
def test_any_config_of_timesformer_does(fields, notes):
    comes_back(TimeSformerConfig, fields, notes)


@pytest.mark.parametrize("config", [tiny_config(), tiny_swin_config(), tiny_clip_config()])
def test_a_loaded_config_equals_what_its_words_make(config, tmp_path):
    config.trained_by = "a colleague"
    config.save_pretrained(tmp_path)
    loaded = type(config).from_pretrained(tmp_path)
    assert loaded.trained_by == "a colleague"
    assert type(config)(**loaded.to_dict()) == loaded
    assert type(config).from_pretrained(tmp_path, trained_by="me").trained_by == "me"


def test_a_name_that_is_nearly_a_field_is_refused_when_it_is_assigned():
    config: Any = tiny_config()
    with pytest.raises(ValueError, match="no field 'hiden_size'; did you mean 'hidden_size'"):
        config.hiden_size = 8
    with pytest.raises(ValueError, match="no field 'pach_size'; did you mean 'patch_size'"):
        VisionTransformerConfig(**{**config.to_dict(), "pach_size": 8})
    config.my_own = 3
    with pytest.raises(ValueError, match="no field 'my_own'"):
        VisionTransformerConfig(my_own=3)


TOWERS = {
    "vit": lambda: tiny(VisionTransformerModel, num_labels=2),
    "swin": lambda: tiny_swin(SwinTransformerModel, num_labels=2),
}
IDS = torch.tensor([[0, 3, 4]])


def captioner(tower):
    model = VisionEncoderDecoderModel(encoder=tower, decoder=GPT2LMHeadModel(GPT2Config(**GPT2)))
    return model, lambda one: one(images(1).fill_(0.3), decoder_input_ids=IDS).logits


def llava(tower):
    tokens, which = {"vit_hf": (16, "default"), "swin_hf": (64, "full")}[tower.config.model_type]  # with a class token
    words: Any = {"image_token_index": 3, "image_seq_length": tokens, "vision_feature_select_strategy": which}
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=tower.config, text_config=LlamaConfig(**TEXT), vision_feature_layer=-1, **words)
    )
    model.model.vision_tower.load_state_dict(tower.state_dict())
    ids = torch.tensor([[1] + [3] * tokens + [2]])
    return model, lambda one: one(pixel_values=images(1).fill_(0.3), input_ids=ids).logits


def dual(tower):
    model = VisionTextDualEncoderModel(vision_model=tower, text_model=BertModel(BertConfig(**TEXT)))
    return model, lambda one: one(pixel_values=images(1).fill_(0.3), input_ids=IDS).logits_per_image


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("composite", [captioner, llava, dual])
def test_a_trained_tower_lives_in_a_composite_model_that_is_saved_and_loaded(composite, tower, tmp_path):
    trained: Any = TOWERS[tower]()
    trained.config.trained_by = "a colleague"
    trained.save_pretrained(tmp_path / "tower")
    model, run = composite(type(trained).from_pretrained(tmp_path / "tower"))
    model.eval().save_pretrained(tmp_path / "whole")
    again = type(model).from_pretrained(tmp_path / "whole").eval()
    assert all(map(torch.equal, again.parameters(), model.parameters()))
    with torch.no_grad():  # some processors round products by where in memory a weight begins
        torch.testing.assert_close(run(again), run(model), rtol=1e-6, atol=1e-6)
    encoder = getattr(again.config, "encoder", None) or again.config.vision_config
    assert type(encoder) is type(trained.config)
    assert encoder.trained_by == "a colleague"
