"""Whether two models are the same function: the same images through both, compared at every block."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import UserError
from ...modality import modality_of
from ...models.blocks import Block
from ...models.modeling_base import calibrated
from ...models.shapes import pair

# The largest difference that rounding explains, relative to the largest number where that is over 1.
BOUNDS = {torch.float32: 1e-4, torch.float64: 1e-9}


class Outputs(NamedTuple):
    """b n d and b labels; None where a model has none."""

    tokens: Tensor | None
    logits: Tensor | None


@dataclass
class Runnable:
    """A model of any library, as a comparison sees it.

    blocks: the modules whose outputs b n d are compared one by one.
    run: pixel_values -> Outputs.
    """

    model: nn.Module
    blocks: Sequence[nn.Module]
    run: Callable[[Tensor], Outputs]


@dataclass
class Difference:
    """Between two tensors at one place: the largest absolute one, and that over the largest number there."""

    place: str
    absolute: float
    relative: float

    def within(self, bound: float) -> bool:
        """NaN is not."""
        return min(self.absolute, self.relative) <= bound


@dataclass
class Parity:
    """What came of a comparison."""

    dtype: str
    weights_dtype: str
    bound: float
    images: int
    differences: list[Difference] = field(default_factory=list)
    top1_agreement: float | None = None

    @property
    def passed(self) -> bool:
        return all(difference.within(self.bound) for difference in self.differences)

    @property
    def worst(self) -> Difference:
        return max(self.differences, key=lambda difference: min(difference.absolute, difference.relative))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        """A table, and the verdict."""
        rows = [f"  {'at':<16} {'absolute':>10} {'relative':>10}"]
        rows += [f"  {one.place:<16} {one.absolute:>10.2e} {one.relative:>10.2e}" for one in self.differences]
        agreement = "" if self.top1_agreement is None else f"; top-1 agreement {self.top1_agreement:.0%}"
        verdict = "equal within" if self.passed else "NOT equal within"
        return "\n".join([*rows, f"  {self.images} images in {self.dtype}{agreement}; {verdict} {self.bound:g}"])


def compare(our_runnable: Runnable, theirs: Runnable, pixel_values: Tensor) -> Parity:
    """Run images b c h w through both. Half precision is compared in float32, which holds its numbers exactly.

    Both models are given back as they came: in their dtype, in their mode.
    """
    weights = next(theirs.model.parameters()).dtype
    dtype = weights if weights in BOUNDS else torch.float32
    found, expected = (traced(one, pixel_values, dtype) for one in (our_runnable, theirs))
    report = Parity(str(dtype)[6:], str(weights)[6:], BOUNDS[dtype], len(pixel_values))
    if len(found) != len(expected):
        raise UserError(f"The models have {len(found)} and {len(expected)} places to compare; they differ in depth.")
    for place in expected:
        if expected[place] is not None and found[place] is not None:
            report.differences.append(difference(place, found[place], expected[place]))
    both = found["logits"], expected["logits"]
    if all(logits is not None for logits in both):
        report.top1_agreement = float((both[0].argmax(-1) == both[1].argmax(-1)).double().mean())
    return report


@torch.inference_mode()
def traced(one: Runnable, pixel_values: Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """What comes out of every block, and at the end."""
    seen: dict[str, Any] = {}

    def note(place: str, module: nn.Module, given: Any, output: Any) -> None:
        tokens = output[0] if isinstance(output, tuple) else output
        seen[place] = tokens.flatten(1, 2) if tokens.ndim == 4 else tokens  # b h w d, as timm's Swin has it

    handles = [
        block.register_forward_hook(lambda *call, place=f"block {number + 1}": note(place, *call))
        for number, block in enumerate(one.blocks)
    ]
    before, training = next(one.model.parameters()).dtype, one.model.training
    try:
        one.model.eval().to(dtype)
        outputs = one.run(pixel_values.to(next(one.model.parameters()).device, dtype))
    finally:
        one.model.to(before).train(training)
        for handle in handles:
            handle.remove()
    return {**{place: output.cpu() for place, output in seen.items()}, **outputs._asdict()}


def difference(place: str, found: Tensor, expected: Tensor) -> Difference:
    if found.shape != expected.shape:
        raise UserError(f"At the {place} one model gives {tuple(found.shape)}, the other {tuple(expected.shape)}.")
    absolute = float((found.cpu() - expected.cpu()).abs().max())
    return Difference(place, absolute, absolute / max(float(expected.abs().max()), torch.finfo(expected.dtype).tiny))


def our_runnable(model: Any) -> Runnable:
    """Our model, with a head or without."""
    trunk = model.base_model

    def run(pixel_values: Tensor) -> Outputs:
        outputs = trunk(pixel_values)
        tokens, pooled = outputs.last_hidden_state, outputs.pooler_output
        if hasattr(model, "classifier"):
            pooled = model.classifier(pooled)
        if (taught := getattr(model, "distillation_classifier", None)) is not None:
            pooled = (pooled + taught(tokens[:, 1])) / 2
        if hasattr(model.config, "temperature") and hasattr(model, "classifier"):
            pooled = calibrated(pooled, model.config)
        return Outputs(None if norms_one_token(model) else tokens, pooled)

    return Runnable(model, [part for part in trunk.modules() if isinstance(part, Block)], run)


def norms_one_token(model: Any) -> bool:
    """Whether a classifier norms the class token alone, where the same function elsewhere may norm all of them."""
    pooling = (getattr(model.config, "pooling", None), getattr(model.config, "final_norm", None))
    return hasattr(model, "classifier") and pooling == ("cls", "pooled")


def sample_images(config) -> Tensor:
    """-> b c h w, or b t c h w of a model of videos: two random images, a photograph and a digit, of a
    config's size, scaled to about N(0, 1). In clips they fade."""
    return modality_of(config).sample_inputs(still_images(config), config)


def still_images(config) -> Tensor:
    size = pair(config.image_size)
    real = torch.cat([functional.interpolate(images, size, mode="bilinear") for images in real_images()])
    channels = real.mean(1, keepdim=True) if config.num_channels == 1 else real
    repeats = -(-config.num_channels // channels.shape[1])
    real = channels.repeat(1, repeats, 1, 1)[:, : config.num_channels]
    random = torch.randn(2, *real.shape[1:], generator=torch.Generator().manual_seed(0))
    return torch.cat([random, real])


@cache
def real_images() -> tuple[Tensor, Tensor]:
    """1 3 h w each, from -1 to 1: scikit-learn's first photograph and its first digit."""
    from sklearn.datasets import load_digits, load_sample_images

    sources: Any = (load_sample_images(), load_digits())
    photographs = torch.from_numpy(np.stack(sources[0].images[:1])).permute(0, 3, 1, 2) / 127.5 - 1
    digits = torch.from_numpy(sources[1].images[:1]).float()[:, None].repeat(1, 3, 1, 1) / 8 - 1
    return photographs, digits
