"""Ways to train the same network on the same batches in memory: a bare loop, our Trainer, transformers' Trainer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from tempfile import mkdtemp
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from ...training.recipe.arguments import TrainingArguments
from ...training.trainer.trainer import Trainer
from .peers import OURS, Logits
from .timing import Seconds
from .vit import BUILDERS

WARM_UP = 2  # first steps of a turn, which are not timed
LEARNING_RATE = 1e-3
MAX_GRAD_NORM = 1.0  # what transformers does unless told otherwise, and so everyone here

Turn = Callable[[], float]  # -> seconds of the timed steps
Clock = Callable[[], float]
# On a machine that others use too, the processor's time of one thread is what repeats.
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Images:
    """b c h w and b, for as many batches as a turn has."""

    pixels: Tensor
    labels: Tensor
    batch: int

    @classmethod
    def random(cls, side: int, batch: int, steps: int, classes: int = 10) -> "Images":
        count = batch * (steps + WARM_UP)
        return cls(torch.randn(count, 3, side, side), torch.randint(classes, (count,)), batch)


class Rows(Dataset):
    """Records one by one, as transformers collates them."""

    def __init__(self, images: Images):
        self.images = images

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"pixel_values": self.images.pixels[index], "labels": self.images.labels[index]}


class Whole(Rows):
    """Batches at once, as our data comes."""

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        rows = torch.as_tensor(indices)
        return {"pixel_values": self.images.pixels[rows], "labels": self.images.labels[rows]}


def bare_loop(model: nn.Module, images: Images, clock: Clock) -> Turn:
    """Pixels to logits by hand: cross-entropy, backward, clipping, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    model.train()

    def turn() -> float:
        order = torch.randperm(len(images.labels)).split(images.batch)
        for number, rows in enumerate(order):
            if number == WARM_UP:
                start = clock()
            functional.cross_entropy(model(images.pixels[rows]), images.labels[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            optimizer.zero_grad()
        return clock() - start

    return turn


@dataclass
class Stopwatch(TrainerCallback):
    """From the end of the last warming step to the end of the last step."""

    last: int
    clock: Clock
    seconds: float = 0.0
    start: float = field(default=0.0, repr=False)

    def on_step_end(self, args, state, control, **kwargs):
        now = self.clock()
        if state.global_step == WARM_UP:
            self.start = now
        if state.global_step == self.last:
            self.seconds = now - self.start


def trained_by(trainer_class: type[transformers.Trainer], model: nn.Module, images: Images, clock: Clock) -> Turn:
    """With the defaults of either Trainer; a line of the log every ten steps, which nobody prints."""
    ours = issubclass(trainer_class, Trainer)
    steps = len(images.labels) // images.batch
    watch = Stopwatch(steps, clock)
    arguments: Mapping[str, Any] = {
        "output_dir": mkdtemp(prefix="vit_hf-benchmark-"),
        "max_steps": steps,
        "per_device_train_batch_size": images.batch,
        "learning_rate": LEARNING_RATE,
        "max_grad_norm": MAX_GRAD_NORM,
        "logging_steps": 10,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
        "use_cpu": images.pixels.device.type == "cpu",
        "dataloader_pin_memory": False,
    }
    trainer = trainer_class(
        model=model,
        args=(TrainingArguments if ours else transformers.TrainingArguments)(**arguments),
        train_dataset=(Whole if ours else Rows)(images),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)

    def turn() -> float:
        trainer.train()
        return watch.seconds

    return turn


def model_of(library: str, numbers) -> Any:
    """What a Trainer takes: a model of the transformers kind, out of its wrapping for the benchmark."""
    built = BUILDERS[library](numbers)
    return built.model if isinstance(built, Logits) else built


BARE = "bare loop"


def contenders(numbers, images: Images, libraries: Mapping[str, Any], clock: Clock) -> dict[str, Turn]:
    """Those whose libraries are there."""
    turns: dict[str, Turn] = {
        BARE: bare_loop(BUILDERS[OURS](numbers), images, clock),
        OURS: trained_by(Trainer, model_of(OURS, numbers), images, clock),
    }
    if "transformers" in libraries:
        turns["transformers"] = trained_by(transformers.Trainer, model_of("transformers", numbers), images, clock)
    if "timm" in libraries:
        turns["timm, bare loop"] = bare_loop(model_of("timm", numbers), images, clock)
    return turns


def take_turns(turns: Mapping[str, Turn], rounds: int) -> dict[str, Seconds]:
    """The seconds of everyone in every round, after one round that does not count; nobody is always first."""
    names = list(turns)
    for name in names:
        turns[name]()
    seconds: dict[str, Seconds] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(turns[name]())
    return seconds
