"""Drawing every class as often: exact in an epoch, the same on resume and over processes, and never a sample twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from killable_runs import KillAt, Killed, small_trainer
from processes import finish_group
from training.small_runs import weights_of
from training.trainer.test_distributed import HALF, losses

from vit_hf.data.settings import DataSettings
from vit_hf.training.recipe.recipe import Recipe
from vit_hf.training.trainer.order import EpochOrder, rarest, weighted

LABELS = np.repeat([0, 1, 2], [70, 25, 5])


def order_of(labels: np.ndarray, batch: int = 10, **how: Any) -> EpochOrder:
    return EpochOrder(len(labels), batch=batch, seed=3, labels=labels, **how)


def test_each_class_comes_as_often_in_every_epoch():
    order = order_of(LABELS)
    for epoch in range(20):
        classes = np.bincount(LABELS[order.indices(epoch) % 100])
        assert classes.sum() == 100
        assert set(classes) <= {33, 34}


def test_each_image_comes_as_often_as_its_class_is_rare_and_no_image_is_preferred():
    order = order_of(LABELS)
    seen = np.stack([np.bincount(order.indices(epoch) % 100, minlength=100) for epoch in range(3000)])
    assert set(np.unique(seen[:, :70])) == {0, 1}  # 100 / 3 / 70 = .48
    assert set(np.unique(seen[:, 70:95])) == {1, 2}  # 1.33
    assert set(np.unique(seen[:, 95:])) == {6, 7}  # 6.67
    expected = 100 / 3 / np.bincount(LABELS)[LABELS]
    assert abs(seen.mean(0) - expected).max() < 5 * 0.5 / 3000**0.5


def test_an_image_that_comes_again_is_another_sample_and_so_differently_augmented():
    for epoch in range(5):
        samples = order_of(LABELS).indices(epoch)
        assert len(np.unique(samples)) == 100
        rare = np.sort(samples[samples % 100 == 99])
        assert rare.tolist() == [99 + 100 * number for number in range(len(rare))]


def test_the_order_is_of_the_seed_and_the_epoch_alone_and_mixes_the_classes():
    order = order_of(LABELS)
    assert order.indices(4).tolist() == order_of(LABELS).indices(4).tolist()
    assert order.indices(4).tolist() != order.indices(5).tolist()
    assert order.images_of_step(12).tolist() == (order.indices(1)[10:20] % 100).tolist()
    halves = LABELS[order.indices(0)[:50] % 100]
    assert min(np.bincount(halves, minlength=3)) > 8


@given(some.lists(some.integers(0, 4), min_size=1, max_size=60), some.floats(0, 1, exclude_max=True))
def test_a_comb_gives_each_image_its_weight_rounded_down_or_up_and_as_many_as_there_are(
    labels: list[int], offset: float
):
    _, counts = rarest(np.array(labels))
    weights = 1 / counts
    drawn = weighted(np.arange(len(labels)), weights, offset=offset)
    assert len(drawn) == len(labels)
    times, wanted = np.bincount(drawn % len(labels), minlength=len(labels)), weights * len(labels) / weights.sum()
    assert (abs(times - wanted) < 1 + 1e-9).all()


def test_several_labels_go_by_the_rarest_and_having_none_is_one_more():
    labels = np.array([[1, 1], [1, 0], [1, 0], [0, 0], [0, 0]], dtype=np.float32)
    own, counts = rarest(labels)
    assert own.tolist() == [1, 0, 0, 2, 2]
    assert counts.tolist() == [1, 3, 3, 2, 2]


def balanced_trainer(folder: Path, *callbacks: Any, **settings: Any) -> Any:
    trainer: Any = small_trainer(folder, *callbacks, **settings)
    trainer.train_dataset.balanced = True
    trainer.train_dataset.labels[3:] = 1  # 3 of 22 are cats
    return trainer


def test_a_balanced_run_goes_on_where_it_was_killed(tmp_path: Path):
    whole = balanced_trainer(tmp_path / "whole")
    whole.train()
    cats = whole.train_dataset.labels[torch.from_numpy(whole.order.indices(1) % 22)] == 0
    assert cats.sum() >= 11
    killed = balanced_trainer(tmp_path / "killed", KillAt(8))
    with pytest.raises(Killed):
        killed.train()
    resumed = balanced_trainer(tmp_path / "killed")
    resumed.train(resume_from_checkpoint=True)
    ends = weights_of(whole.model), weights_of(resumed.model)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_two_processes_draw_the_same_images_as_one(tmp_path: Path):
    settings = {**HALF, "num_train_epochs": 1}
    finish_group(2, tmp_path / "two", balanced=True, **settings)
    balanced_trainer(tmp_path / "one", **{**settings, "per_device_train_batch_size": 4}).train()
    torch.testing.assert_close(
        torch.tensor(losses(tmp_path / "two")), torch.tensor(losses(tmp_path / "one")), atol=0, rtol=2e-6
    )


@pytest.mark.parametrize("word", ["uniform", "dense"])
def test_the_old_words_for_frames_name_the_new_field(word: str):
    with pytest.raises(ValueError, match=f"say data.frame_sampling: {word}"):
        DataSettings(name="moving_digits", sampling=word)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"data": {"repeats": 3}}, "repeats images of rare classes, and repeats those of all"),
        ({"data": {"streaming": True}, "training": {"max_steps": 3}}, "sampling=balanced needs"),
        ({"optimization": {"class_weights": "balanced"}}, "optimization.class_weights: balanced both make up"),
        ({"optimization": {"logit_adjustment": 1.0}}, "optimization.logit_adjustment both make up"),
        ({"training": {"train_sampling_strategy": "sequential"}}, "takes them as they come"),
        ({"model": {"task": "masked_image_modeling"}}, "needs labels"),
    ],
)
def test_what_balanced_drawing_does_not_go_with_is_a_sentence(recipe: dict[str, Any], says: str):
    data = {"name": "digits", "sampling": "balanced", **recipe.get("data", {})}
    with pytest.raises(ValueError, match=says):
        Recipe(**{**recipe, "data": data})  # pyright: ignore[reportArgumentType]
