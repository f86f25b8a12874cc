import pytest
import torch
from training.small_runs import small_model, trainer_of, weights_of

from vit_hf.training.optimizer import frozen_modules, frozen_names


def changed(before: dict, model) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}


@pytest.mark.parametrize(
    ("freeze", "learns"),
    [
        ("trunk", {"classifier"}),
        (["vit.embeddings.*", "vit.layers.0.*"], {"vit.layers.1", "vit.norm", "classifier"}),
        ("none", {"vit.embeddings", "vit.layers.0", "vit.layers.1", "vit.norm", "classifier"}),
    ],
)
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_moves(tmp_path, freeze, learns: set[str]):
    model = small_model()
    before = weights_of(model)
    trainer_of(model, tmp_path, {"freeze": freeze}, weight_decay=0.5).train()
    moved = {name for name in before if any(name.startswith(start) for start in learns)}
    assert changed(before, model) == moved


def test_an_attention_pool_belongs_to_the_trunk():
    model = small_model(pooling="attention")
    assert "vit.pool.query" in frozen_names(model, "trunk")


def test_a_pattern_that_matches_nothing_is_named():
    with pytest.raises(ValueError, match=r"no parameter matches 'vit.blocks.\*'; there are vit.embeddings"):
        frozen_names(small_model(), ["vit.norm.*", "vit.blocks.*"])


def test_the_head_learns_alone_in_the_first_steps_and_with_the_trunk_afterwards(tmp_path):
    model = small_model()
    before = weights_of(model)
    settings = {"head_only_steps": 2}
    trainer_of(model, tmp_path, settings, max_steps=2, weight_decay=0.5, gradient_accumulation_steps=2).train()
    assert changed(before, model) == {"classifier.weight", "classifier.bias"}
    probe = small_model()
    trainer_of(
        probe, tmp_path, {"freeze": "trunk"}, max_steps=2, weight_decay=0.5, gradient_accumulation_steps=2
    ).train()
    torch.testing.assert_close(model.classifier.weight, probe.classifier.weight, rtol=0, atol=1e-7)
    model = small_model()
    trainer_of(model, tmp_path, settings, max_steps=3).train()
    assert changed(before, model) == set(before)


def test_what_is_frozen_is_not_disturbed_while_the_head_learns(tmp_path):
    model = small_model(drop_path_rate=0.9, hidden_dropout_prob=0.5)
    seen: list[tuple[bool, bool]] = []
    model.classifier.register_forward_hook(lambda *_: seen.append((model.vit.training, model.classifier.training)))
    trainer_of(model, tmp_path, {"freeze": "trunk"}, max_steps=2).train()
    assert set(seen) == {(False, True)}
    partly = small_model(drop_path_rate=0.9)
    trainer_of(partly, tmp_path, {"freeze": ["vit.layers.0.*"]}, max_steps=1)
    assert frozen_modules(partly) == [partly.vit.layers[0]]
