import pytest
from training.small_runs import small_model, trainer_of

from vit_hf.training.groups import layer_of, parameter_groups


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("vit.embeddings.class_token", 0),
        ("vit.embeddings.patches.projection.weight", 0),
        ("vit.layers.0.attention.qkv.weight", 1),
        ("vit.layers.11.feed_forward.inner.base_layer.bias", 12),
        ("vit.layers.11.attention.qkv.lora_A.default.weight", 12),
        ("vit.norm.weight", 13),
        ("vit.pool.query", 13),
        ("classifier.weight", 13),
    ],
)
def test_depth_grows_from_the_embeddings_to_the_head(name: str, layer: int):
    assert layer_of(name, layers=12) == layer


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
