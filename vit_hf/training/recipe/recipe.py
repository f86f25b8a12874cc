"""A recipe: one YAML file that says which model learns what from which images, and how."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...data.settings import DataSettings
from ...errors import UserError, unknown_name
from ...families import FAMILIES
from ...settings import Section, explain_wrong_fields
from .arguments import TrainingArguments, refuse_unknown_arguments
from .optimization import OptimizationSettings
from .shipped import find_recipe as find_recipe
from .shipped import recipes_of
from .yaml_files import apply_overrides, parse_overrides, read_yaml, write_yaml

OF_THE_DATA = ("id2label", "label2id")  # of the fields that a model's configuration has
AUTO = "auto"  # the size that suits the images and the machine, which a run finds out (runs/sizing.py)


class ModelSettings(BaseModel):
    """A family, perhaps a named size, and any field of the family's config; or `from`, where pretrained weights lie.

    With `from` the fields that are named are changed, and everything else is as it was there.
    """

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants")

    source: str | None = Field(default=None, alias="from", description="a folder, file or Hub id of any library")
    family: str = Field(default="vit", description="of models, such as vit, swin or timesformer")
    size: str | None = Field(default=None, description="a named one of the family, for whose fields it stands")
    task: Literal["classification", "masked_image_modeling"] = Field(
        default="classification", description="learn labels, or paint what is hidden of images without labels"
    )

    @model_validator(mode="after")
    def refuse_unknown_names(self):
        if self.family not in FAMILIES:
            raise UserError(unknown_name("model family", self.family, FAMILIES))
        if self.size not in (None, AUTO) and self.size not in (sizes := FAMILIES[self.family].sizes()):
            raise UserError(unknown_name(f"size of {self.family}", self.size, [*sizes, AUTO]))
        if self.size == AUTO and self.family != "vit":
            raise UserError(f"size='auto' is for the family vit; name a size of {self.family}, or {self.way_out()}.")
        if self.source == "":
            raise UserError("model.from is empty; give a folder, a file or the id of a model, or leave it out.")
        if self.size is not None and self.source is not None:
            raise UserError(f"size={self.size!r} is for a new model; {self.source} has the size that it has.")
        if self.task != "classification" and self.source is not None:
            raise UserError(f"task={self.task!r} begins with a new model; leave out from={self.source!r}.")
        for name in self.model_extra or {}:
            if name in OF_THE_DATA:
                raise UserError(f"model.{name}: labels and their names are those of the data; leave it out.")
            if name not in (known := FAMILIES[self.family].config_fields()):
                others = [word for word, other in FAMILIES.items() if name in other.config_fields()]
                if others:
                    raise UserError(
                        f"model.{name} is a field of {' and '.join(others)}, and the family is {self.family}; leave it "
                        f"out, and say the sizes of {self.family} (`vit-hf fields`), or {self.way_out()}."
                    )
                raise UserError(unknown_name("model field", name, [*known, "family", "from", "size", "task"]))
        return self

    def way_out(self) -> str:
        """For who asks a recipe of one family for another, whose fields the recipe cannot know."""
        own = recipes_of(self.family, self.task)
        named = f": {' or '.join(own)}, with your data as --data.name" if own else ""
        return f"begin with a recipe of its own{named}"

    def fields(self) -> dict[str, Any]:
        """Everything for the config: the numbers of the named size, if any, and then what the recipe says itself."""
        named = FAMILIES[self.family].sizes()[self.size] if self.size not in (None, AUTO) else {}
        return {**named, **(self.model_extra or {})}


# Fields that may name a file or folder of this machine.
PLACES = (
    ("model", "from"),
    ("data", "name"),
    ("data", "split"),
    ("data", "cache"),
    ("optimization", "distillation", "teacher"),
    ("training", "output_dir"),
    ("training", "resume_from_checkpoint"),
)


def is_private(place: str) -> bool:
    """Whether a path says more than where something lies below the folder that one works in."""
    path = Path(place)
    return path.is_absolute() or place.startswith("~") or ".." in path.parts


class CardSettings(Section):
    """What the card of the trained model should say that nothing else knows."""

    name: str | None = Field(default=None, description="of the model; by default that of its folder")
    license: str = Field(default="apache-2.0", description="the Hub's word for it")
    tags: list[str] = Field(default=[], description="beside those that follow from the model")
    description: str | None = Field(default=None, description="a sentence or more, in your own words")


class Recipe(Section):
    """model + data + optimization + training, and a word for the card."""

    model: ModelSettings = ModelSettings()
    data: DataSettings
    optimization: OptimizationSettings = OptimizationSettings()
    training: dict[str, Any] = {}
    card: CardSettings = CardSettings()

    @property
    def output_dir(self) -> Path:
        return Path(self.training.get("output_dir") or str(TrainingArguments.output_dir))

    @field_validator("training")
    @classmethod
    def refuse_unknown_training(cls, training: dict[str, Any]) -> dict[str, Any]:
        return refuse_unknown_arguments(training)

    @model_validator(mode="after")
    def refuse_fields_of_the_other_task(self):
        if self.model.task == "masked_image_modeling":
            self.optimization.refuse_what_needs_classes()
        elif self.optimization.masking is not None:
            raise UserError(
                "optimization.masking hides nothing from a classifier; say model.task: masked_image_modeling."
            )
        return self

    @model_validator(mode="after")
    def refuse_endless_streams(self):
        if not self.data.streaming:
            return self
        if self.model.task == "masked_image_modeling":
            raise UserError("data.streaming is for classifiers; leave it out of a recipe for masked images.")
        if not (isinstance(steps := self.training.get("max_steps"), int) and steps > 0):
            raise UserError(
                "data.streaming: nobody knows how many images a stream has, nor where an epoch of them ends; say "
                "training.max_steps."
            )
        return self

    @model_validator(mode="after")
    def refuse_balancing_twice(self):
        if self.data.sampling != "balanced":
            return self
        if self.model.task == "masked_image_modeling":
            raise UserError("data.sampling: balanced needs labels, and masked images have none; leave it out.")
        if self.training.get("train_sampling_strategy") == "sequential":
            raise UserError(
                "data.sampling: balanced draws images, and training.train_sampling_strategy: sequential takes them as "
                "they come; leave one of the two out."
            )
        twice = "class_weights: balanced" if self.optimization.class_weights == "balanced" else "logit_adjustment"
        if twice != "logit_adjustment" or self.optimization.logit_adjustment is not None:
            raise UserError(
                f"data.sampling: balanced and optimization.{twice} both make up for rare classes, and together for "
                "twice as much; leave one of the two out."
            )
        return self

    def content(self) -> dict[str, Any]:
        """Plain types, under the names that a recipe has them, and no key to anything."""
        content = self.model_dump(mode="json", exclude_none=True, by_alias=True)
        content["training"].pop("hub_token", None)
        return content

    def content_for_others(self) -> dict[str, Any]:
        """The same, and of places on this machine no more than their names: where they lie repeats nothing."""
        content = self.content()
        for *sections, field in PLACES:
            section = content
            for name in sections:
                section = section.get(name) or {}
            value = section.get(field)
            if isinstance(value, str) and is_private(value):
                section[field] = Path(value).expanduser().resolve().name
        return content

    def save(self, path: Path) -> None:
        """The resolved recipe: train with it again to repeat the run."""
        write_yaml(path, self.content_for_others())


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a file, with `--section.field value` words laid over it."""
    return resolve_recipe(read_yaml(Path(path)), parse_overrides(overrides), str(path))


def resolve_recipe(content: Any, overrides: Mapping[str, Any], where: str) -> Recipe:
    """overrides: by dotted paths. where: the file that an error names."""
    if not isinstance(content, dict):
        raise UserError(f"{where} is not a recipe: it holds no sections model, data and training.")
    for name in content:
        if not isinstance(name, str):
            raise UserError(f"{where}: {unknown_name('section', name, Recipe.model_fields)}")
    with explain_wrong_fields(where):
        return Recipe(**apply_overrides(content, dict(overrides)))
