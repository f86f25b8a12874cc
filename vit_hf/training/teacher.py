"""A finished classifier as a teacher: it sees the student's batches in its own scale, and names its own labels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.clips import ClipPreparation, preparation_for
from ..data.preparation import Preparation


def label_order(theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
    """The teacher's number for each of the student's labels.

    Raises: ValueError unless the teacher knows them all.
    """
    unknown = [name for name in ours if name not in theirs]
    if unknown:
        raise ValueError(
            f"The teacher does not know the labels {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''}; it knows {', '.join(map(repr, theirs[:10]))}"
            f"{' and others' if len(theirs) > 10 else ''}. Take a teacher of these classes."
        )
    return [list(theirs).index(name) for name in ours]


class TeacherLogits:
    """b ... c h w, as the student sees them -> b labels, in the student's order."""

    def __init__(self, model: Any, processor: Any, student: Preparation | ClipPreparation, labels: Sequence[str]):
        self.model: nn.Module = model.eval().requires_grad_(False)
        self.order = torch.tensor(
            label_order([model.config.id2label[i] for i in range(model.config.num_labels)], labels)
        )
        channels = getattr(model.config, "num_channels", 3)
        if channels != student.channels:
            raise ValueError(f"The teacher takes images of {channels} channels, the student of {student.channels}.")
        theirs = preparation_for(processor, channels)
        if type(theirs) is not type(student):
            raise ValueError("One of student and teacher takes images, and the other videos; take two of a kind.")
        # Back to pixels from 0 to 1, and from there to the teacher's scale: one factor and one shift.
        self.factor = student.std / theirs.std
        self.shift = (student.mean - theirs.mean) / theirs.std
        side = getattr(model.config, "image_size", None)
        self.size = (side, side) if isinstance(side, int) else side and tuple(side)

    @torch.no_grad()
    def __call__(self, pixel_values: Tensor) -> Tensor:
        device = pixel_values.device
        self.model.to(device)
        pixels = pixel_values * self.factor.to(device) + self.shift.to(device)
        if self.size and pixels.shape[-2:] != self.size:
            images = pixels.flatten(0, -4)  # those of all clips
            images = functional.interpolate(images, self.size, mode="bilinear", antialias=True, align_corners=False)
            pixels = images.unflatten(0, pixels.shape[:-3])
        return self.model(pixel_values=pixels).logits[:, self.order.to(device)]
