"""The card of a trained model, with what was measured, from the template model_card.md."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..data.settings import ProblemType
from ..families import FAMILIES
from ..modality import Modality
from ..training.metrics.intervals import Interval
from ..training.problem import figure_names, shown, title_of
from ..training.recipe.yaml_files import configuration_folder
from ..version import __version__
from ..weight_hash import hash_in_words
from .usage import USAGE, loading_code

PICTURES = {
    "predictions.png": "Some of the test split with predictions",
    "training_curve.png": "Figures during training",
    "confusion_matrix.png": "Confusion matrix",
    "mistakes.png": "The mistakes that the model was surest of",
    "explained.png": "What speaks for some of its answers",
    "label_scores.png": "F1 of each label",
    "predicted_and_true.png": "What is predicted, over what is true",
}


@dataclass
class CardFacts:
    """origin: a sentence, None where training began from random weights. base_model: an id on the Hub.

    operations: multiplications and additions for one image, counted separately. images_per_second: with the hardware
    and the batches of the measurement. split_hashes: SHA-256 of the names and labels of each split.
    intervals: 95%, in the places of the figures among the metrics. headline: the figure that is said first. notes: what
    has to be known of the data to read it. calibration: a sentence on the temperature.
    explained: sentences on what speaks for its answers.
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
    intervals: dict[str, Any] = field(default_factory=dict)
    problem_type: ProblemType = "single_label_classification"
    headline: str = "accuracy"
    notes: list[str] = field(default_factory=list)
    calibration: str | None = None
    explained: str | None = None
    revision: str = "main"
    weights_sha256: str | None = None  # of the tensors, as weight_hash gives it

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
    """A text of the user's as plain words in Markdown: no tables, links, HTML, lists or headings come of it."""
    line = " ".join(html.escape(str(text), quote=False).split())
    line = re.sub(r"([\\`*{}\[\]!|~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)  # within a word _ means nothing
    return re.sub(r"^(\d*)([#+.)-])", r"\1\\\2", line)  # what begins a heading or a list


def code_block(text: str) -> str:
    """A text of many lines between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{text.rstrip()}\n{fence}"


def as_text(figure: str, interval: Interval | None) -> str:
    return f"{shown(figure, interval[0])} to {shown(figure, interval[1])}" if interval else ""


def figures_of(facts: CardFacts) -> list[tuple[str, str, str]]:
    """-> how we call each figure, the headline first; the figure; and its interval where there is one"""
    measured = figure_names(facts.problem_type, len(facts.labels))
    names = [facts.headline, *(name for name in measured if name != facts.headline)]
    return [
        (title_of(name), shown(name, facts.metrics[name]), as_text(name, facts.intervals.get(name)))
        for name in names
        if facts.metrics.get(name) is not None
    ]


# What the table of classes says of each, with the interval of the one that is marked.
OF_EACH_CLASS: dict[str, dict[str, bool]] = {
    "single_label_classification": {"precision": False, "recall": True, "f1": False, "auroc": False},
    "multi_label_classification": {
        "threshold": False,
        "precision": False,
        "recall": False,
        "f1": True,
        "average_precision": False,
    },
    "regression": {"mae": True, "rmse": False, "r2": False, "spearman": False},
}


def table_of_classes(facts: CardFacts) -> tuple[list[str], list[list[str]]]:
    """-> the heads of the columns, and a row for each class, label or target"""
    columns = OF_EACH_CLASS[facts.problem_type]
    head, rows = [], []
    for name, with_interval in columns.items():
        head += [title_of(name), f"95% interval of the {title_of(name).lower()}"] if with_interval else [title_of(name)]
    known = facts.intervals.get("classes", {})
    for label, row in facts.metrics["classes"].items():
        cells = [escape(label)]
        for name, with_interval in columns.items():
            interval = known.get(label, {}).get(name)
            cells += [shown(name, row[name])] + ([as_text(name, interval)] if with_interval else [])
        rows.append([*cells, f"{row['images']:,}"])
    return head, rows


def task_in_words(facts: CardFacts) -> tuple[str, str]:
    """-> what it was trained to do, and how well it does it, each as the end of a sentence"""
    many, modality, value = len(facts.labels), facts.modality, facts.metrics[facts.headline]
    if facts.problem_type == "regression":
        return (
            f"to say {'a number' if many == 1 else f'{many} numbers'} of each {modality.noun}",
            f"It is off by **{value:{'.4g' if value < 1e4 else ',.0f'}}** in the mean",
        )
    if facts.problem_type == "multi_label_classification":
        return f"to say which of {many} labels {modality.article} has", f"Its macro F1 is **{value:.4f}**"
    if facts.headline == "accuracy":
        return f"to tell {many} classes apart", f"It is right on **{value:.2%}**"
    return f"to tell {many} classes apart", f"Its balanced accuracy, the mean over the classes, is **{value:.2%}**"


def metadata(facts: CardFacts) -> ModelCardData:
    """The YAML header: what the Hub indexes."""
    figures = figure_names(facts.problem_type, len(facts.labels))
    results = [
        EvalResult(
            task_type=facts.modality.task,
            dataset_type=facts.data_source if facts.on_hub else "local",
            dataset_name=facts.data_name,
            dataset_split=facts.split,
            metric_type=name,
            metric_name=title_of(name),
            metric_value=float(f"{facts.metrics[name]:.6g}"),
        )
        for name in figures
        if facts.metrics.get(name) is not None
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=facts.modality.task,
        license=facts.license,
        base_model=facts.base_model,
        tags=sorted({facts.modality.task, "vision", "custom_code", facts.family, *facts.tags}),
        datasets=[facts.data_source] if facts.on_hub else None,
        metrics=[facts.headline],
        model_name=facts.name,
        eval_results=results,
    )


def render_model_card(facts: CardFacts) -> ModelCard:
    """The card as it will stand in README.md. Texts that people wrote are escaped on their way in."""
    data = metadata(facts)
    columns, rows = table_of_classes(facts)
    task, result = task_in_words(facts)
    # The class adds itself to the template's variables under the name card_data.
    return ModelCard.from_template(
        data,
        template_path=str(template_path()),
        facts=facts,
        modality=facts.modality,
        usage=USAGE[facts.modality],
        loading=loading_code(
            facts.repository,
            facts.revision,
            processor=facts.modality.auto_processor,
            model=facts.modality.auto_classifier,
        ),
        escape=escape,
        weights=hash_in_words(facts.weights_sha256),
        recipe=code_block(facts.recipe),
        figures=figures_of(facts),
        columns=columns,
        rows=rows,
        task=task,
        result=result,
        interval=as_text(facts.headline, facts.intervals.get(facts.headline)),
        version=__version__,
        paper=FAMILIES[facts.family].papers.strip(),
        pictures={name: PICTURES[name] for name in facts.pictures},
    )
