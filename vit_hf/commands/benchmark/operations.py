"""The size of a model, and the matrix products that are nearly all of its arithmetic."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import UserError
from ...families import Family
from .peers import OURS, Logits

Product = tuple[int, int, int]  # rows of an image, inputs, outputs


class Counted(Protocol):
    """The size of a model."""

    @property
    def shape(self) -> tuple[int, ...]:
        """c h w of an image, or t c h w of a clip."""
        ...

    @property
    def products(self) -> list[Product]:
        """The Linears of all blocks, in order."""
        ...


class Benchmarked(NamedTuple):
    """How a family is timed.

    numbers: the fields of a named size, and the side of images in pixels where another is said -> what is built.
    builders: by the library, a function from pixels to logits of these numbers. usual: the sizes that are measured
        where none are named. for_inference: those of the builders whose models are not trained.
    """

    numbers: Callable[[Mapping[str, Any], int | None], Counted]
    builders: Mapping[str, Callable[[Any], nn.Module]]
    usual: Sequence[str]
    for_inference: Collection[str] = ()


def side_in_pixels(fields: Mapping[str, Any], side: int | None) -> int:
    """The side that is said, or that of the size, or 224 pixels."""
    return side or fields.get("image_size", 224)


@dataclass(frozen=True)
class OwnNumbers:
    """The size of a model of any family, by the fields of its configuration; torch counts what it computes."""

    family: Family
    fields: Mapping[str, Any]
    side: int | None = None
    labels: int = 1000

    def build(self) -> Any:
        side = {} if self.side is None else {"image_size": self.side}
        config = self.family.config_class(**{**self.fields, **side, "num_labels": self.labels})
        return self.family.classifier(config)

    @property
    def shape(self) -> tuple[int, ...]:
        with torch.device("meta"):
            return tuple(self.family.blank_inputs(self.build(), 1)["pixel_values"].shape[1:])

    @property
    def products(self) -> list[Product]:
        """Every Linear, in the order in which they run."""
        found: list[Product] = []

        def note(module: Any, given: Any, output: Tensor) -> None:
            found.append((output.numel() // module.out_features, module.in_features, module.out_features))

        with torch.device("meta"), torch.no_grad():
            model = self.build().eval()
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    module.register_forward_hook(note)
            model(**self.family.blank_inputs(model, 1))
        if not found:
            raise UserError(
                f"A {self.family.title} runs no Linear, and its speed is measured by that of matrix products."
            )
        return found


def of_its_own(family: Family) -> Benchmarked:
    """What a record says that knows no other library, and counts nothing by hand."""

    def numbers(fields: Mapping[str, Any], side: int | None) -> Any:
        return OwnNumbers(family, fields, side)

    return Benchmarked(numbers, {OURS: lambda numbers: Logits(numbers.build())}, [*family.sizes()][:1])


def block_products(attended: int, tokens: int, width: int, inner: int) -> list[Product]:
    """Of a block: queries, keys and values; projection; up; down. attended: rows, padding of windows included."""
    return [
        (attended, width, 3 * width),
        (attended, width, width),
        (tokens, width, inner),
        (tokens, inner, width),
    ]


def linear_operations(numbers: Counted) -> int:
    """Multiplications and additions of an image's tokens in the Linears of all blocks, counted separately."""
    return 2 * sum(rows * inputs * outputs for rows, inputs, outputs in numbers.products)


def products_alone(numbers: Counted, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """The Linears of all blocks, and nothing else: the fastest that this machine could go."""

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype)

    sizes = dict.fromkeys(numbers.products)
    operands = {(r, i, o): (random(batch * r, i), random(o, i)) for r, i, o in sizes}
    products = [operands[size] for size in numbers.products]

    @torch.inference_mode()
    def call() -> None:
        for tokens, weights in products:
            functional.linear(tokens, weights)

    return call
