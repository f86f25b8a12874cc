"""How good a heat map is: what the answer does as the hottest patches are taken away or put in first, and whether the
hottest place lies in the object; and how sure a mean of that is, or a difference between two methods."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..models.shapes import pair
from .passes import evaluating, patch_grid, probabilities_of


class Curves(NamedTuple):
    """b steps: the target's probability with 0, 1/(steps - 1), ... 1 of the patches taken away, or put in."""

    deletion: Tensor
    insertion: Tensor

    @property
    def areas(self) -> tuple[Tensor, Tensor]:
        """b, b: under each, by trapezoids; of a good map the first is small and the second large."""
        return area(self.deletion), area(self.insertion)

    @property
    def gain(self) -> Tensor:
        """b: insertion less deletion, in which more is better; 0 for a map that knows nothing, in the mean."""
        deletion, insertion = self.areas
        return insertion - deletion


def area(curve: Tensor) -> Tensor:
    """b steps -> b, of steps over 0 to 1"""
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1))


@torch.no_grad()
def curves(
    model: Any, pixel_values: Tensor, maps: Tensor, targets: Tensor, *, steps: int = 17, batch: int = 64, seed: int = 0
) -> Curves:
    """b (t) c h w, b (t) h w, b -> the curves of maps over the model's patches.

    What is not there is of the mean color, on both ways, so that an order by chance gains nothing in the mean.
    seed: of the order among patches of equal heat. Source: RISE, arXiv:1806.07421.
    """
    ranks = ranks_of(maps, patch_grid(model, pixel_values), seed)  # b (t) h w
    patch, blank = pair(model.config.patch_size), torch.zeros_like(pixel_values)
    found: dict[str, list[Tensor]] = {"deletion": [], "insertion": []}
    with evaluating(model):
        for share in torch.linspace(0, 1, steps).tolist():
            hottest = over_pixels(ranks < share, pixel_values, patch)
            for name, first, then in (("deletion", pixel_values, blank), ("insertion", blank, pixel_values)):
                shown = torch.where(hottest, then, first)
                logits = torch.cat([model(some).logits for some in shown.split(batch)])
                said = probabilities_of(logits, model.config.problem_type)
                found[name].append(said.gather(1, targets[:, None].to(logits.device))[:, 0].cpu())
    return Curves(*(torch.stack(found[name], dim=1) for name in ("deletion", "insertion")))


def ranks_of(maps: Tensor, grid: tuple[int, int], seed: int = 0) -> Tensor:
    """b (t) h w -> b (t) h w of the grid: the share of an item's patches that are hotter, from 0 to below 1. Those of
    equal heat, as all that a method sets to 0, are in an order drawn by chance for each item."""
    heat = maps if maps.shape[-2:] == grid else functional.adaptive_avg_pool2d(maps, grid)
    flat = heat.flatten(1)
    # An order of place would gain or lose by what lies at the top of images.
    drawn = chance_maps(flat, seed).argsort(dim=1).to(flat.device)
    hottest = drawn.gather(1, flat.gather(1, drawn).argsort(dim=1, descending=True, stable=True))
    return (hottest.argsort(dim=1) / flat.shape[1]).unflatten(1, heat.shape[1:])


def over_pixels(chosen: Tensor, pixel_values: Tensor, patch: tuple[int, int]) -> Tensor:
    """b (t) h w, b (t) c h w -> b (t) 1 h w of pixels: the chosen patches, the last of which may be begun only; pixels
    beyond the patches are not chosen"""
    height, width = pixel_values.shape[-2:]
    chosen = chosen.repeat_interleave(patch[0], -2).repeat_interleave(patch[1], -1)
    chosen = functional.pad(chosen, (0, width - chosen.shape[-1], 0, height - chosen.shape[-2]))
    return chosen.to(pixel_values.device).unsqueeze(-3)


def points_at(maps: Tensor, objects: Tensor, seed: int = 0) -> Tensor:
    """b h w, b h w of one size -> b: whether the hottest place lies where an object is, one drawn by chance of those
    that are equally hot, as all are of a map of zeros. Source: arXiv:1608.00507."""
    hottest = ranks_of(maps, (maps.shape[-2], maps.shape[-1]), seed) == 0
    return objects[hottest].bool()


class MeanGain(NamedTuple):
    """A mean over images, and its 95% interval; None of fewer than two images."""

    mean: float
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        between = f" (95% interval {self.interval[0]:+.3f} to {self.interval[1]:+.3f})" if self.interval else ""
        return f"{self.mean:+.3f}{between}"


def mean_gain(gains: Tensor, seed: int = 0) -> MeanGain:
    """b -> their mean, with the middle 95% of the means of resamples of the images."""
    from scipy.stats import bootstrap

    values = gains.double().numpy()
    if len(values) < 2:
        return MeanGain(float(values.mean()), None)
    draws: Any = {"random_state": np.random.default_rng(seed)}  # called rng from SciPy 1.15 on, which takes both
    found = bootstrap((values,), np.mean, method="percentile", **draws).confidence_interval
    return MeanGain(float(values.mean()), (float(found.low), float(found.high)))


def gained_over(gains: Tensor, others: Tensor, seed: int = 0) -> MeanGain:
    """b, b of the same images -> by how much the first gain more in the mean. Images are resampled, each with both of
    its gains, so that what makes an image hard for both does not widen the interval."""
    return mean_gain(gains - others, seed)


def chance_maps(maps: Tensor, seed: int = 0) -> Tensor:
    """b (t) h w -> as many, that know nothing: each item's own order of its patches, drawn by chance."""
    return torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed))
