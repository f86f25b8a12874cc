"""What a family of models is: one record of everything that differs by family, which everybody else asks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

# An Auto class for each problem that has labels.
CLASSIFIERS = ("AutoModelForImageClassification", "AutoModelForVideoClassification")


class Family:
    """A family's record. A new one is a subclass with its facts, and an instance behind an entry point of the group
    `vit_hf.families`, so that child processes know it too.

    name: what a recipe calls it. title: what people call it. config_class, classes: its configuration, and by the Auto
        class that finds it each of its models. image_processor, video_processor: classes of its own, where it has any.
    checks: each refuses, with a UserError, numbers of a configuration that do not go together.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config_class: ClassVar[Any]
    classes: ClassVar[Mapping[str, Any]]
    video_processor: ClassVar[Any] = None
    checks: ClassVar[Sequence[Callable[[Any], None]]] = ()

    @property
    def model_type(self) -> str:
        """What its configurations are called on the Hub."""
        return self.config_class.model_type

    @property
    def auto_classifier(self) -> str:
        """The Auto class that finds its class for the problem with labels."""
        return next(auto for auto in CLASSIFIERS if auto in self.classes)

    @property
    def classifier(self) -> Any:
        """That class."""
        return self.classes[self.auto_classifier]

    @property
    def takes_clips(self) -> bool:
        """Whether it sees videos, and not images."""
        return self.auto_classifier == "AutoModelForVideoClassification"
