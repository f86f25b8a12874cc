"""What a training begins from: random weights, or those of a pretrained model of any library."""

from dataclasses import dataclass
from typing import Any

import transformers

from ..conversion.core.preprocessing import for_channels, preprocessing_words
from ..conversion.pretrained import Loaded, license_sentence, load_any
from ..data.augment.plan import AugmentationPlan
from ..data.batches.dataset import ImageBatches
from ..data.batches.load_batches import load_batches
from ..data.batches.streaming import StreamedBatches, StreamedImages
from ..data.decode.preparation import ClipPreparation, Preparation, preparation_for
from ..data.decode.processors import make_processor
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data
from ..data.sources.tables import ImageData, StreamedTable, refuse_empty_classes
from ..errors import UserError
from ..families import FAMILIES, family_of
from ..models.shapes import grid_of, pair
from ..publishing.load_classifier import load_classifier
from ..publishing.push_callback import HubPush
from ..training.build_model import build_classifier, build_painter, continue_classifier
from ..training.losses import TeacherLogits
from ..training.masking import MaskedImages, collate_masked
from ..training.recipe.arguments import TrainingArguments, plan_steps
from ..training.recipe.optimization import MaskingSettings
from ..training.recipe.recipe import Recipe
from ..training.trainer.trainer import Trainer


def prepared_as(settings: DataSettings, loaded: Loaded, channels: int) -> DataSettings:
    """The source's own preprocessing, where the recipe does not say another."""
    if loaded.processor is None:
        return settings
    words = preprocessing_words(loaded.processor)
    for name in ("mean", "std"):
        words[name] = for_channels(words[name], channels)
    said = settings.model_fields_set
    return DataSettings(**{**{name: value for name, value in words.items() if name not in said}, **given_of(settings)})


def given_of(settings: DataSettings) -> dict[str, Any]:
    return settings.model_dump(include=set(settings.model_fields_set))


def starting_point(recipe: Recipe, label_names: list[str]) -> tuple[Any, Recipe, Loaded | None]:
    """-> the model before its first step, the recipe with what the source decides, and the source."""
    settings = recipe.model
    if settings.source is None:
        return build_classifier(settings.family, settings.fields(), label_names), recipe, None
    loaded = load_any(settings.source)
    loaded.theirs = None  # compared when it is converted, not here
    if FAMILIES[settings.family].takes_clips:
        loaded.model = of_clips(loaded.model, settings.fields())
    elif family_of(loaded.model.config).takes_clips:
        raise UserError(f"{settings.source} takes videos, and not images; say --model.family timesformer.")
    model = continue_classifier(loaded.model, settings.fields(), label_names, settings.source)
    head = "" if has_head(loaded.model) else f" It has no head; one for {len(label_names)} labels starts untrained."
    print(f"From {settings.source} ({loaded.kind}).{head} {license_sentence(loaded.license)}")
    data = prepared_as(recipe.data, loaded, model.config.num_channels)
    return model, recipe.model_copy(update={"data": data}), loaded


def of_clips(model: Any, fields: dict[str, Any]) -> Any:
    """A model of clips as it is; one of images as the model of clips that begins with its weights."""
    if family_of(model.config).takes_clips:
        return model
    # What is changed of weights that are there, changes them afterwards.
    family = FAMILIES["timesformer"]
    changeable = family.changeable_fields()
    others = {name: value for name, value in fields.items() if name not in changeable}
    return family.classifier.from_image_model(model, num_frames=fields.get("num_frames", 8), **others)


def has_head(model: Any) -> bool:
    return hasattr(model, "classifier") and model.config.num_labels > 0


def processor_of(config, settings: DataSettings):
    """Of images or videos, as the model of a config and the data of a recipe want it."""
    of_clips = ("sampling", "sampling_rate") if family_of(config).takes_clips else ()
    names = ("mean", "std", "crop_pct", "interpolation", *of_clips)
    return make_processor(config, **{name: getattr(settings, name) for name in names})


def refuse_large_batches(arguments: TrainingArguments, images: int) -> None:
    """A batch that is larger than the data is a mistake: with drop_last no step would ever be taken."""
    if arguments.train_batch_size > images:
        raise UserError(
            f"per_device_train_batch_size={arguments.per_device_train_batch_size} is larger than the {images} training "
            f"images; set --training.per_device_train_batch_size {max(1, images // 8)}, or bring more images."
        )


def refuse_single_images(arguments: TrainingArguments, settings: DataSettings) -> None:
    """What is mixed is mixed with its neighbor in the batch."""
    if settings.mix is not None and arguments.per_device_train_batch_size == 1:
        raise UserError(
            "data.mix mixes neighbors of a batch, and a batch of one image has none; set "
            "--training.per_device_train_batch_size to 2 or more, or leave data.mix out."
        )


@dataclass
class PreparedRun:
    """plan: what was decided of batch and learning rate, as lines. loaded: what it begins from, if not random.
    push: where the recipe asks for the Hub. stream: in place of the batches of the train split, where it is streamed.
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

    @property
    def things(self) -> str:
        """What the data holds."""
        return "videos" if isinstance(self.preparation, ClipPreparation) else "images"

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
    def watched(self) -> str:
        """A validation split, where there is one, is looked at during training, and the test split at the end only."""
        return "validation" if "validation" in self.batches else "test"

    def describe(self) -> str:
        data, recipe = self.data, self.recipe
        counts = ", ".join(
            f"{'streamed' if count is None else f'{count:,}'} to {name}" for name, count in self.counts.items()
        )
        labels = ", ".join(data.label_names[:10]) + (", ..." if len(data.label_names) > 10 else "")
        lines = [
            f"Data: {recipe.data.name}; {self.things}: {counts}; {len(data.label_names)} classes: {labels}",
            f"Model: {type(self.model).__name__}, {self.model.num_parameters():,} parameters",
            *self.plan,
        ]
        return "\n".join(lines)

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
        common: dict[str, Any] = {
            "model": self.model,
            "args": self.arguments,
            "processing_class": self.processor,
            "callbacks": [self.push] if self.push else None,
            "optimization": self.recipe.optimization,
            "recipe": self.recipe.content(),
            "resume_anyway": resume_anyway,
        }
        if self.recipe.model.task == "masked_image_modeling":
            self.arguments.label_names = ["bool_masked_pos"]  # what there has to be for a loss to be measured
            return Trainer(
                **common,
                train_dataset=self.masked("train"),
                eval_dataset=self.masked(self.watched),
                data_collator=collate_masked,
                compute_metrics=None,
            )
        return Trainer(
            **common,
            train_dataset=self.batches["train"] if self.stream is None else self.stream,
            eval_dataset=self.batches[self.watched],
            teacher=self.teacher(),
        )


def streamed_batches(run: PreparedRun, table: StreamedTable) -> StreamedBatches:
    """What this process reads of the train split, and its workers."""
    settings, arguments = run.recipe.data, run.arguments
    images = StreamedImages(
        table,
        run.preparation,
        plan=AugmentationPlan.of(settings.train, settings.mix),
        classes=len(run.data.label_names),
        on_error=settings.on_error,
        seed=arguments.seed,
    )
    return StreamedBatches(
        table.shards,
        images,
        batch=arguments.train_batch_size,
        seed=arguments.seed if arguments.data_seed is None else arguments.data_seed,
        process=arguments.process_index,
        processes=arguments.world_size,
        workers=arguments.dataloader_num_workers,
    )


def prepare(recipe: Recipe) -> PreparedRun:
    """Read the data, build the model, and say what was found."""
    arguments = TrainingArguments(**recipe.training)
    push = HubPush.asked_for(arguments)
    plan = plan_steps(arguments, recipe.optimization, recipe.training)
    data = open_data(recipe.data, clips=FAMILIES[recipe.model.family].takes_clips)
    if data.stream is None:
        data.split("train")
    transformers.set_seed(arguments.seed)  # the first weights too are the seed's
    painting, loaded = recipe.model.task == "masked_image_modeling", None
    if painting:
        model = build_painter(recipe.model.family, recipe.model.fields())
    else:
        model, recipe, loaded = starting_point(recipe, data.label_names)
    processor = processor_of(model.config, recipe.data)
    preparation = preparation_for(processor, model.config.num_channels)
    run = PreparedRun(recipe, arguments, plan, data, model, processor, preparation, {}, loaded, push)
    print(run.describe(), flush=True)
    for split, images in data.splits.items():
        run.batches[split] = load_batches(
            images,
            preparation,
            recipe.data,
            split=split,
            plan=AugmentationPlan.of(recipe.data.train, recipe.data.mix) if split == "train" else None,
            classes=len(data.label_names),
            seed=arguments.seed,
        )
    refuse_single_images(arguments, recipe.data)
    if data.stream is not None:
        run.stream = streamed_batches(run, data.stream)
        return run
    refuse_empty_classes(run.batches["train"].table, data.label_names)
    refuse_large_batches(arguments, len(run.batches["train"]))
    return run
