from typing import Any

import pytest
import torch
from torch import nn
from training.small_runs import Noise, small_model, trainer_of, weights_of

from vit_hf import VisionTransformerForImageClassification
from vit_hf.training.lora import add_adapters, merge_adapters, target_linears
from vit_hf.training.recipe.optimization import LoraSettings

pytest.importorskip("peft")


def test_every_linear_in_the_layers_is_adapted_unless_some_are_named():
    model = small_model()
    ends = ("attention.qkv", "attention.output", "feed_forward.inner", "feed_forward.outer")
    assert target_linears(model, None) == [f"vit.layers.{layer}.{end}" for layer in (0, 1) for end in ends]
    assert target_linears(model, ["qkv"]) == ["vit.layers.0.attention.qkv", "vit.layers.1.attention.qkv"]
    with pytest.raises(ValueError, match=r"no Linear is called 'query'; there are attention.output, attention.qkv"):
        target_linears(model, ["qkv", "query"])


def test_only_the_narrow_matrices_and_the_head_learn_and_at_first_nothing_changes():
    model, images = small_model().eval(), Noise(4).pixels
    before = model(images).logits
    add_adapters(model, LoraSettings(rank=2))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or name.startswith("classifier") for name in learning)
    assert len(learning) == 2 * 8 + 2
    torch.testing.assert_close(model(images).logits, before)


def test_the_merged_matrix_is_the_frozen_one_plus_the_scaled_product():
    model: Any = small_model().eval()
    frozen = model.vit.layers[0].attention.qkv.weight.detach().clone()
    add_adapters(model, LoraSettings(rank=2, alpha=6, targets=["qkv"]))
    down, up = (torch.randn_like(part) for part in narrow(model))
    with torch.no_grad():
        for part, value in zip(narrow(model), (down, up), strict=True):
            part.copy_(value)
    adapted = model(Noise(4).pixels).logits
    merge_adapters(model)
    merged = model.vit.layers[0].attention.qkv
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged.weight, frozen + 3.0 * up @ down)
    torch.testing.assert_close(model(Noise(4).pixels).logits, adapted, rtol=0, atol=1e-5)


def narrow(model) -> tuple[torch.Tensor, torch.Tensor]:
    adapter = model.vit.layers[0].attention.qkv
    return adapter.lora_A["default"].weight, adapter.lora_B["default"].weight


def test_a_run_with_adapters_an_average_and_layer_decay_ends_as_a_plain_model(tmp_path):
    model = small_model()
    before = weights_of(model)
    settings = {"lora": {"rank": 2}, "ema": {"decay": 0.5}, "layer_decay": 0.5}
    trainer = trainer_of(model, tmp_path, settings, max_steps=3)
    trainer.train()
    rates = {group["initial_lr"] for group in trainer.optimizer.param_groups}
    assert rates == {0.01, 0.005, 0.0025}
    trainer.use_final_weights()
    trainer.save_model()
    logits = model.eval()(Noise(4).pixels).logits
    assert weights_of(model).keys() == before.keys()
    same = {name for name, tensor in model.state_dict().items() if torch.equal(before[name], tensor)}
    assert {name for name in same if "weight" in name and ("attention." in name or "feed_forward." in name)} == set()
    assert "vit.embeddings.class_token" in same
    loaded = VisionTransformerForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded(Noise(4).pixels).logits, logits)  # pyright: ignore[reportCallIssue]


def test_a_checkpoint_of_a_run_with_adapters_resumes(tmp_path):
    whole = small_model()
    settings = {"lora": {"rank": 2}}
    trainer_of(whole, tmp_path / "whole", settings, max_steps=4).train()
    first = trainer_of(small_model(), tmp_path / "cut", settings, max_steps=4, save_strategy="steps", save_steps=2)
    first.train()
    again = small_model()
    second = trainer_of(again, tmp_path / "cut", settings, max_steps=4)
    second.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-2"))
    assert all(torch.equal(weights_of(whole)[name], tensor) for name, tensor in weights_of(again).items())
