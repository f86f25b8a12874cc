"""Methods side by side on the same images: what each gains, and by how much one gains more than another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .explain import DEFAULT_METHOD, explain
from .scoring import MeanGain, chance_maps, curves, gained_over, mean_gain

# Of those that cost a few passes, the default first.
COMPARED = (DEFAULT_METHOD, "grad_cam", "rollout", "attention")
CHANCE = "chance"  # beside the methods: patches in an order by chance, which gains 0 in the mean over all orders


@dataclass(frozen=True)
class MethodGains:
    """gains: b of each method, on the same images."""

    gains: Mapping[str, Tensor]

    @property
    def methods(self) -> list[str]:
        return [name for name in self.gains if name != CHANCE]

    @property
    def images(self) -> int:
        return len(next(iter(self.gains.values())))

    @property
    def best(self) -> str:
        """The method that gains most in the mean, the first of equal ones."""
        return max(self.methods, key=lambda name: float(self.gains[name].mean()))

    def mean(self, name: str) -> MeanGain:
        return mean_gain(self.gains[name])

    def over(self, name: str, other: str) -> MeanGain:
        return gained_over(self.gains[name], self.gains[other])

    def rows(self) -> Iterator[tuple[str, MeanGain, MeanGain | None]]:
        """Of each its mean gain, and by how much it is more than that of the first method."""
        first = next(iter(self.gains))
        for name in self.gains:
            yield name, self.mean(name), None if name == first else self.over(name, first)


def compare_methods(
    model: Any,
    pixel_values: Tensor,
    methods: Sequence[str] = COMPARED,
    *,
    targets: Tensor | None = None,
    steps: int = 17,
    batch: int = 16,
    seed: int = 0,
) -> MethodGains:
    """b (t) c h w -> the gains of each method's maps, image by image. methods: also `CHANCE`.

    targets: b, the labels to explain; None: the most probable ones. steps: of the curves. batch: images at a time.
    seed: of `CHANCE`, and of the order among patches of equal heat.
    """
    gains: dict[str, list[Tensor]] = {name: [] for name in methods}
    for number, some in enumerate(pixel_values.split(batch)):
        chosen = None if targets is None else targets[number * batch :][: len(some)]
        found = {name: explain(model, some, method=name, target=chosen) for name in methods if name != CHANCE}
        first = next(iter(found.values()))
        for name in methods:
            maps = chance_maps(first.maps, seed + number) if name == CHANCE else found[name].maps
            measured = curves(model, some, maps, first.targets, steps=steps, batch=batch, seed=seed + number)
            gains[name].append(measured.gain)
    return MethodGains({name: torch.cat(each) for name, each in gains.items()})
