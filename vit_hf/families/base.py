"""What a family of models is: one record of everything that differs by family, which everybody else asks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..modality import Modality


class Family:
    """A family's record. A new one is a subclass with its facts, and an instance behind an entry point of the group
    `vit_hf.families`, so that child processes know it too.

    name: what a recipe calls it. title: what people call it. modality: what its models see.
    config_class, classes: its configuration, and by the Auto class that finds it each of its models.
    video_processor: a class of its own, where it has one.
    checks: each refuses, with a UserError, numbers of a configuration that do not go together.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    modality: ClassVar[Modality]
    config_class: ClassVar[Any]
    classes: ClassVar[Mapping[str, Any]]
    video_processor: ClassVar[Any] = None
    checks: ClassVar[Sequence[Callable[[Any], None]]] = ()

    @property
    def model_type(self) -> str:
        """What its configurations are called on the Hub."""
        return self.config_class.model_type

    @property
    def classifier(self) -> Any:
        """Its class for the problem with labels."""
        return self.classes[self.modality.auto_classifier]
