"""All that a card says of a trained model: nothing is left to be filled in by hand."""

from dataclasses import dataclass, field
from typing import Any

from ..families import FAMILIES
from .intervals import Interval

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
    intervals: 95%, of the figures they belong to by name.
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
    revision: str = "main"

    @property
    def clips(self) -> bool:
        """Whether it is a model of videos."""
        return FAMILIES[self.family].takes_clips

    @property
    def thing(self) -> str:
        """What it names."""
        return "video" if self.clips else "image"

    @property
    def architecture(self) -> str:
        return FAMILIES[self.family].title

    @property
    def megabytes(self) -> float:
        """Of the weights in single precision."""
        return self.parameters * 4 / 1e6
