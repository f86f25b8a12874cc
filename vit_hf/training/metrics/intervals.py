"""How far a figure moves from sample to sample: Wilson's intervals of shares, and a bootstrap over the images."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Interval = tuple[float, float]
# r n: how often each image is drawn in each of r resamples -> r, or r labels, of each figure by its name
Statistic = Callable[[Tensor], Mapping[str, Tensor]]

Z = 1.959964  # of the normal distribution, at 97.5%
RESAMPLES = 1000
WORK = 4 * 10**8  # resamples times images times labels, about ten seconds of one core; there are at least a hundred
DRAWN_AT_ONCE = 2**21  # drawn numbers at a time, so that what is made of them stays in the cache


def wilson(share: float, images: int) -> Interval:
    """Of a share of images. Source: Wilson 1927; it stays within 0 and 1, and holds for few images too."""
    if images == 0:
        return 0.0, 1.0
    middle = share + Z**2 / (2 * images)
    spread = Z * (share * (1 - share) / images + Z**2 / (4 * images**2)) ** 0.5
    whole = 1 + Z**2 / images
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def wilson_of_mean(shares: Sequence[float], images: Sequence[int]) -> Interval:
    """Of the mean of shares of separate images, such as the recalls of classes: from the interval of each.

    A bootstrap would be sure of a class of which three images of three are right; this is not. Source: the method of
    variance estimates recovery, Zou and Donner 2008.
    """
    mean = sum(shares) / len(shares)
    each = [wilson(share, count) for share, count in zip(shares, images, strict=True)]
    below = sum((share - low) ** 2 for share, (low, _) in zip(shares, each, strict=True)) ** 0.5 / len(shares)
    above = sum((high - share) ** 2 for share, (_, high) in zip(shares, each, strict=True)) ** 0.5 / len(shares)
    return max(0.0, mean - below), min(1.0, mean + above)


def resamples_for(images: int, labels: int) -> int:
    """A thousand, or fewer of very many images and labels."""
    return min(RESAMPLES, max(100, WORK // (images * labels)))


def drawn_counts(images: int, resamples: int, draws: torch.Generator) -> Tensor:
    """-> r n (float64): how often each image is among as many, drawn with replacement"""
    drawn = torch.randint(images, (resamples, images), generator=draws)
    drawn += torch.arange(resamples)[:, None] * images
    return torch.bincount(drawn.flatten(), minlength=resamples * images).reshape(resamples, images).double()


def bootstrap(
    statistic: Statistic, images: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, list[Interval | None]]:
    """-> of each figure the middle 95% over resamples of the images: one interval, or one for each label

    A resample in which a figure is NaN, as that of a class of which no image was drawn, does not count for it. None
    where all are.
    """
    draws = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {}
    part = max(1, DRAWN_AT_ONCE // images)
    for start in range(0, resamples, part):
        counts = drawn_counts(images, min(part, resamples - start), draws)
        for name, values in statistic(counts).items():
            found.setdefault(name, []).append(values.reshape(len(counts), -1))
    return {name: middle_of(torch.cat(parts)) for name, parts in found.items()}


def middle_of(values: Tensor) -> list[Interval | None]:
    """r labels -> for each label the 2.5% and 97.5% quantiles of what is no NaN"""
    ends = torch.tensor([0.025, 0.975], dtype=values.dtype)
    low, high = values.nanquantile(ends, dim=0).tolist()
    return [None if lower != lower else (lower, upper) for lower, upper in zip(low, high, strict=True)]
