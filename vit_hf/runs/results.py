"""What training leaves behind: weights, code, card, figures and pictures in one folder."""

import platform
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor

from ..cards.trained import PICTURES, CardFacts, render_model_card
from ..conversion.pretrained import Loaded, license_sentence
from ..data.augment.plan import describe
from ..data.batches.dataset import ImageBatches
from ..data.settings import DataSettings, ProblemType
from ..data.sources.open_data import BUNDLED
from ..data.sources.tables import ImageData, fingerprint
from ..families import family_of
from ..files import name_for_others, write_json
from ..finished_folder import aside_of_run, put_in_place, weights_kept
from ..modality import Modality, modality_of
from ..plots.curves import draw_training_curve
from ..training.calibration import Calibration
from ..training.costs import forward_operations
from ..training.metrics.measure import measure, measure_intervals
from ..training.problem import Problem
from ..training.recipe.recipe import Recipe
from ..training.trainer.trainer import Trainer
from ..weight_hash import weight_hash
from .explained_answers import Answered, AnswersExplained, explain_answers
from .report import draw_report, headline, save_examples
from .review import Judged, review

if TYPE_CHECKING:
    from .cross_validation import CrossValidation


def save_history(
    recipe: Recipe,
    trainer: Trainer,
    figures: dict[str, Any],
    folder: Path,
    *,
    split: str | None,
    headline: str = "accuracy",
) -> None:
    """recipe.yaml, metrics.json with the `figures` and how they came to be, and training_curve.png, of a split too"""
    recipe.save(folder / "recipe.yaml")
    history = trainer.state.log_history
    write_json(folder / "metrics.json", {**figures, "speed": trainer.speed.summary(), "history": history})
    draw_training_curve(history, folder / "training_curve.png", split=split or "", headline=headline)


@dataclass
class FinishedRun:
    """A trained model, and everything that is known about how it came to be."""

    recipe: Recipe
    data: ImageData
    batches: dict[str, ImageBatches]
    trainer: Trainer
    logits: Tensor  # b labels, of the held-out split
    watched: str | None  # the split that the training curve shows beside that of training
    seconds: float
    counts: dict[str, int | None]  # images of each split; None for one that was streamed
    loaded: Loaded | None = None  # what it began from, where that was no random model
    images_per_second: float | None = None  # over the held-out split, in the batches of the evaluation
    probe: dict[str, Any] | None = None  # logistic regression on frozen features beside it, on validation
    thresholds: list[float] | None = None  # of several labels, chosen on the watched split
    calibration: Calibration | None = None
    validation_logits: Tensor | None = None  # b labels, where there is such a split
    crossed: "CrossValidation | None" = None  # how other models of the recipe did on folds
    explained: AnswersExplained | None = None  # what speaks for some of its answers, once they are drawn
    notes: list[str] = field(default_factory=list)  # sentences for people, once it is saved

    @property
    def folder(self) -> Path:
        return Path(str(self.trainer.args.output_dir))

    @property
    def aside(self) -> Path:
        """Where what the run leaves is written, before it is put in place."""
        return aside_of_run(self.folder)

    @property
    def model(self) -> Any:
        return self.trainer.model

    @property
    def tested(self) -> ImageBatches:
        return self.batches[self.data.held_out]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return measure(*self.said(), thresholds=self.thresholds)

    @cached_property
    def intervals(self) -> dict[str, Any]:
        return measure_intervals(*self.said(), thresholds=self.thresholds)

    @property
    def answered(self) -> Answered:
        """What the panel of explained answers is made of."""
        trainer = self.trainer
        return Answered(
            model=self.model,
            tested=self.tested,
            logits=self.logits,
            names=self.data.label_names,
            validation=self.batches.get("validation"),
            each_second=self.images_per_second,
            batch=trainer.args.per_device_eval_batch_size,
            sharded=trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled,
        )

    def said(self) -> tuple[Tensor, Tensor, ProblemType, list[str]]:
        """Of the held-out split what `measure` takes."""
        return self.logits, self.tested.labels, self.data.problem_type, self.data.label_names

    @property
    def problem(self) -> Problem:
        train = None if self.data.stream is not None else self.batches["train"].table.labels
        return Problem.of(self.data.problem_type, self.data.label_names, train)

    def summary(self) -> str:
        return f"{headline(self.metrics, self.problem.headline)} on the {self.data.held_out} split"

    def save(self) -> dict[str, Path]:
        """Write what belongs beside the model, and put both in place. -> some test images in the folder, by label"""
        with weights_kept(self.folder):
            examples = self.report()
        self.place()
        return {label: self.folder / path.relative_to(self.aside) for label, path in examples.items()}

    def place(self) -> None:
        """What was written so far becomes what lies in the folder."""
        put_in_place(self.folder)

    def report(self) -> dict[str, Path]:
        """Beside the model, aside. -> some test images, by their labels"""
        known, best = {"intervals": self.intervals}, self.problem.headline
        self.explained = explain_answers(self.answered, self.aside)
        record = {"split": self.data.held_out, "headline": best, **self.metrics, **known}
        record |= {"probe": self.probe} if self.probe else {}
        record |= {"calibration": self.calibration.record("validation")} if self.calibration else {}
        record |= {"cross_validation": self.crossed.record()} if self.crossed else {}
        record |= {"explanation": self.explained.record} if self.explained.record else {}
        record |= {"training_seconds": round(self.seconds, 1), "weights_sha256": weight_hash(self.aside)}
        save_history(self.recipe, self.trainer, record, self.aside, split=self.watched, headline=best)
        kind = self.data.problem_type
        draw_report(self.tested, self.logits, self.data.label_names, self.aside, kind, self.metrics)
        self.notes = self.review()
        render_model_card(self.facts()).save(self.aside / "README.md")
        return save_examples(self.tested, self.data.label_names, self.aside / "examples", kind)

    def review(self) -> list[str]:
        """Pages of what to look at once more, of everything that was held out of the training, or of that of a fold."""
        judged = {self.data.held_out: Judged(self.tested.table, self.logits)}
        if self.crossed is not None:
            judged |= self.crossed.judged
        elif self.validation_logits is not None:
            judged["validation"] = Judged(self.batches["validation"].table, self.validation_logits)
        problem_type, split = self.model.config.problem_type, self.data.held_out
        notes = review(judged, self.data.label_names, self.aside, split=split, problem_type=problem_type)
        return [note.replace(str(self.aside), str(self.folder)) for note in notes]  # where they will lie

    def facts(self) -> CardFacts:
        """Everything that the card says."""
        settings, name = self.recipe.data, self.recipe.card.name or self.folder.resolve().name
        local = Path(settings.name).expanduser().exists()
        return CardFacts(
            name=name,
            repository=name,
            license=self.license(),
            family=family_of(self.model.config).name,
            parameters=self.model.num_parameters(),
            data_name=name_for_others(settings.name),
            data_source=settings.name,
            on_hub=settings.name not in BUNDLED and not local,
            split=self.data.held_out,
            split_origin=self.data.split_origin,
            counts=self.counts,
            labels=self.data.label_names,
            metrics=self.metrics,
            preprocessing=self.preprocessing(),
            recipe=(self.aside / "recipe.yaml").read_text(encoding="utf-8"),
            training_seconds=self.seconds,
            hardware=hardware(self.trainer.args.device),
            versions={"transformers": transformers.__version__, "torch": torch.__version__},
            tags=self.recipe.card.tags,
            description=self.recipe.card.description,
            pictures=[name for name in PICTURES if (self.aside / name).is_file()],
            weights_sha256=weight_hash(self.aside),
            origin=self.origin(),
            base_model=self.loaded.base_model if self.loaded else None,
            operations=forward_operations(self.model),
            images_per_second=self.images_per_second,
            split_hashes={split: fingerprint(batches.table) for split, batches in self.batches.items()},
            intervals=self.intervals,
            problem_type=self.data.problem_type,
            headline=self.problem.headline,
            notes=[*self.problem.describe(), *([self.crossed.describe()] if self.crossed else [])],
            explained=self.explained.sentences if self.explained else None,
            calibration=None if self.calibration is None else self.calibration.describe("validation"),
        )

    def license(self) -> str:
        """The recipe's where it says one, else that of the weights it began from."""
        card = self.recipe.card
        inherited = self.loaded.license if self.loaded else None
        return card.license if "license" in card.model_fields_set else inherited or card.license

    def origin(self) -> str | None:
        """Where the weights come from, and under which license."""
        if self.loaded is None:
            return None
        name = name_for_others(self.loaded.source)
        return f"It was fine-tuned from {name} ({self.loaded.kind}). {license_sentence(self.loaded.license)}"

    def preprocessing(self) -> list[str]:
        settings, config = self.recipe.data, self.model.config
        size = config.image_size if isinstance(config.image_size, int) else " x ".join(map(str, config.image_size))
        modality = modality_of(config)
        fitted, moved = fitting_in_words(settings, modality), describe(settings.train)
        if settings.mix is not None:
            mixed = settings.mix.model_dump(exclude_unset=True)
            moved = ", ".join(filter(None, [moved, *(f"{name} {value:g}" for name, value in mixed.items())]))
        return [
            *modality.describe_sampling(config, settings),
            f"{config.num_channels} channels, {settings.interpolation} resizing to {size} pixels{fitted}",
            *range_in_words(settings),
            f"pixels from 0 to 1, minus the mean {settings.mean}, divided by {settings.std}",
            f"in training also: {moved}" if moved else "no augmentation in training",
        ]


def fitting_in_words(settings: DataSettings, modality: Modality) -> str:
    """What is left of an image, or what comes around it."""
    if settings.fit == "pad":
        return f" in the image's shape, within a border of {settings.pad_color or 'the mean color'}"
    usual = modality.default_crop_pct if settings.fit is None else 1.0 if settings.fit == "crop" else None
    share = settings.crop_pct or usual
    return f", keeping the middle {share:.0%} in the model's shape" if share else ""


def range_in_words(settings: DataSettings) -> list[str]:
    if settings.pixel_range is None:
        return []
    black, white = settings.pixel_range
    return [f"of images of more than 8 bits {black:g} is black and {white:g} is white"]


def hardware(device: torch.device) -> str:
    """A graphics card by its name, else the number of threads and the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' if threads > 1 else ''} ({platform.machine()})"
