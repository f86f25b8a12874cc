"""The card of a trained model, with what was measured, from the template model_card.md."""

import html
import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..families import FAMILIES
from ..training.sizes import configuration_folder
from ..version import __version__
from .facts import PICTURES, CardFacts
from .intervals import Interval, wilson
from .papers import PAPERS


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
            task_type=f"{facts.thing}-classification",
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
        pipeline_tag=f"{facts.thing}-classification",
        license=facts.license,
        base_model=facts.base_model,
        tags=sorted({f"{facts.thing}-classification", "vision", "custom_code", facts.family, *facts.tags}),
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
        auto=FAMILIES[facts.family].auto_classifier,
        escape=escape,
        recipe=code_block(facts.recipe),
        figures=figures_of(facts),
        percent=percent,
        recall_interval=recall_interval,
        version=__version__,
        paper=PAPERS[facts.family].strip(),
        pictures={name: PICTURES[name] for name in facts.pictures},
    )
