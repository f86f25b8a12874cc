"""What a family of models is: one record of everything that differs by family, which everybody else asks."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..modality import Modality
from ..models.shapes import pair

# Of a pretrained model's configuration, what only training looks at, or only the head.
OF_TRAINING = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "embedding_dropout_prob",
    "drop_path_rate",
    "label_smoothing",
    "initializer_range",
    "problem_type",
)
State = Mapping[str, Tensor]
# The state dict, which it changes in place, and the configurations before and after -> a line for what it did.
Adapter = Callable[[dict[str, Tensor], Any, Any], list[str]]


# By package and name of the class, entry points whose module is half imported when they are looked for.
AWAITED: dict[tuple[str, str], EntryPoint] = {}


class Converter(NamedTuple):
    """Both ways between a family and the live models of another library.

    takes: whether a model of theirs is of this family. names: what the library calls those that are.
    to_ours: their model, and its weights (perhaps where they lie in a file) -> ours, and a line for each thing that is
        left out. to_theirs: the same the other way. Both raise UserError for what the other side cannot say.
    runnable: their model -> how a comparison runs it (`vit_hf.conversion.core.parity.Runnable`).
    unsupported: our configuration -> what of it the library has no form for, as far as is known before.
    saved_eps: of norms, those that their saved configuration can say; empty where it can say any.
    """

    takes: Callable[[Any], bool]
    names: Sequence[str]
    to_ours: Callable[[Any, State], tuple[Any, list[str]]]
    to_theirs: Callable[[Any, State], tuple[Any, list[str]]]
    runnable: Callable[[Any], Any]
    unsupported: Callable[[Any], Iterable[str]] = lambda config: ()
    saved_eps: Sequence[float] = ()


class PublishedFiles(NamedTuple):
    """Files of weights alone, as the authors of a family publish them.

    kind: what they are called. anchor: a key that no other files have, perhaps behind a prefix.
    find: weights, and fields that the caller says -> `vit_hf.conversion.core.infer_config.Found`.
    peer: our configuration, the weights, their file, and whether a classifier is among them -> a `Runnable` of another
        library that reads them too; None where none does.
    under: where an anchor does not tell: weights, and fields that are said -> the weights without a prefix and the keys
        of other things; None for other files.
    """

    kind: str
    anchor: str
    find: Callable[[State, Mapping[str, Any]], Any]
    peer: Callable[..., Any] = lambda *given: None
    under: Callable[[State, Mapping[str, Any]], tuple[State, list[str]] | None] | None = None


def is_a(module: Any, *names: str) -> bool:
    """Whether one of the classes that a module is of has one of these names, which it also has where its code came with
    its weights."""
    return any(kind.__name__ in names for kind in type(module).__mro__)


class Steps(NamedTuple):
    """A size that stays open in a graph: a multiple of `step`, `fewest` to `most` times. name: what is counted."""

    name: str
    step: int
    fewest: int
    most: int


def open_patches(config: Any, first: int, fewest: int = 2) -> dict[int, Steps]:
    """Height and width, the dimensions `first` and the next, in whole patches."""
    height, width = pair(config.patch_size)
    return {first: Steps("rows", height, fewest, 512), first + 1: Steps("columns", width, fewest, 512)}


class Family:
    """A family's record. A new one is a subclass with its facts, which an entry point of the group `vit_hf.families`
    names, so that child processes know it too. What it imports of the package beside this and the parts of models, it
    imports when it is called.

    name: what a recipe calls it. title: what people call it. modality: what its models see.
    config_class, classes: its configuration, and by the Auto class that finds it each of its models.
    video_processor: a class of its own, where it has one.
    papers: what to cite, as BibTeX.
    checks: each refuses, with a UserError, numbers of a configuration that do not go together; those that inherit
        `vit_hf.completion.configurations.CheckedConfig` are checked by them.
    adapts, adapters: the fields whose change its weights can follow when they are loaded, and who makes them follow;
        those of the package are in `vit_hf.completion.adaptation`. Labels always change.
    changeable: the fields beside these that a training may change of pretrained weights.
    layer_classes: of the modules that are a layer each. Without any, members of a model's nn.ModuleLists are.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    modality: ClassVar[Modality]
    config_class: ClassVar[Any]
    classes: ClassVar[Mapping[str, Any]]
    video_processor: ClassVar[Any] = None
    papers: ClassVar[str] = ""
    checks: ClassVar[Sequence[Callable[[Any], None]]] = ()
    adapts: ClassVar[Sequence[str]] = ()
    adapters: ClassVar[Sequence[Adapter]] = ()
    changeable: ClassVar[Sequence[str]] = OF_TRAINING
    layer_classes: ClassVar[tuple[type[nn.Module], ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if point := AWAITED.pop((cls.__module__.partition(".")[0], cls.__qualname__), None):
            from . import register_entry

            register_entry(point, cls)

    @property
    def model_type(self) -> str:
        """What its configurations are called on the Hub."""
        return self.config_class.model_type

    @property
    def classifier(self) -> Any:
        """Its class for the problem with labels."""
        return self.classes[self.modality.auto_classifier]

    @property
    def code(self) -> Path:
        """The folder of its configuration's file, which travels with its models as all that this imports from there."""
        return Path(inspect.getfile(self.config_class)).parent

    @property
    def package(self) -> tuple[str, Path]:
        """Its package's name, and the folder in which a process has to look for it."""
        name, *inner = self.config_class.__module__.split(".")
        inside = len(inner) + (Path(inspect.getfile(self.config_class)).stem == "__init__")
        return name, self.code.parents[inside - 1] if inside else self.code

    def config_fields(self) -> list[str]:
        """The names that its configuration understands."""
        return [field.name for field in fields(self.config_class) if field.init]

    def changeable_fields(self) -> list[str]:
        """What may be changed of pretrained weights without making them worthless."""
        return sorted({*self.adapts, *self.changeable}.intersection(self.config_fields()))

    def sizes(self) -> Mapping[str, Mapping[str, Any]]:
        """The fields behind each named size. Raises: UserError where there is no configuration/models/NAME.yaml."""
        from ..training.recipe.yaml_files import model_sizes

        return model_sizes(self.name)

    def layers_of(self, config: Any) -> str:
        """How a card says how large a model is."""
        return f"{config.num_hidden_layers} layers of width {config.hidden_size}"

    def layer_names(self, model: nn.Module) -> list[str]:
        """The names of the modules that are a layer each, from the first to the last."""
        if self.layer_classes:
            return [name for name, module in model.named_modules() if isinstance(module, self.layer_classes)]
        found: list[str] = []
        for name, module in model.named_modules():
            within_another = any(name.startswith(f"{layer}.") for layer in found)
            if isinstance(module, nn.ModuleList) and not within_another:
                found += [f"{name}.{place}" for place in range(len(module))]
        return found

    def blank_inputs(self, model: Any, batch: int) -> dict[str, Tensor]:
        """b c h w or b t c h w of the configured size; where the model paints them, the first of its patches hidden."""
        config, device = model.config, next(model.parameters()).device
        inputs = {"pixel_values": torch.zeros(batch, *self.modality.input_shape(config), device=device)}
        if hasattr(model, "decoder"):
            rows, columns = config.patch_grid
            inputs["bool_masked_pos"] = torch.zeros(batch, rows * columns, dtype=torch.bool, device=device)
        return inputs

    def open_sizes(self, config: Any) -> Mapping[int, Steps]:
        """By the dimensions of pixel_values, what one exported graph takes beside any batch: nothing where it is traced
        for the configured size alone."""
        return {}

    def timm_converter(self) -> Converter | None:
        """None where timm has no such models."""
        return None

    def transformers_converter(self) -> Converter | None:
        """None where transformers has no such models of its own."""
        return None

    def original_files(self) -> Sequence[PublishedFiles]:
        """The first whose keys are there says what a file is."""
        return ()

    def benchmark(self) -> Any:
        """How it is timed beside other libraries (`vit_hf.commands.benchmark.operations.Benchmarked`): here its
        classifier alone, at its first named size, whose arithmetic torch counts."""
        from ..commands.benchmark.operations import of_its_own

        return of_its_own(self)
