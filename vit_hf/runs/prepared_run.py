"""What a recipe becomes before its first step, and the Trainer that takes it from there."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..conversion.pretrained import Loaded
from ..data.batches.dataset import ImageBatches
from ..data.batches.streaming import StreamedBatches
from ..data.decode.preparation import ClipPreparation, Preparation
from ..data.duplicates import Duplicates
from ..data.sources.split_record import SplitRecord
from ..data.sources.tables import ImageData
from ..modality import Modality, modality_of
from ..models.shapes import grid_of, pair
from ..publishing.load_classifier import load_classifier
from ..publishing.push_callback import HubPush
from ..training.losses import TeacherLogits
from ..training.masking import MaskedImages, collate_masked
from ..training.problem import Problem
from ..training.recipe.arguments import TrainingArguments
from ..training.recipe.optimization import MaskingSettings
from ..training.recipe.recipe import Recipe
from ..training.trainer.decoding_check import DecodingCheck
from ..training.trainer.trainer import Trainer


@dataclass
class PreparedRun:
    """plan: what was decided of batch and learning rate, as lines. loaded: what it begins from, if not random.
    push: where the recipe asks for the Hub. stream: in place of the batches of the train split, where it is streamed.
    duplicates: images that parts of the split share, as far as they were looked for.
    """

    recipe: Recipe
    arguments: TrainingArguments
    plan: list[str]
    data: ImageData
    model: Any
    processor: Any
    preparation: Preparation | ClipPreparation
    batches: dict[str, ImageBatches]
    loaded: Loaded | None = None
    push: HubPush | None = None
    stream: StreamedBatches | None = None
    duplicates: Duplicates | None = None

    @property
    def modality(self) -> Modality:
        return modality_of(self.model.config)

    @property
    def counts(self) -> dict[str, int | None]:
        """Images of each split; None for one that is streamed."""
        streamed = {} if self.data.stream is None else {"train": None}
        return {**streamed, **{name: len(split) for name, split in (self.batches or self.data.splits).items()}}

    @property
    def skipped(self) -> int:
        """Images that could not be read in training."""
        return self.stream.prepare.skipped if self.stream is not None else self.batches["train"].skipped

    @property
    def watched(self) -> str | None:
        """What is looked at during training; the test split is at the end alone."""
        return "validation" if "validation" in self.batches else None

    @cached_property
    def split_record(self) -> SplitRecord:
        return SplitRecord.of(self.data, self.recipe.data.name)

    @property
    def outputs_in_words(self) -> str:
        number = len(self.data.label_names)
        words = {
            "multi_label_classification": "labels, several for each",
            "regression": "numbers for each",
        }
        return f"{number} {words.get(self.data.problem_type, 'classes')}"

    def describe(self) -> str:
        data, recipe = self.data, self.recipe
        counts = ", ".join(
            f"{'streamed' if count is None else f'{count:,}'} to {name}" for name, count in self.counts.items()
        )
        labels = ", ".join(data.label_names[:10]) + (", ..." if len(data.label_names) > 10 else "")
        lines = [
            f"Data: {recipe.data.name}; {self.modality.plural}: {counts}; {self.outputs_in_words}: {labels}",
            f"Model: {type(self.model).__name__}, {self.model.num_parameters():,} parameters",
            *self.plan,
            *(self.problem.describe() if self.problem else []),
        ]
        return "\n".join(lines)

    @property
    def problem(self) -> Problem | None:
        """None where images are learned from without their labels."""
        if self.recipe.model.task == "masked_image_modeling":
            return None
        table = self.batches["train"].table if "train" in self.batches else self.data.splits.get("train")
        labels = None if self.stream is not None or table is None else table.labels
        if self.data.problem_type == "regression" and not hasattr(self.model.config, "target_std"):
            labels = None  # a model of another family, whose numbers have no units
        return Problem.of(self.data.problem_type, self.data.label_names, labels)

    def masked(self, split: str) -> MaskedImages:
        """The images of a split, with what is hidden of each."""
        config = self.model.config
        size, patch = pair(config.image_size), pair(config.patch_size)
        settings = self.recipe.optimization.masking or MaskingSettings()
        return MaskedImages(self.batches[split], settings, grid=grid_of(size, patch), patch=patch)

    def teacher(self) -> TeacherLogits | None:
        settings = self.recipe.optimization.distillation
        if settings is None:
            return None
        model, processor = load_classifier(settings.teacher)
        return TeacherLogits(model, processor, self.preparation, self.data.label_names)

    def trainer(self, *, resume_anyway: bool = False) -> Trainer:
        """resume_anyway: go on from a checkpoint although the recipe has changed since."""
        check = DecodingCheck(self.batches)
        common: dict[str, Any] = {
            "model": self.model,
            "args": self.arguments,
            "processing_class": self.processor,
            "callbacks": [self.push] * (self.push is not None) + [check] * check.needed,
            "optimization": self.recipe.optimization,
            "recipe": self.recipe.content_for_others(),
            "resume_anyway": resume_anyway,
        }
        if self.recipe.model.task == "masked_image_modeling":
            self.arguments.label_names = ["bool_masked_pos"]  # what there has to be for a loss to be measured
            return Trainer(
                **common,
                train_dataset=self.masked("train"),
                eval_dataset=self.masked(self.watched) if self.watched else None,
                data_collator=collate_masked,
                compute_metrics=None,
            )
        return Trainer(
            **common,
            train_dataset=self.batches["train"] if self.stream is None else self.stream,
            eval_dataset=self.batches.get("validation"),
            teacher=self.teacher(),
            problem=self.problem,
        )
