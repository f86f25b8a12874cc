"""What a training would do, without doing it."""

import math
from collections import Counter
from pathlib import Path

import torch
from transformers import SchedulerType

from ..analysis.samples import draw_samples
from ..training.costs import activation_bytes, operations_per_image, weight_bytes
from ..training.trainer import prepare_model
from .prepared_run import PreparedRun
from .tables import table

SHOWN = 32
GIB = 2**30


def picture_path(output_dir: str) -> Path:
    """Beside the folder of the run, which is left alone."""
    folder = Path(output_dir)
    return folder.with_name(f"{folder.name}_dry_run.png")


def class_balance(run: PreparedRun) -> str:
    """Images of each class in each split; the rarest and the commonest ten of many."""
    counts = {split: Counter(images.labels.tolist()) for split, images in run.batches.items()}
    order = sorted(range(len(run.data.label_names)), key=lambda label: counts["train"][label])
    shown = order if len(order) <= 20 else order[:10] + order[-10:]
    rows = [[run.data.label_names[label], *(f"{counts[split][label]:,}" for split in counts)] for label in shown]
    left_out = f"\n  and {len(order) - len(shown):,} classes between them" if len(order) > len(shown) else ""
    return table(["class", *counts], rows) + left_out


def steps(run: PreparedRun) -> tuple[int, int]:
    """-> steps of the optimizer in an epoch and in all, as the Trainer counts them"""
    arguments, images = run.arguments, len(run.batches["train"])
    each = arguments.train_batch_size * arguments.world_size
    batches = images // each if arguments.dataloader_drop_last else math.ceil(images / each)
    an_epoch = max(1, math.ceil(batches / arguments.gradient_accumulation_steps))
    in_all = arguments.max_steps if arguments.max_steps > 0 else math.ceil(arguments.num_train_epochs * an_epoch)
    return an_epoch, in_all


def costs(run: PreparedRun) -> list[str]:
    """Parameters, arithmetic and memory of the model as it would be trained."""
    model, arguments = run.model, run.arguments
    an_epoch, in_all = steps(run)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    operations = operations_per_image(model)
    whole = operations * in_all * arguments.train_batch_size * arguments.world_size
    whole *= arguments.gradient_accumulation_steps
    weights = weight_bytes(model, averaged=run.recipe.optimisation.ema is not None)
    kept = activation_bytes(model, arguments.per_device_train_batch_size)
    warm_up = arguments.get_warmup_steps(in_all)
    return [
        f"Steps: {in_all:,}, of which {an_epoch:,} are an epoch and {warm_up:,} warm up; learning rate "
        f"{arguments.learning_rate:g}, {SchedulerType(arguments.lr_scheduler_type).value}",
        f"Parameters: {model.num_parameters():,}, of which {trained:,} are trained",
        f"Arithmetic: {operations / 1e9:.3g} GFLOP to train on an image, {whole / 1e15:.3g} PFLOP in all",
        f"Memory on each device: about {(weights + kept) / GIB:.2f} GiB in float32 ({weights / GIB:.2f} for weights, "
        f"gradients and Adam's moments, at most {kept / GIB:.2f} for activations)",
    ]


def draw_batch(run: PreparedRun, path: Path) -> None:
    """The first images of the first epoch as the model would see them, by their labels."""
    images = run.batches["train"]
    chosen = torch.linspace(0, len(images) - 1, min(SHOWN, len(images))).round().long().tolist()
    batch = images.__getitems__(chosen)
    pixels = batch["pixel_values"] * run.preparation.std + run.preparation.mean
    names = [run.data.label_names[int(label)] for label in images.labels[chosen]]
    if run.recipe.model.task == "masked_image_modeling":
        masked = run.masked("train").masks(chosen)
        pixels = pixels * ~run.model.pixels_of(masked, run.model.config.patch_grid)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_samples(pixels, names, path, title="Images as the model sees them in the first epoch")


def show_plan(run: PreparedRun) -> int:
    prepare_model(run.model, run.recipe.optimisation)
    path = picture_path(str(run.arguments.output_dir))
    draw_batch(run, path)
    print("\n".join([*costs(run), "", class_balance(run), "", f"Nothing was trained. Some of the images: {path}"]))
    return 0
