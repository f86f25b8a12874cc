"""Which images each step learns from: a function of the seed and the epoch, whatever the number of processes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler
from transformers import TrainerCallback

from ...data.augment.random_numbers import uniform
from ...errors import UserError

ORDER_STREAM = 0x6F72646572  # keeps these random numbers apart from those that augment
DRAWING_STREAM = 0x64726177  # and those that draw from those that order


def permutation(images: int, *, seed: int, epoch: int) -> np.ndarray:
    """-> images: the numbers from 0 on, shuffled"""
    draws = uniform(seed ^ ORDER_STREAM, epoch, np.arange(images), 1)[:, 0]
    return np.argsort(draws, kind="stable")


def repeated(order: np.ndarray, repeats: int, *, batch: int) -> np.ndarray:
    """images -> images: each of the first of them `repeats` times over; the n-th time, image i is i + n · images.

    Images come in groups, a group `repeats` times, so that a step of `batch` samples holds all repetitions of its
    images, and neighbors are different images, which can be mixed. Source: arXiv:1901.09335, as in DeiT.
    """
    images, group = len(order), max(1, batch // repeats)
    groups = np.split(order, range(group, images, group))
    again = [group + number * images for group in groups for number in range(repeats)]
    return np.concatenate(again)[:images]


def rarest(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n (whole numbers), or n labels (0 and 1) -> n, n: the rarest label of each image, and how many images have it. To
    have none is a label too, behind the others.
    """
    if labels.ndim == 1:
        return labels, np.bincount(labels)[labels]
    there = labels > 0.5
    there = np.concatenate([there, ~there.any(1, keepdims=True)], axis=1)
    counts = there.sum(0)
    own = np.where(there, counts, len(labels) + 1).argmin(1)
    return own, counts[own]


def weighted(order: np.ndarray, weights: np.ndarray, *, offset: float) -> np.ndarray:
    """n, n -> n: the images in this order, each as often as its weight says, but for less than one; the n-th time,
    image i is i + n · images.

    As in stratified drawing a comb of n teeth, moved by an `offset` from 0 to 1, is laid over the weights, which stand
    end to end. So each image comes its weight rounded down or up, and what lies side by side as often as its sum says.
    """
    images = len(order)
    ends = np.cumsum(weights[order])
    # An offset just below 1 is rounded up to it beside a large number.
    teeth = np.minimum(np.floor(ends / ends[-1] * images + offset), images).astype(np.int64)
    times = np.diff(teeth, prepend=0)
    again = np.arange(images) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(order, times) + again * images


class EpochOrder(Sampler[int]):
    """Every image once in an epoch, in whole batches of `batch` (the images of one step, of all processes).

    With `repeats` fewer images, each as often, and as many samples as before. With the `labels` of the images (n, or n
    labels of 0 and 1) each class as often, by repeating those of rare ones and leaving out of common ones: an image as
    often as its rarest label is rare, in the mean over the epochs, and within one as nearly as whole numbers can.

    The last batch is filled from the beginning of the epoch's order, or left out with `drop_last`. So each step has
    the same images, and each of its parts the same weight, on one process and on many.

    Raises: UserError where one step would take more images than there are.
    """

    def __init__(
        self,
        images: int,
        *,
        batch: int,
        seed: int,
        drop_last: bool = False,
        repeats: int = 1,
        labels: np.ndarray | None = None,
    ):
        if batch > images:
            raise UserError(
                f"A step takes {batch} images (batch x accumulation x processes), and there are {images} to train on; "
                "make the batch smaller, or bring more images."
            )
        self.images = images
        self.batch = batch
        self.seed = seed
        self.drop_last = drop_last
        self.repeats = repeats
        self.balance = None if labels is None else rarest(labels)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        batches = self.images // self.batch if self.drop_last else -(-self.images // self.batch)
        return batches * self.batch

    def indices(self, epoch: int) -> np.ndarray:
        """-> (batches batch)"""
        order = permutation(self.images, seed=self.seed, epoch=epoch)
        if self.balance is None:
            return np.resize(repeated(order, self.repeats, batch=self.batch), len(self))
        classes, counts = self.balance
        by_class, again = order[np.argsort(classes[order], kind="stable")], self.seed ^ DRAWING_STREAM
        offset = float(uniform(again, epoch, np.zeros(1), 1)[0, 0])
        drawn = weighted(by_class, 1 / counts, offset=offset)
        return np.resize(drawn[permutation(self.images, seed=again, epoch=epoch)], len(self))

    def __iter__(self) -> Iterator[int]:
        yield from self.indices(self.epoch).tolist()

    def images_of_step(self, step: int) -> np.ndarray:
        """-> batch: what step 1, 2, ... of the whole run learns from"""
        epoch, within = divmod(step - 1, len(self) // self.batch)
        return self.indices(epoch)[within * self.batch : (within + 1) * self.batch] % self.images


def innermost_sampler(loader: Any) -> Any:
    """The one that decides the order, inside those that share it out and skip its beginning."""
    batches = loader.batch_sampler
    while hasattr(batches, "batch_sampler"):
        batches = batches.batch_sampler
    return batches.sampler


class Epochs(TrainerCallback):
    """Tells data and order which epoch it is, and lets the last step of one report and save after all it does.

    Accelerate tells them too, but not always: behind the skipped batches of a resumed epoch it forgets the data.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.postponed: set[str] = set()

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        if not hasattr(self.trainer.train_dataset, "__len__"):
            return  # a stream counts its own
        for listener in (self.trainer.train_dataset, innermost_sampler(train_dataloader)):
            if hasattr(listener, "set_epoch"):
                listener.set_epoch(int(state.epoch))

    def on_step_end(self, args, state, control, **kwargs):
        if self.trainer.stream is not None:
            state.epoch = state.global_step / state.max_steps  # transformers counts from the resumed step
        # A checkpoint of an epoch's last step must hold what is reported at the end of the epoch, or it is lost.
        if float(state.epoch).is_integer() or control.should_training_stop:
            for wish in ("should_log", "should_evaluate", "should_save"):
                if getattr(control, wish):
                    self.postponed.add(wish)
                    setattr(control, wish, False)

    def on_epoch_end(self, args, state, control, **kwargs):
        for wish in self.postponed:
            setattr(control, wish, True)
        self.postponed.clear()
