"""How good a model is on labeled images or videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.batches.dataset import ImageBatches, ViewedVideos, collate
from ..data.batches.load_batches import load_batches
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data, open_source
from ..data.sources.tables import ImageTable
from ..errors import UserError
from ..modality import Modality, modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..settings import explained
from ..training.metrics import classification_metrics
from ..training.recipe.yaml_files import apply_overrides, parse_overrides, read_yaml


def device_of_choice() -> torch.device:
    """The accelerator that there is, else the processor."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def mean_of_views(logits: Tensor, views: int) -> Tensor:
    """(b v) labels -> b labels: the logarithm of the mean probability over the views of each video"""
    return rearrange(logits.softmax(-1), "(b v) labels -> b v labels", v=views).mean(1).log()


@torch.inference_mode()
def predict_logits(
    model: nn.Module, images: ImageBatches | ViewedVideos, *, batch_size: int = 64, views: int = 1
) -> Tensor:
    """-> b labels, on the CPU, in the order of the images or videos

    views: that a batch holds of each video.
    """
    device = device_of_choice()
    model = model.to(device).eval()
    loader = DataLoader(images, batch_size=batch_size, collate_fn=collate)
    bar = tqdm(loader, desc="Predicting", unit=" batches", leave=False, disable=None)
    logits = torch.cat([model(pixel_values=batch["pixel_values"].to(device)).logits.float().cpu() for batch in bar])
    return mean_of_views(logits, views) if views > 1 else logits


def data_settings(model: str, name: str | None, overrides: Sequence[str]) -> DataSettings:
    """Data that the model was trained on is split, and its columns are found, as its recipe says."""
    recipe = Path(model) / "recipe.yaml"
    data = read_yaml(recipe).get("data", {}) if recipe.is_file() else {}
    if name is not None and name != data.get("name"):
        data = {"name": name}
    if not data:
        raise UserError(f"{model} has no recipe.yaml that names its data; name some with --data.")
    with explained("--data"):
        return DataSettings(**apply_overrides({"data": data}, parse_overrides(overrides))["data"])


def choose_split(settings: DataSettings, split: str, modality: Modality) -> tuple[ImageTable, list[str], str]:
    """-> the images or videos, the names of their labels, and how to call the split."""
    if split == "all":
        data = open_source(settings, modality=modality)
        if len(data.splits) > 1:
            raise UserError(f"The data has the splits {', '.join(data.splits)}; name one of them with --split.")
        return next(iter(data.splits.values())), data.label_names, "whole"
    data = open_data(settings, modality=modality)
    name = data.held_out if split == "test" and "test" not in data.splits else split
    return data.split(name), data.label_names, name


def in_the_models_order(table: ImageTable, names: Sequence[str], known: Sequence[str]) -> ImageTable:
    """The same images with the model's own numbers for their labels, which may count in another order."""
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(
            f"The data has labels that the model does not know: {', '.join(map(repr, strange[:5]))}"
            f"{' and others' if len(strange) > 5 else ''}; the model knows {', '.join(map(repr, known[:10]))}"
            f"{' and others' if len(known) > 10 else ''}. Name another column with --data.label_column, rename the "
            "classes, or train a model on this data."
        )
    numbers = np.array([known.index(name) for name in names])
    return table.with_labels(numbers[table.labels])


@dataclass(frozen=True)
class Evaluation:
    """What was measured: `metrics` as `classification_metrics` gives them, of the `logits` (b labels) of `images`."""

    images: ImageBatches
    split: str
    data_name: str
    label_names: list[str]
    logits: Tensor
    metrics: dict[str, Any]

    @property
    def modality(self) -> Modality:
        return self.images.table.modality


def evaluate(
    name: str,
    settings: DataSettings,
    *,
    split: str = "test",
    views: str | None = None,
    batch_size: int = 64,
    trust_remote_code: bool = False,
) -> Evaluation:
    """Measure a model, of a folder or an id on the Hub, on a split of some data.

    views: of each video, as "3x1"; the answers are averaged.

    Raises: UserError for a model that cannot be loaded, and for data whose labels it does not know.
    """
    model, processor = load_classifier(name, trust_remote_code=trust_remote_code)
    modality = modality_of(model.config)
    preparation = modality.preparation(processor, channels_of(model))
    seen = modality.views(views)
    table, names, split = choose_split(settings, split, modality)
    known = label_names_of(model)
    images = load_batches(in_the_models_order(table, names, known), preparation, settings, split=split)
    if seen.count > 1:
        viewed = ViewedVideos(images.table, preparation, seen)
        logits = predict_logits(model, viewed, batch_size=max(1, batch_size // seen.count), views=seen.count)
    else:
        logits = predict_logits(model, images, batch_size=batch_size)
    metrics = classification_metrics(logits, images.labels, dict(enumerate(known)))
    return Evaluation(images, split, settings.name, known, logits, metrics)
