"""A training as people run it: our Trainer and transformers', beside the same steps without a Trainer."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import perf_counter
from typing import Any, Literal

import torch
import transformers
from torch import nn
from torch.nn import functional
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from ....training.recipe.arguments import TrainingArguments
from ....training.trainer.trainer import Trainer
from ..loops import LEARNING_RATE, MAX_GRAD_NORM, model_of
from ..peers import OURS
from .ahead import environment
from .feeds import (
    HEAVY,
    LIGHT,
    MANY_CLASSES,
    Amounts,
    ExamplePhotos,
    collate_examples,
    photos_of_ours,
    resident_images,
    write_photos,
)
from .samples import clear_up, seconds_a_call, wait_for
from .sizes import Workload

Kind = Literal["bare", "light", "heavy", "photos", "transformers"]
TITLES: dict[Kind, str] = {
    "bare": "the same steps without a Trainer, one batch over and over",
    "light": "our Trainer, bytes on the device: moved, flipped, mixup",
    "heavy": "our Trainer, bytes on the device: moved, flipped, RandAugment, mixup",
    "photos": "our Trainer, folder of JPEGs: random crops, flipped, mixup",
    "transformers": "transformers' Trainer and ViT, the same folder: random crops, flipped",
}
WEIGHT_DECAY = 0.1
PROFILED = 10  # steps
# By which transformers reaches Accelerate.
VARIABLES = (
    "ACCELERATE_DYNAMO_BACKEND",
    "ACCELERATE_DYNAMO_MODE",
    "ACCELERATE_DYNAMO_USE_DYNAMIC",
    "ACCELERATE_MIXED_PRECISION",
)


@dataclass
class TimedSteps(TrainerCallback):
    """From the end of one step to the end of another; the device is waited for at these two alone."""

    first: int
    last: int
    device: torch.device
    start: float = field(default=0.0, repr=False)
    seconds: float = 0.0

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step in (self.first, self.last):
            wait_for(self.device)
            now = perf_counter()
            self.seconds = now - self.start
            self.start = now


@dataclass
class ProfiledSteps(TrainerCallback):
    """The steps after the `first`, with torch's profiler: tables of what takes the device's time, and the processor's.

    path: a text file.
    """

    first: int
    path: Path
    device: torch.device
    profiler: Any = field(default=None, repr=False)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.first:
            own = torch.profiler.ProfilerActivity
            activities = [own.CPU, own.CUDA] if self.device.type == "cuda" else [own.CPU]
            self.profiler = torch.profiler.profile(activities=activities)
            self.profiler.start()

    def on_train_end(self, args, state, control, **kwargs):
        wait_for(self.device)
        self.profiler.stop()
        figures = self.profiler.key_averages()
        orders = ["self_cuda_time_total"] * (self.device.type == "cuda") + ["self_cpu_time_total"]
        tables = [figures.table(sort_by=order, row_limit=40, max_name_column_width=80) for order in orders]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(tables), encoding="utf-8")


@dataclass(frozen=True)
class Training:
    """One way to train a model of this size. It can be sent to another process, which compiles it."""

    kind: Kind
    workload: Workload
    amounts: Amounts
    compile: bool

    def __str__(self) -> str:
        return f"{self.workload.name}, {TITLES[self.kind]}"

    @property
    def seconds_to_compile(self) -> float:
        return 70.0

    @property
    def compiled_as(self) -> "Training":
        """What compiles the same: of our Trainer, whatever its images come from."""
        kind = "light" if self.kind in ("heavy", "photos") else self.kind
        return Training(kind, self.workload, self.amounts.barely(), self.compile)

    def run_once(self, device: torch.device) -> None:
        with TemporaryDirectory(prefix="vit_hf-photos-") as folder:
            if self.kind == "transformers":
                write_photos(Path(folder), self.amounts)
            self.images_per_second(device, Path(folder))

    def model(self) -> Any:
        torch.manual_seed(0)
        return model_of("transformers" if self.kind == "transformers" else OURS, self.workload.numbers)

    def images_per_second(self, device: torch.device, photos: Path, profiles: Path | None = None) -> float:
        """photos: a folder of JPEGs. profiles: a folder for tables of a few steps more. The whole step counts: images,
        augmentation, forward, backward, optimizer."""
        try:
            if self.kind == "bare":
                return bare_speed(self.model(), self.amounts, device, compile=self.compile)
            return self.trained(device, photos, profiles)
        finally:
            clear_up(device)

    def trained(self, device: torch.device, photos: Path, profiles: Path | None) -> float:
        amounts = self.amounts
        timed = amounts.warm + amounts.steps
        callbacks: list[TrainerCallback] = [window := TimedSteps(amounts.warm, timed, device)]
        if profiles is not None:
            callbacks.append(ProfiledSteps(timed, profiles / f"{self.workload.name}_{self.kind}.txt", device))
        ours = self.kind != "transformers"
        workers = amounts.workers if self.kind in ("photos", "transformers") else 0
        with environment(*VARIABLES):
            arguments = (TrainingArguments if ours else transformers.TrainingArguments)(
                output_dir=mkdtemp(prefix="vit_hf-benchmark-"),
                max_steps=timed + PROFILED * (profiles is not None),
                per_device_train_batch_size=amounts.batch,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                max_grad_norm=MAX_GRAD_NORM,
                bf16=True,
                torch_compile=self.compile,
                logging_steps=50,
                logging_first_step=True,  # so that what is measured once for the logs is not measured in the window
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
                dataloader_num_workers=workers,
                dataloader_pin_memory=device.type == "cuda",
                dataloader_drop_last=True,
                use_cpu=device.type == "cpu",
                seed=0,
            )
            common: dict[str, Any] = {"model": self.model(), "args": arguments, "callbacks": callbacks}
            if ours:
                trainer = Trainer(**common, train_dataset=self.our_images(photos))
            else:
                images = ExamplePhotos(photos, amounts, amounts.images)
                trainer = transformers.Trainer(**common, train_dataset=images, data_collator=collate_examples)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return amounts.steps * amounts.batch / window.seconds

    def our_images(self, photos: Path) -> Any:
        if self.kind == "photos":
            return photos_of_ours(photos, self.amounts, self.amounts.images)
        return resident_images(self.amounts, LIGHT if self.kind == "light" else HEAVY)


def bare_speed(model: nn.Module, amounts: Amounts, device: torch.device, *, compile: bool) -> float:
    """Images a second of the Trainer's steps by hand: autocast, cross-entropy of shares, clipping, fused AdamW."""
    model = model.to(device).train()
    forward = torch.compile(model, dynamic=False) if compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    pixels = torch.randn(amounts.batch, 3, amounts.side, amounts.side, device=device)
    shares = torch.rand(amounts.batch, MANY_CLASSES, device=device).softmax(-1)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            logits = forward(pixels).logits
        functional.cross_entropy(logits.float(), shares).backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(amounts.warm):
        step()
    wait_for(device)
    return amounts.batch / seconds_a_call(step, amounts.steps, device)
