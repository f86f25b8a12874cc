import pytest
from peft import LoraConfig, get_peft_model
from tiny import tiny, tiny_swin
from training.small_runs import small_model, trainer_of

from vit_hf import (
    SwinTransformerForImageClassification,
    VisionTransformerForImageClassification,
)
from vit_hf.training.optimizer import depths_of, parameter_groups


def depth_at(model, starts: dict[str, int]) -> None:
    """Each parameter lies as deep as the longest of these beginnings of its name says."""
    depths = depths_of(model)
    for name, depth in depths.items():
        assert depth == starts[max((start for start in starts if name.startswith(start)), key=len)], name


def test_depth_grows_from_the_embeddings_to_the_head():
    model = tiny(VisionTransformerForImageClassification, pooling="attention", num_hidden_layers=3)
    layers = {f"vit.layers.{layer}.": layer + 1 for layer in range(3)}
    depth_at(model, {"vit.embeddings": 0, **layers, "vit.norm": 4, "vit.pool": 4, "classifier": 4})


def test_patches_are_merged_as_deep_as_the_block_that_follows():
    model = tiny_swin(SwinTransformerForImageClassification, depths=[1, 2], num_heads=[1, 2])
    layers = {"swin.stages.0.layers.0.": 1, "swin.stages.1.layers.0.": 2, "swin.stages.1.layers.1.": 3}
    depth_at(model, {"swin.embeddings": 0, **layers, "swin.stages.1.merge": 2, "swin.norm": 4, "classifier": 4})


def test_adapters_lie_as_deep_as_what_they_adapt():
    model = get_peft_model(tiny(VisionTransformerForImageClassification), LoraConfig(target_modules=["qkv"]))
    depths = depths_of(model)
    assert {depths[name] for name in depths if "layers.1." in name and "lora_A" in name} == {2}


def test_each_layer_learns_at_a_share_of_the_rate_above_it():
    model = small_model()
    groups = parameter_groups(model, ["classifier.weight"], learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    expected = {"classifier": 1.0, "vit.norm": 1.0, "vit.layers.1": 0.5, "vit.layers.0": 0.25, "vit.embeddings": 0.125}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == next(rate for start, rate in expected.items() if name.startswith(start))
    assert len(rates) == len(list(model.parameters()))
    # The first group's rate is the one that is logged.
    assert groups[0]["lr"] == 1.0


def test_only_the_named_decay():
    model = small_model()
    groups = parameter_groups(model, ["classifier.weight"], learning_rate=1.0, weight_decay=0.1, layer_decay=1.0)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert [id(parameter) for parameter in groups[0]["params"]] == [id(model.classifier.weight)]


def test_frozen_parameters_are_in_no_group_and_keep_the_depth_of_the_others():
    model = small_model()
    model.vit.layers[1].requires_grad_(False)
    groups = parameter_groups(model, [], learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)
    assert {group["lr"] for group in groups} == {1.0, 0.25, 0.125}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="Nothing is left to train"):
        parameter_groups(model, [], learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)


def test_the_schedule_moves_all_layers_in_proportion(tmp_path):
    trainer = trainer_of(
        small_model(), tmp_path, {"layer_decay": 0.5}, lr_scheduler_type="linear", max_steps=4, weight_decay=0.1
    )
    trainer.train()
    rates = sorted({round(group["initial_lr"], 8) for group in trainer.optimizer.param_groups})
    assert rates == [0.00125, 0.0025, 0.005, 0.01]
    assert [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry] == pytest.approx(
        [0.01, 0.0075, 0.005, 0.0025]
    )
