"""A step that does not fit into the device's memory: which batch would, measured there and then, in a sentence."""

import gc
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...errors import UserError
from ...families import family_of_model
from ..costs import blank_inputs, sum_of_outputs

USABLE = 0.9  # of the memory; the rest is for what an augmentation needs, and for gaps between tensors


class OutOfMemory(UserError):
    """The device's memory ran out in a training step, or in an evaluation."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes: that a process may use, that are taken before a step, and that a step adds, for any batch and for each
    image of it."""

    usable: int
    taken: int
    of_step: int
    of_image: int

    @property
    def images(self) -> int:
        """That fit into a step; 0 where none does."""
        return max(0, int((USABLE * self.usable - self.taken - self.of_step) // max(1, self.of_image)))

    @classmethod
    def of(cls, usable: int, taken: int, peaks: dict[int, int]) -> "StepMemory":
        """peaks: of steps of one image, of two, of four ...: of how many fitted, the most bytes that were in use."""
        if not peaks:
            return cls(usable, taken, 0, usable)
        *_, most = counts = sorted(peaks)
        if len(counts) == 1:
            return cls(usable, taken, 0, peaks[most] - taken)
        fewer = counts[-2]
        of_image = max(1, (peaks[most] - peaks[fewer]) // (most - fewer))
        return cls(usable, taken, max(0, peaks[most] - taken - most * of_image), of_image)


def divided(images: int, most: int) -> tuple[int, int]:
    """-> batch, accumulated: the largest batch up to `most` of which several are as many images, or nearly as many
    where they divide into no batch above half of `most`."""
    least = -(-images // most)
    for accumulated in range(least, 2 * least + 1):
        if images % accumulated == 0:
            return images // accumulated, accumulated
    return most, round(images / most)


def peaks_of(step: Callable[[int], int], most: int) -> dict[int, int]:
    """What `step(images)` says that it took, of one image, of two, of four ..., until `most` or as far as fits."""
    peaks, images = {}, 1
    while images < most:
        try:
            peaks[images] = step(images)
        except torch.OutOfMemoryError:
            break
        images *= 2
    return peaks


def usable_bytes(device: torch.device) -> int:
    """What this process has of a card, and what is free there, up to the share of it that it may have."""
    free, whole = torch.cuda.mem_get_info(device)
    ours = torch.cuda.memory_reserved(device) + free
    return min(ours, int(torch.cuda.get_per_process_memory_fraction(device) * whole))


def moments_to_come(trainer: Any) -> int:
    """Bytes that the optimizer will need beside the weights, as Adam does, where it has not made a step yet."""
    if trainer.optimizer is None or trainer.optimizer.state:
        return 0
    return 2 * sum(parameter.nbytes for parameter in trainer.model.parameters() if parameter.requires_grad)


def step_memory(trainer: Any) -> StepMemory | None:
    """Measured by steps on blank images; None where they cannot be made: on other devices than CUDA's, beside other
    processes, which would have to take part, and with models of no family that is known here."""
    device, batch = trainer.args.device, trainer.args.per_device_train_batch_size
    if device.type != "cuda" or trainer.args.world_size > 1 or not family_of_model(trainer.model):
        return None
    model: nn.Module = trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_torch_compile=False)
    forget(model)
    to_come = moments_to_come(trainer)

    def step(images: int) -> int:
        torch.cuda.reset_peak_memory_stats(device)
        try:
            with trainer.compute_loss_context_manager():
                total = sum_of_outputs(model(**blank_inputs(model, images)))
            total.backward()
            return torch.cuda.max_memory_allocated(device) + to_come
        finally:
            forget(model)

    taken = torch.cuda.memory_allocated(device) + to_come
    return StepMemory.of(usable_bytes(device), taken, peaks_of(step, batch))


def forget(model: nn.Module) -> None:
    """Gradients, and memory that nothing refers to."""
    model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def what_fits(trainer: Any, memory: StepMemory | None) -> str:
    """The sentence: what ran out, what would fit, and how to learn from as many images a step all the same."""
    arguments = trainer.args
    batch = arguments.per_device_train_batch_size
    said = (
        f"{name_of_device(arguments.device)} ran out of memory in step {trainer.state.global_step + 1}, with "
        f"training.per_device_train_batch_size: {batch}."
    )
    most = max(1, batch // 2)
    if memory is None:
        said += f" Half of it may fit: {most}."
    else:
        said += (
            f" Of the {gib(memory.usable)} that it has for this process {gib(memory.taken + memory.of_step)} are for "
            f"the model and its optimizer, and each image takes {gib(memory.of_image)}."
        )
        most = min(memory.images, batch - 1)
        said += f" About {most} would fit." if most else " Not one image fits; take a smaller model or smaller images."
    said += smaller_batch(batch * arguments.gradient_accumulation_steps, most) if most else ""
    # The same thing, as newer versions of transformers call it and as older ones do.
    name = next(name for name in ("activation_checkpointing", "gradient_checkpointing") if hasattr(arguments, name))
    if not getattr(arguments, name):
        said += f" Or compute activations twice in place of keeping them, which is slower: --training.{name} true."
    return said


def smaller_batch(images: int, most: int) -> str:
    """images: of one process in a step of the optimizer"""
    each, accumulated = divided(images, most)
    return (
        f" Take --training.per_device_train_batch_size {each} --training.gradient_accumulation_steps {accumulated}, "
        f"which is {each * accumulated} images a step{'' if each * accumulated == images else f' for {images}'}."
    )


def name_of_device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def out_of_memory(trainer: Any, error: torch.OutOfMemoryError) -> OutOfMemory:
    """What to raise in its place. The step that failed gives its tensors back."""
    traceback.clear_frames(error.__traceback__)
    return OutOfMemory(what_fits(trainer, step_memory(trainer)))


def out_of_memory_in_evaluation(trainer: Any, error: torch.OutOfMemoryError | MemoryError) -> OutOfMemory:
    """As `out_of_memory`; the batches of an evaluation are larger, and the figures the same with smaller ones."""
    traceback.clear_frames(error.__traceback__)
    batch = trainer.args.per_device_eval_batch_size
    way_out = f"Take --training.per_device_eval_batch_size {batch // 2}, which changes no figure."
    return OutOfMemory(
        f"{name_of_device(trainer.args.device)} ran out of memory in an evaluation, with "
        f"training.per_device_eval_batch_size: {batch}. "
        f"{way_out if batch > 1 else 'Take a smaller model or smaller images.'}"
    )
