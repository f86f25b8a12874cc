"""The card of a trained model, with what was measured, from the template model_card.md."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..training.sizes import configuration_folder

PICTURES = {
    "predictions.png": "Images of the test split with predictions",
    "training_curve.png": "Loss and accuracy during training",
    "confusion_matrix.png": "Confusion matrix",
}


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


@dataclass
class CardFacts:
    """All that a card says: nothing is left to be filled in by hand."""

    name: str
    repository: str
    license: str
    architecture: str
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
    origin: str | None = None  # a sentence; None where training began from random weights
    base_model: str | None = None  # an id on the Hub


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
            task_type="image-classification",
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
        pipeline_tag="image-classification",
        license=facts.license,
        base_model=facts.base_model,
        tags=sorted({"image-classification", "vision", "vit", "custom_code", *facts.tags}),
        datasets=[facts.data_source] if facts.on_hub else None,
        metrics=["accuracy"],
        model_name=facts.name,
        eval_results=results,
    )


def render_card(facts: CardFacts) -> ModelCard:
    """The card as it will stand in README.md. Texts that people wrote are escaped on their way in."""
    data = metadata(facts)
    # The class adds itself to the template's variables under the name card_data.
    return ModelCard.from_template(
        data,
        template_path=str(template_path()),
        facts=facts,
        escape=escape,
        recipe=code_block(facts.recipe),
        figures=list(metric_names(facts.metrics).values()),
        pictures={name: PICTURES[name] for name in facts.pictures},
    )
