"""Training with fewer tokens than evaluation, which leaves a model that knows nothing of it."""

import pytest
import torch
from training.small_runs import small_model, trainer_of

from vit_hf.errors import UserError
from vit_hf.fewer_tokens.put_on import fewer_tokens_of


@pytest.mark.parametrize(
    ("optimization", "in_training"),
    [
        ({"token_merging": {"r": 3}}, [17, 14]),
        ({"patch_dropout": 0.5}, [9, 9]),
        ({"token_merging": {"r": [2]}, "patch_dropout": 0.25}, [13, 11]),
        ({"token_merging": {"r": 3}, "lora": {"rank": 2}}, [17, 14]),
    ],
)
def test_steps_compute_fewer_tokens_and_evaluation_all(optimization, in_training, tmp_path):
    model, seen = small_model(image_size=16), {True: set(), False: set()}
    for number, layer in enumerate(model.vit.layers):
        layer.register_forward_pre_hook(
            lambda module, given, number=number: seen[module.training].add((number, given[0].shape[1]))
        )
    trainer = trainer_of(model, tmp_path, optimization, data=Squares(16), eval_data=Squares(8))
    trainer.train()
    trainer.evaluate()
    assert seen[True] == set(enumerate(in_training))
    assert seen[False] == {(0, 17), (1, 17)}
    assert fewer_tokens_of(model) is not None
    trainer.use_final_weights()
    assert fewer_tokens_of(model) is None


class Squares(torch.utils.data.Dataset):
    """Images of 16 patches, of random colors."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, indices: list[int]):
        return {"pixel_values": torch.randn(len(indices), 3, 16, 16), "labels": torch.tensor(indices) % 3}


def test_merging_that_was_put_on_by_hand_stays(tmp_path):
    from vit_hf import merge_tokens

    model = merge_tokens(small_model(), 1)
    trainer = trainer_of(model, tmp_path)
    trainer.train()
    trainer.use_final_weights()
    assert fewer_tokens_of(model) is not None


def test_more_numbers_than_layers_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(UserError, match="3 numbers of tokens are given for 2 layers"):
        trainer_of(small_model(), tmp_path, {"token_merging": {"r": [1, 1, 1]}})
