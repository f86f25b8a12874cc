"""The card of a trained model, with what was measured, from the template model_card.md."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..families import FAMILIES
from ..modality import Modality
from ..training.metrics import Interval, wilson
from ..training.recipe.yaml_files import configuration_folder
from ..version import __version__
from .usage import loading_code

PICTURES = {
    "predictions.png": "Some of the test split with predictions",
    "training_curve.png": "Loss and accuracy during training",
    "confusion_matrix.png": "Confusion matrix",
    "mistakes.png": "The mistakes that the model was surest of",
}


@dataclass
class CardFacts:
    """origin: a sentence, None where training began from random weights. base_model: an id on the Hub.

    operations: multiplications and additions for one image, counted separately. images_per_second: with the hardware
    and the batches of the measurement. split_hashes: SHA-256 of the names and labels of each split.
    intervals: 95%, of the figures they belong to by name. calibration: a sentence on the temperature.
    """

    name: str
    repository: str
    license: str
    family: str  # as a recipe says it
    parameters: int
    data_name: str
    data_source: str  # a word, a folder, or the id of a Hub data set
    on_hub: bool
    split: str
    split_origin: str | None
    counts: dict[str, int | None]  # images of each split; None for one that was streamed
    labels: list[str]
    metrics: dict[str, Any]
    preprocessing: list[str]
    recipe: str
    training_seconds: float
    hardware: str
    versions: dict[str, str]
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    pictures: list[str] = field(default_factory=list)
    origin: str | None = None
    base_model: str | None = None
    operations: int | None = None
    images_per_second: float | None = None
    split_hashes: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    calibration: str | None = None
    revision: str = "main"

    @property
    def modality(self) -> Modality:
        return FAMILIES[self.family].modality

    @property
    def architecture(self) -> str:
        return FAMILIES[self.family].title

    @property
    def megabytes(self) -> float:
        """Of the weights in single precision."""
        return self.parameters * 4 / 1e6


def template_path() -> Path:
    """Beside the folder of configurations, both in a clone and in an installed package."""
    return configuration_folder().parent / "model_card.md"


def escape(text: Any) -> str:
    """A text of the user's as plain words in Markdown: no tables, links, HTML or headings come of it."""
    line = " ".join(html.escape(str(text), quote=False).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", line)


def code_block(text: str) -> str:
    """A text of many lines between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{text.rstrip()}\n{fence}"


def percent(interval: Interval) -> str:
    return f"{interval[0]:.2%} to {interval[1]:.2%}"


def figures_of(facts: CardFacts) -> list[tuple[str, float, str]]:
    """-> how we call each figure, the figure, and its interval where there is one"""
    rows = []
    for kind, (name, value) in metric_names(facts.metrics).items():
        interval = facts.intervals.get(kind)
        rows.append((name, value, f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""))
    return rows


def recall_interval(row: dict[str, Any]) -> str:
    return percent(wilson(row["recall"], row["images"]))


def metric_names(metrics: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """The Hub's type of each figure -> how we call it, and the figure."""
    top = next(name for name in metrics if name.startswith("top_"))
    return {
        "accuracy": ("Accuracy", metrics["accuracy"]),
        top: (top.replace("top_", "Top-").replace("_accuracy", " accuracy"), metrics[top]),
        "loss": ("Loss", metrics["loss"]),
        "expected_calibration_error": ("Expected calibration error", metrics["expected_calibration_error"]),
    }


def metadata(facts: CardFacts) -> ModelCardData:
    """The YAML header: what the Hub indexes."""
    results = [
        EvalResult(
            task_type=facts.modality.task,
            dataset_type=facts.data_source if facts.on_hub else "local",
            dataset_name=facts.data_name,
            dataset_split=facts.split,
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for kind, (name, value) in metric_names(facts.metrics).items()
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=facts.modality.task,
        license=facts.license,
        base_model=facts.base_model,
        tags=sorted({facts.modality.task, "vision", "custom_code", facts.family, *facts.tags}),
        datasets=[facts.data_source] if facts.on_hub else None,
        metrics=["accuracy"],
        model_name=facts.name,
        eval_results=results,
    )


def render_model_card(facts: CardFacts) -> ModelCard:
    """The card as it will stand in README.md. Texts that people wrote are escaped on their way in."""
    data = metadata(facts)
    # The class adds itself to the template's variables under the name card_data.
    return ModelCard.from_template(
        data,
        template_path=str(template_path()),
        facts=facts,
        modality=facts.modality,
        loading=loading_code(
            facts.repository,
            facts.revision,
            processor=facts.modality.auto_processor,
            model=facts.modality.auto_classifier,
        ),
        escape=escape,
        recipe=code_block(facts.recipe),
        figures=figures_of(facts),
        percent=percent,
        recall_interval=recall_interval,
        version=__version__,
        paper=FAMILIES[facts.family].papers.strip(),
        pictures={name: PICTURES[name] for name in facts.pictures},
    )
