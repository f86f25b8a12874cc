"""How good a model is on labeled images or videos: figures, and pictures of its mistakes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..data.batches.dataset import ViewedVideos
from ..data.batches.load_batches import load_batches
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data, open_source
from ..data.sources.tables import ImageTable
from ..errors import UserError
from ..modality import Modality, modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..runs.report import draw_report, figures
from ..training.inference import predict_logits
from ..training.metrics import classification_metrics
from ..training.recipe.recipe import explain
from ..training.recipe.yaml_files import apply_overrides, parse_overrides, read_yaml
from .cli import guarded, parser, words_of

EXAMPLES = """\
  {program} outputs/digits --output outputs/digits/evaluation
  {program} google/vit-base-patch16-224 --data photos/ --split all --data.on_error skip
  {program} outputs/videos --views 1x3

The data is what a recipe calls data.name, and its other fields are set the same way, as in --data.label_column.
Left out, it is the data in the recipe that lies in the model's folder, with the same test split.
"""


def data_settings(model: str, name: str | None, overrides: Sequence[str]) -> DataSettings:
    """Data that the model was trained on is split, and its columns are found, as its recipe says."""
    recipe = Path(model) / "recipe.yaml"
    data = read_yaml(recipe).get("data", {}) if recipe.is_file() else {}
    if name is not None and name != data.get("name"):
        data = {"name": name}
    if not data:
        raise UserError(f"{model} has no recipe.yaml that names its data; name some with --data.")
    try:
        return DataSettings(**apply_overrides({"data": data}, parse_overrides(overrides))["data"])
    except ValidationError as error:
        raise UserError(explain(error, "--data")) from error


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


def evaluate(given: Any, overrides: Sequence[str]) -> int:
    model, processor = load_classifier(given.model, trust_remote_code=given.trust_remote_code)
    settings = data_settings(given.model, given.data, overrides)
    modality = modality_of(model.config)
    preparation = modality.preparation(processor, channels_of(model))
    views = modality.views(given.views)
    table, names, split = choose_split(settings, given.split, modality)
    known = label_names_of(model)
    table = in_the_models_order(table, names, known)
    images = load_batches(table, preparation, settings, split=split)
    if views.count > 1:
        viewed = ViewedVideos(images.table, preparation, views)
        logits = predict_logits(model, viewed, batch_size=max(1, given.batch_size // views.count), views=views.count)
    else:
        logits = predict_logits(model, images, batch_size=given.batch_size)
    metrics = classification_metrics(logits, images.labels, dict(enumerate(known)))

    print(f"{given.model} on the {split} split of {settings.name}\n\n{figures(metrics, modality.plural)}")
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        record = {"model": given.model, "data": settings.model_dump(), "split": split, **metrics}
        record |= {"views": given.views} if given.views else {}
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (given.output / "metrics.json").write_text(text + "\n", encoding="utf-8")
        draw_report(images, logits, known, given.output)
        print(f"\nwritten to {given.output}: metrics.json, confusion_matrix.png, predictions.png")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("evaluate", "Measure a classifier on labeled images or videos.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("--data", help="digits, moving_digits, a folder of class folders, parquet files, or a Hub id")
    parse.add_argument(
        "--split", default="test", choices=["train", "validation", "test", "all"], help="test, where not said"
    )
    parse.add_argument("--output", type=Path, help="a folder for metrics.json and the pictures")
    parse.add_argument("--views", metavar="CLIPSxCROPS", help="of each video, whose answers are averaged, such as 1x3")
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(evaluate, given, overrides)
