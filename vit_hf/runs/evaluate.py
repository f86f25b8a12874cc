"""How good a model is on labeled images or videos: figures, and pictures of its mistakes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.batches.dataset import ImageBatches, ViewedItems, collate
from ..data.batches.load_batches import load_batches
from ..data.settings import DataSettings, ProblemType
from ..data.sources.split_record import SplitRecord
from ..data.sources.tables import ImageTable
from ..errors import UserError
from ..exporting.exported import PictureProcessor, Pictures
from ..fewer_tokens.put_on import merge_tokens
from ..files import write_json
from ..finished_folder import models_in
from ..modality import modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..settings import explain_wrong_fields
from ..training.calibration import MULTI_LABEL
from ..training.losses import label_order
from ..training.metrics.measure import measure, measure_intervals
from ..training.recipe.yaml_files import apply_overrides, parse_overrides, read_yaml
from .recognize import choose_images, record_of_model
from .report import draw_report
from .review import Judged, review


@dataclass(frozen=True)
class Evaluation:
    """What a model says of a split. told: what it knew of the images before. labels: the model's names of its classes,
    in the order of the logits."""

    model: str
    settings: DataSettings
    split: str
    told: str | None
    views: str | None
    images: ImageBatches
    logits: Tensor  # b labels
    labels: list[str]
    problem_type: ProblemType = "single_label_classification"
    thresholds: list[float] | None = None
    token_merging: int | str | None = None

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return measure(*self.said(), thresholds=self.thresholds)

    @cached_property
    def intervals(self) -> dict[str, Any]:
        return measure_intervals(*self.said(), thresholds=self.thresholds)

    def said(self) -> tuple[Tensor, Tensor, ProblemType, list[str]]:
        """What `measure` takes."""
        return self.logits, self.images.labels, self.problem_type, self.labels

    def save(self, folder: Path, *, overwrite: bool = False) -> list[str]:
        """metrics.json and the pictures of `draw_report`, or where a file.json is named that alone. -> their names

        overwrite: whether those of an earlier evaluation give way.
        """
        refuse_evaluated(folder, overwrite=overwrite)
        record = {"model": self.model, "data": self.settings.model_dump(), "split": self.split, **self.metrics}
        record |= {"intervals": self.intervals} | ({"views": self.views} if self.views else {})
        record |= {"token_merging": self.token_merging} if self.token_merging is not None else {}
        alone = folder.suffix == ".json"
        (folder.parent if alone else folder).mkdir(parents=True, exist_ok=True)
        write_json(folder if alone else folder / "metrics.json", record)
        if alone:
            return [folder.name]
        pictures = draw_report(self.images, self.logits, self.labels, folder, self.problem_type, self.metrics)
        return ["metrics.json", *pictures]

    def review(self, folder: Path) -> list[str]:
        """Write what `review` does, but of images that the model learned from. -> sentences on what that found"""
        if self.split == "train" or folder.suffix == ".json":
            return []
        judged = {self.split: Judged(self.images.table, self.logits)}
        return review(judged, self.labels, folder, split=self.split, problem_type=self.problem_type)


def refuse_evaluated(folder: Path, *, overwrite: bool = False) -> None:
    """Raises: UserError where figures would take the place of those of a training, or, unless they may, of an earlier
    evaluation.
    """
    if folder.suffix != ".json" and (models := models_in(folder)):
        raise UserError(
            f"{folder} holds a model ({', '.join(models[:2])}), whose own figures stay; name another folder, such as "
            f"{folder / 'evaluation'}."
        )
    file = folder if folder.suffix == ".json" else folder / "metrics.json"
    if file.exists() and not overwrite:
        raise UserError(f"{file} is there already; name another --output, or say --overwrite.")


def evaluate(
    model_name: str,
    data: str | None = None,
    overrides: Sequence[str] = (),
    *,
    split: str | None = None,
    views: str | None = None,
    tta: str | None = None,
    batch_size: int = 64,
    token_merging: int | str | None = None,
    trust_remote_code: bool = False,
) -> Evaluation:
    """Measure a classifier: the output folder of a training, or an id on the Hub, owner/name or owner/name@revision.

    data: as `data.name` of a recipe; None for the data of the model's own recipe. overrides: ["--data.field", "value"].
    split: train, validation, test or all; None as `choose_images` takes it.
    views: of each video, as "3x1", clips and crops.
    tta: of each image, "flip", "crops", "flip,crops" or a number of views.
    token_merging: tokens that each layer of a Vision Transformer merges, "13" or one for each, as "16,16,8".

    Raises: UserError for a model that cannot be loaded, data that cannot be read, or labels that the model lacks.
    """
    model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
    if token_merging is not None:
        merge_tokens(model, token_merging)
    record = record_of_model(model_name)
    settings = data_settings(model_name, data, overrides, record)
    modality = modality_of(model.config)
    whole = isinstance(processor, PictureProcessor)  # the graph prepares pictures itself
    preparation = modality.preparation(processor.saved if whole else processor, channels_of(model.config))
    each = modality.views(views, tta)
    chosen = choose_images(settings, split, modality, record, own=data is None)
    known = label_names_of(model)
    table = in_the_models_order(chosen.table, chosen.label_names, known)
    images = load_batches(table, preparation, settings, split=chosen.name)
    if whole:
        if each.count > 1:
            raise UserError(f"{model_name} prepares whole pictures itself, and has no views of them to average.")
        logits = logits_of_pictures(model, images.table, channels_of(model.config))
    elif each.count > 1:
        viewed = ViewedItems(images.table, preparation, each)
        logits = predict_logits(model, viewed, batch_size=max(1, batch_size // each.count), views=each.count)
    else:
        logits = predict_logits(model, images, batch_size=batch_size)
    kind = model.config.problem_type or "single_label_classification"
    thresholds = getattr(model.config, "thresholds", None)
    told, seen = chosen.told, views or tta
    return Evaluation(
        model_name, settings, chosen.name, told, seen, images, logits, known, kind, thresholds, token_merging
    )


def data_settings(
    model: str, name: str | None, overrides: Sequence[str], record: SplitRecord | None = None
) -> DataSettings:
    """Data that the model was trained on, however its place is spelled, is read as its recipe says."""
    recipe = Path(model) / "recipe.yaml"
    content = read_yaml(recipe) if recipe.is_file() else {}
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict | None):
        raise UserError(f"{recipe}: data is {data!r}, which has no fields; name the data with --data.")
    data, where = data or {}, str(recipe)
    if name is not None:
        own = name == data.get("name") or (record is not None and record.lay_in(name))
        data, where = ({**data, "name": name}, where) if own else ({"name": name}, "--data")
    if not data:
        raise UserError(f"{model} has no recipe.yaml that names its data; name some with --data.")
    if overrides and where != "--data":
        where += " with what the command says"
    with explain_wrong_fields(where):
        return DataSettings(**apply_overrides({"data": data}, parse_overrides(overrides))["data"])


def in_the_models_order(table: ImageTable, names: Sequence[str], known: Sequence[str]) -> ImageTable:
    """The same images with the model's own numbers for their labels, which may count in another order."""
    way_out = "Name another column with --data.label_column, rename the classes, or train a model on this data."
    order = np.array(label_order(known, names, "The model", way_out))
    if table.labels.ndim == 1:
        return table.with_labels(order[table.labels])
    columns = np.zeros((len(table), len(known)), dtype=table.labels.dtype)
    columns[:, order] = table.labels
    return table.with_labels(columns)


def device_of_choice() -> torch.device:
    """The accelerator that there is, else the processor."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def mean_of_views(logits: Tensor, views: int, problem_type: str | None = None) -> Tensor:
    """(b v) labels -> b labels: logits of the mean probability over the views of each image or video; of a regression
    the mean itself. A probability that rounds to 0 in every view has a logarithm all the same."""
    each = rearrange(logits, "(b v) labels -> b v labels", v=views)
    if problem_type == "regression":
        return each.mean(1)
    if problem_type == MULTI_LABEL:
        return logsigmoid(each).logsumexp(1) - logsigmoid(-each).logsumexp(1)
    return each.log_softmax(-1).logsumexp(1) - math.log(views)


def refuse_broken_answers(logits: Tensor, names: Sequence[Any] | None = None) -> None:
    """b labels. names: of the images or videos, by their numbers where there are none.

    Raises: UserError where an answer is NaN or infinite, which is no answer.
    """
    broken = (~logits.isfinite()).any(dim=-1).nonzero()[:, 0].tolist()
    if broken:
        first = f"number {broken[0]}" if names is None else str(names[broken[0]])
        raise UserError(
            f"The model's answer is NaN or infinite for {len(broken)} of {len(logits)}, the first of them {first}: its "
            "weights are damaged, or the image_mean and image_std of its processor are not those that it was trained "
            "with. Copy or download the model again."
        )


def logits_of_pictures(model: Any, table: ImageTable, channels: int) -> Tensor:
    """-> b labels, of an exported graph that prepares pictures itself"""
    pictures = table.each(lambda index: table.open(index).pixels(channels), "Predicting")
    logits = torch.cat([model(pixel_values=Pictures([picture])).logits for picture in pictures])
    refuse_broken_answers(logits)
    return logits


@torch.inference_mode()
def predict_logits(
    model: nn.Module, images: ImageBatches | ViewedItems, *, batch_size: int = 64, views: int = 1
) -> Tensor:
    """-> b labels, on the CPU, in the order of the images or videos

    views: that a batch holds of each image or video.
    """
    device = device_of_choice()
    model = model.to(device).eval()
    loader = DataLoader(images, batch_size=batch_size, collate_fn=collate)
    bar = tqdm(loader, desc="Predicting", unit=" batches", leave=False, disable=None)
    logits = torch.cat([model(pixel_values=batch["pixel_values"].to(device)).logits.float().cpu() for batch in bar])
    refuse_broken_answers(logits)
    problem_type = getattr(getattr(model, "config", None), "problem_type", None)
    return mean_of_views(logits, views, problem_type) if views > 1 else logits
