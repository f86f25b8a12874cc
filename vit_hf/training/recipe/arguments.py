"""transformers' TrainingArguments with the defaults that images need."""

import os
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any, get_type_hints

import torch
import transformers

from ...errors import UserError, unknown_name
from .argument_types import refuse_wrong_numbers, refuse_wrong_types
from .optimization import OptimizationSettings


def copies_without_waiting() -> dict[str, Any] | None:
    """For Accelerate: batches go to an accelerator while it computes."""
    return {"non_blocking": True} if torch.accelerator.is_available() else None


def agree_on_tf32() -> None:
    """The compiler reads the older of torch's two switches, which torch refuses where only the newer one was set, as
    transformers does for what is compiled."""
    backends: Any = torch.backends  # which declares no such name
    if backends.fp32_precision == "tf32":
        torch.set_float32_matmul_precision("high")


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """Keep the image column, report to nobody unless asked, pin memory only for an accelerator to read, which is not
    waited for, and show a loss that is no number, instead of the mean of those before it, which to filter out waits
    for the device.
    """

    output_dir: str | None = "outputs"
    remove_unused_columns: bool = False
    ddp_find_unused_parameters: bool | None = False  # all are used, and looking for others costs each step
    logging_nan_inf_filter: bool = False
    report_to: str | list[str] | None = "none"
    dataloader_pin_memory: bool = field(default_factory=torch.accelerator.is_available)
    accelerator_config: dict | str | None = field(default_factory=copies_without_waiting)

    def __post_init__(self):
        super().__post_init__()
        if self.torch_compile:
            # Batches have one size, but where a recipe means them to have others: each gets a graph of its own, which
            # is faster than one for all.
            os.environ.setdefault("ACCELERATE_DYNAMO_USE_DYNAMIC", "false")
            agree_on_tf32()


REPORTERS = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow"}


def refuse_missing_reporters(report_to: Any) -> None:
    """Raises: UserError for a reporter whose library is not installed, before any data is read."""
    for name in [report_to] if isinstance(report_to, str) else report_to or []:
        if name in REPORTERS and find_spec(REPORTERS[name]) is None:
            raise UserError(
                f"training.report_to: {name} is not installed; pip install {REPORTERS[name]}, or leave the field out."
            )


def argument_names() -> list[str]:
    return [argument.name for argument in fields(TrainingArguments) if argument.init]


def refuse_unknown_arguments(training: dict[str, Any]) -> dict[str, Any]:
    known = argument_names()
    for name in training:
        if name not in known:
            raise UserError(unknown_name("training argument", name, known))
    refuse_wrong_types(training, get_type_hints(TrainingArguments))
    refuse_wrong_numbers(training)
    refuse_missing_reporters(training.get("report_to"))
    refuse_lengths(training.get("train_sampling_strategy"))
    return training


def refuse_lengths(strategy: Any) -> None:
    """Raises: UserError for an order of the training images by what images do not have."""
    if strategy not in (None, "random", "sequential"):
        raise UserError(
            f"training.train_sampling_strategy: {strategy} goes by the lengths of texts, and images have none; leave "
            "it out, or say sequential (data.sampling: balanced draws every class as often)."
        )


# By values of the right type: of words that there are not, of files, of libraries that are not installed.
WHAT_ARGUMENTS_RAISE = (ValueError, TypeError, AttributeError, ImportError, OSError, LookupError, ArithmeticError)


def training_arguments(training: dict[str, Any]) -> TrainingArguments:
    """Of the `training:` section of a recipe.

    Raises: UserError for what transformers refuses, naming the field where one alone is to blame.
    """
    try:
        return TrainingArguments(**training)
    except WHAT_ARGUMENTS_RAISE as error:
        culprit = next((name for name, value in training.items() if is_refused({name: value})), None)
        where = f"training.{culprit}={training[culprit]!r}" if culprit else "training"
        raise UserError(f"{where}: {error}") from error


def is_refused(training: dict[str, Any]) -> bool:
    try:
        TrainingArguments(**training)
    except WHAT_ARGUMENTS_RAISE:
        return True
    return False


def replicas(arguments: TrainingArguments) -> int:
    """How many copies of the model look at images at the same time."""
    return arguments.world_size * max(1, arguments.n_gpu)


def effective_batch(arguments: TrainingArguments) -> int:
    """Images in one step of the optimizer."""
    return arguments.per_device_train_batch_size * replicas(arguments) * arguments.gradient_accumulation_steps


def plan_steps(arguments: TrainingArguments, settings: OptimizationSettings, given: dict) -> list[str]:
    """Set the batch of each process, the accumulation and the learning rate. -> what was set, as lines.

    `given` holds the arguments that the recipe says itself: of the batch of a process and of the accumulation the
    one that is said stands, and the other makes up the whole.

    Raises: UserError where the whole batch does not divide.
    """
    lines = []
    if settings.batch_size is not None:
        divide_batch(arguments, settings.batch_size, given)
    whole = effective_batch(arguments)
    shares = f"{replicas(arguments)} x {arguments.per_device_train_batch_size}"
    if arguments.gradient_accumulation_steps > 1:
        shares += f" x {arguments.gradient_accumulation_steps} accumulated"
    lines.append(f"Batch: {whole} images a step ({shares})")
    if settings.scale_learning_rate_from is not None:
        base = arguments.learning_rate
        arguments.learning_rate = base * whole / settings.scale_learning_rate_from
        lines.append(
            f"Learning rate: {arguments.learning_rate:.6g}, scaled from {base:g} for a batch of "
            f"{settings.scale_learning_rate_from} to this one of {whole}"
        )
    return lines


def divide_batch(arguments: TrainingArguments, whole: int, given: dict) -> None:
    devices = replicas(arguments)
    accumulated = arguments.gradient_accumulation_steps
    if "per_device_train_batch_size" in given and "gradient_accumulation_steps" not in given:
        each = arguments.per_device_train_batch_size
        refuse_rest(whole, devices * each, f"{devices} x {each} images (training.per_device_train_batch_size)")
        arguments.gradient_accumulation_steps = whole // (devices * each)
        return
    refuse_rest(whole, devices * accumulated, f"{devices} processes x {accumulated} accumulated batches")
    each = whole // (devices * accumulated)
    if given.get("per_device_train_batch_size", each) != each:
        raise UserError(
            f"optimization.batch_size={whole} is {each} images for each of {devices} processes and {accumulated} "
            f"accumulated batches, but training.per_device_train_batch_size is "
            f"{given['per_device_train_batch_size']}; leave one of the three out."
        )
    arguments.per_device_train_batch_size = each


def refuse_rest(whole: int, part: int, words: str) -> None:
    if whole % part:
        nearest = max(1, round(whole / part)) * part
        raise UserError(f"optimization.batch_size={whole} does not divide into {words}; {nearest} does.")
