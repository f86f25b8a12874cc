"""How far a figure from so many images can be trusted: 95% intervals."""

import torch
from torch import Tensor

Interval = tuple[float, float]
Z = 1.959964  # of the normal distribution, at 97.5%


def wilson(share: float, images: int) -> Interval:
    """Of a share of images. Source: Wilson 1927; it stays within 0 and 1, and holds for few images too."""
    if images == 0:
        return 0.0, 1.0
    middle = share + Z**2 / (2 * images)
    spread = Z * (share * (1 - share) / images + Z**2 / (4 * images**2)) ** 0.5
    whole = 1 + Z**2 / images
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def bootstrapped_calibration(
    probabilities: Tensor, labels: Tensor, *, bins: int, resamples: int = 1000, seed: int = 0
) -> Interval:
    """b labels, b -> of the calibration error: the middle 95% over resamples of the images, drawn with replacement."""
    confidence, predicted = probabilities.double().max(dim=-1)
    # What an image adds to the distance between confidence and accuracy in its bin.
    gap = confidence - (predicted == labels).double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    draws = torch.Generator().manual_seed(seed)
    images = len(labels)
    errors = torch.empty(resamples, dtype=torch.float64)
    for row in range(resamples):
        drawn = torch.randint(images, (images,), generator=draws)
        errors[row] = torch.bincount(place[drawn], weights=gap[drawn], minlength=bins).abs().sum() / images
    low, high = errors.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
