"""The test split of data that has none: stratified, and the same at every run."""

import math

import numpy as np
from sklearn.model_selection import train_test_split

from .tables import ImageData


def hold_out(data: ImageData, fraction: float, seed: int) -> ImageData:
    """Take `fraction` of every class away from training, unless there is a validation or test split."""
    if "test" in data.splits or "validation" in data.splits:
        return data
    whole = data.split("train")
    things = whole.things
    counts = np.bincount(whole.labels, minlength=len(data.label_names))
    for name, count in zip(data.label_names, counts, strict=True):
        if count < 2:
            raise ValueError(
                f"The class {name!r} has {count} {things[:-1] if count == 1 else things}, and needs at least 2: one to "
                f"train on and one to test on. Add {things}, remove the class, or bring a test split of your own."
            )
    wanted = max(math.ceil(fraction * len(whole)), len(counts))
    train, test = train_test_split(np.arange(len(whole)), test_size=wanted, stratify=whole.labels, random_state=seed)
    return ImageData(
        {"train": whole.select(np.sort(train)), "test": whole.select(np.sort(test))},
        data.label_names,
        carved=f"a fixed, stratified {fraction:.0%} of the {len(whole):,} {things} (seed {seed})",
    )
