"""What of a model goes into a graph, its logits or all from a picture's bytes to probabilities, and what stays open."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError as TraceError
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from transformers import PreTrainedModel

from ..errors import UserError
from ..explanation.attention_maps import rollout
from ..explanation.passes import probabilities_of, refuse_headless
from ..families import find_family
from ..modality import modality_of
from ..models.fast_paths import plain_forms
from .pixels import PixelPreparation

PIXELS, PICTURE_INPUT, LOGITS, PROBABILITIES, HEAT = "pixel_values", "images", "logits", "probabilities", "heat"
MOST_AT_ONCE, LARGEST_SIDE = 4096, 16384


class LogitsGraph(nn.Module):
    """b (t) c h w -> b labels, and if asked b (t) h w, the rollout of attention over patches"""

    def __init__(self, model: Any, *, heat: bool):
        super().__init__()
        self.model, self.heat = model, heat

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        logits = self.model(pixel_values=pixel_values).logits
        return (logits, shares_of_largest(self.model, pixel_values)) if self.heat else (logits,)


class PictureGraph(nn.Module):
    """(b) h w c, bytes of a picture of any size, or of several of one size -> (b) labels, probabilities or of a
    regression numbers, and if asked (b) h w, the rollout of attention over patches"""

    def __init__(self, model: Any, preparation: PixelPreparation, *, heat: bool):
        super().__init__()
        self.model, self.preparation, self.heat = model, preparation, heat

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pixel_values = self.preparation(images)
        answers = probabilities_of(self.model(pixel_values=pixel_values).logits, self.model.config.problem_type)
        found = (answers, shares_of_largest(self.model, pixel_values)) if self.heat else (answers,)
        return found if images.ndim == 4 else tuple(output[0] for output in found)


def shares_of_largest(model: Any, pixel_values: Tensor) -> Tensor:
    """b (t) c h w -> b (t) h w of patches, from 0 to 1"""
    heat = rollout(model, pixel_values, pixel_values)  # which asks for no target
    return heat / heat.amax(tuple(range(1, heat.ndim)), keepdim=True)


class Graph(NamedTuple):
    """What is exported, an example of what it takes, and which of its dimensions stay open.

    open: a sentence on these for a card.
    """

    module: nn.Module
    example: Tensor
    sizes: Mapping[int, Any]
    inputs: str
    outputs: list[str]
    open: str

    @property
    def batched(self) -> bool:
        """Whether it takes several at once, and not one picture."""
        return self.example.ndim > 3

    def trace(self, *, attention: str | None = None) -> ExportedProgram:
        """attention: the backend that is traced; None for the model's own.

        Raises: UserError for a model whose code asks for what is only known when the graph runs.
        """
        try:
            # Attention to every token is part of the heat, and what is computed for it and for the logits is one.
            plain = plain_forms() if HEAT in self.outputs else nullcontext()
            with torch.no_grad(), without_warnings(), plain, attending(self.module, attention):
                return torch.export.export(
                    self.module.eval(), (self.example,), dynamic_shapes=(dict(self.sizes),), strict=False
                )
        except (TraceError, GuardOnDataDependentSymNode) as error:
            raise UserError(
                f"The model's code does not go into one graph for {self.open} ({str(error).splitlines()[0]}); export "
                "with --fixed-size."
            ) from error


@contextmanager
def attending(module: nn.Module, backend: str | None) -> Iterator[None]:
    """Within it the attention of all models in a module runs on this backend."""
    models = [one for one in module.modules() if isinstance(one, PreTrainedModel)][:1] if backend else []
    before = [model.config._attn_implementation for model in models]
    try:
        for model in models:
            model.set_attn_implementation(backend or "")
        yield
    finally:
        for model, own in zip(models, before, strict=True):
            model.set_attn_implementation(own or "eager")


@contextmanager
def without_warnings() -> Iterator[None]:
    """Of what torch does in its own exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def graph_of(
    model: Any,
    processor: Any,
    *,
    preprocessing: bool = False,
    batched: bool = False,
    heat: bool = False,
    fixed_size: bool = False,
) -> Graph:
    """preprocessing: whether the graph begins with a picture's bytes. batched: whether it then takes any number of
    pictures of one size, and not one at a time. heat: whether it also says where attention went, which fixes the size.
    fixed_size: whether the configured size is all that it takes.

    Raises: UserError for a model without a head, and a processor that does not go into a graph.
    """
    refuse_headless(model)
    config = model.config
    shape = modality_of(config).input_shape(config)
    channels, batch = shape[-3], Dim("batch", min=1, max=MOST_AT_ONCE)
    if preprocessing:
        if len(shape) > 3:
            raise UserError(
                "Only pictures are prepared within a graph, and the model takes videos; export without --preprocessing."
            )
        module = PictureGraph(model, PixelPreparation(processor, channels), heat=heat)
        outputs, example = [PROBABILITIES, *[HEAT] * heat], torch.zeros(2, 37, 53, channels, dtype=torch.uint8)
        sides = [Dim(side, min=2, max=LARGEST_SIDE) for side in ("height", "width")]
        if batched:
            sizes = dict(enumerate([batch, *sides]))
            return Graph(module, example, sizes, PICTURE_INPUT, outputs, "any batch of pictures of one size")
        return Graph(module, example[0], dict(enumerate(sides)), PICTURE_INPUT, outputs, "one picture of any size")
    family = find_family(getattr(config, "model_type", ""))
    steps = {} if fixed_size or heat or family is None else family.open_sizes(config)
    sizes = {0: batch, **{at: one.step * Dim(one.name, min=one.fewest, max=one.most) for at, one in steps.items()}}
    # Another size than the configured one, and no two sides alike, or the graph would hold for that alone.
    example = torch.zeros(2, *shape)
    for place, (at, one) in enumerate(steps.items()):
        length = one.step * (max(one.fewest, -(-example.shape[at] // one.step)) + 1 + place)
        example = example.narrow(at, 0, 1).repeat_interleave(length, at)
    named = ", ".join(["any batch", *(f"any {one.name}" for one in steps.values())])
    return Graph(LogitsGraph(model, heat=heat), example, sizes, PIXELS, [LOGITS, *[HEAT] * heat], named)
