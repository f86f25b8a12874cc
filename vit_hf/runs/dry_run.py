"""What a training would do, without doing it."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import SchedulerType

from ..data.settings import ProblemType
from ..plots.galleries import draw_samples
from ..training.costs import activation_bytes, training_operations, weight_bytes
from ..training.trainer.trainer import prepare_model
from .prepared_run import PreparedRun
from .report import table

GIB = 2**30


def picture_path(output_dir: str) -> Path:
    """In the folder of the run, which nobody publishes with it."""
    return Path(output_dir) / "dry_run.png"


def spread_of_targets(run: PreparedRun) -> str:
    """Mean and standard deviation of each number in each split."""
    rows = [
        [name, *(f"{own.mean():.4g} ± {own.std(correction=0):.4g}" for own in columns)]
        for name, *columns in zip(
            run.data.label_names, *(images.labels.T for images in run.batches.values()), strict=True
        )
    ]
    return table(["number", *run.batches], rows)


def class_balance(run: PreparedRun) -> str:
    """Images of each class in each split; the rarest and the commonest ten of many."""
    if run.data.problem_type == "regression":
        return spread_of_targets(run)
    number = len(run.data.label_names)
    counts = {split: images.table.class_counts(number) for split, images in run.batches.items()}
    first = next(iter(counts.values()))  # of the train split, unless it is streamed
    order = sorted(range(len(run.data.label_names)), key=lambda label: first[label])
    shown = order if len(order) <= 20 else order[:10] + order[-10:]
    rows = [[run.data.label_names[label], *(f"{counts[split][label]:,}" for split in counts)] for label in shown]
    left_out = f"\n  and {len(order) - len(shown):,} classes between them" if len(order) > len(shown) else ""
    return table(["class", *counts], rows) + left_out


def count_steps(run: PreparedRun) -> tuple[int | None, int]:
    """-> steps of the optimizer in an epoch (None of a stream) and in all, as the Trainer counts them"""
    arguments = run.arguments
    if run.stream is not None:
        return None, arguments.max_steps
    images = len(run.batches["train"])
    each = arguments.train_batch_size * arguments.world_size
    batches = images // each if arguments.dataloader_drop_last else math.ceil(images / each)
    an_epoch = max(1, math.ceil(batches / arguments.gradient_accumulation_steps))
    in_all = arguments.max_steps if arguments.max_steps > 0 else math.ceil(arguments.num_train_epochs * an_epoch)
    return an_epoch, in_all


def costs(run: PreparedRun) -> list[str]:
    """Parameters, arithmetic and memory of the model as it would be trained."""
    model, arguments = run.model, run.arguments
    an_epoch, in_all = count_steps(run)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    operations = training_operations(model)
    whole = operations * in_all * arguments.train_batch_size * arguments.world_size
    whole *= arguments.gradient_accumulation_steps
    weights = weight_bytes(model, averaged=run.recipe.optimization.ema is not None)
    kept = activation_bytes(model, arguments.per_device_train_batch_size)
    warm_up = arguments.get_warmup_steps(in_all)
    epoch = "an unknown number is" if an_epoch is None else f"{an_epoch:,} are"
    return [
        f"Steps: {in_all:,}, of which {epoch} an epoch and {warm_up:,} warm up; learning rate "
        f"{arguments.learning_rate:g}, {SchedulerType(arguments.lr_scheduler_type).value}",
        f"Parameters: {model.num_parameters():,}, of which {trained:,} are trained",
        f"Arithmetic: {operations / 1e9:.3g} GFLOP to train on one of them, {whole / 1e15:.3g} PFLOP in all",
        f"Memory on each device: about {(weights + kept) / GIB:.2f} GiB in float32 ({weights / GIB:.2f} for weights, "
        f"gradients and Adam's moments, at most {kept / GIB:.2f} for activations)",
    ]


def some_images(run: PreparedRun) -> tuple[Tensor, Tensor]:
    """-> b ... c h w, b: images or clips of the first epoch as the model sees them, from 0 to 1, and their labels"""
    mean, std, shown = run.preparation.mean, run.preparation.std, run.modality.shown
    if run.stream is not None:
        _, raw = next(run.stream.read(0, None))
        return run.stream.prepare.finish(raw)["pixel_values"][:shown] * std + mean, raw["labels"][:shown]
    images = run.batches["train"]
    chosen = torch.linspace(0, len(images) - 1, min(shown, len(images))).round().long().tolist()
    pixels = images.__getitems__(chosen)["pixel_values"] * std + mean
    if run.recipe.model.task == "masked_image_modeling":
        masked = run.masked("train").masks(chosen)
        pixels = pixels * ~run.model.pixels_of(masked, run.model.config.patch_grid)
    return pixels, images.labels[chosen]


def caption(label: Tensor, names: Sequence[str], problem_type: ProblemType) -> str:
    """One whole number, or labels of 0 and 1, or numbers -> what a person reads under an image"""
    if problem_type == "regression":
        return ", ".join(f"{number:.3g}" for number in label.tolist())
    if problem_type == "multi_label_classification":
        return ", ".join(name for name, there in zip(names, label.tolist(), strict=True) if there > 0.5) or "–"
    return names[int(label)]


def draw_batch(run: PreparedRun, path: Path) -> None:
    pixels, labels = some_images(run)
    names = [caption(label, run.data.label_names, run.data.problem_type) for label in labels]
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"{run.modality.plural.capitalize()} as the model sees them in the first epoch"
    draw_samples(run.modality.as_images(pixels), names, path, title=title, frames=run.modality.frames_shown)


def show_plan(run: PreparedRun) -> int:
    prepare_model(run.model, run.recipe.optimization)
    path = picture_path(str(run.arguments.output_dir))
    draw_batch(run, path)
    print(
        "\n".join(
            [*costs(run), "", class_balance(run), "", f"Nothing was trained. Some of the {run.modality.plural}: {path}"]
        )
    )
    return 0
