"""How large a model, and how long a training, suit images and a machine: by arithmetic alone, so that runs repeat.

A recipe that says `model: {size: auto}` gets its sizes, epochs, batch and learning rate here; whatever else it says
stands.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ..data.decode.images import UnreadableImage
from ..data.sources.tables import ImageData, ImageTable
from ..errors import UserError
from ..training.recipe.recipe import Recipe

HEADERS_READ = 64  # headers of images, for the median of their sizes

# What one core of a present-day server does with these small models: operations a second, and seconds for each image
# to be cropped, moved and handed over.
OPERATIONS_A_SECOND, SECONDS_AN_IMAGE = 8e10, 3e-4
SECONDS = 480  # of one core: nine minutes with what is read, evaluated and reported
FEWEST_EPOCHS, MOST_EPOCHS = 5, 300


@dataclass(frozen=True)
class Sizes:
    """model: fields of the configuration. training: arguments. why: a sentence for the user."""

    model: dict[str, Any]
    training: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Width:
    """Of a whole transformer: its tokens' width, its layers, their heads, and the width within its feed-forwards."""

    width: int
    layers: int
    heads: int
    inner: int

    def fields(self, side: int, patch: int) -> dict[str, Any]:
        return {
            "image_size": side,
            "patch_size": patch,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
        }

    def operations(self, side: int, patch: int) -> int:
        """Of one image forward and backward: six for each weight and token, and for each pair that attends."""
        tokens = (side // patch) ** 2
        layer = tokens * (4 * self.width**2 + 2 * self.width * self.inner) + 2 * tokens**2 * self.width
        return 6 * (self.layers * layer + tokens * 3 * patch**2 * self.width)


SMALLEST = Width(64, 4, 4, 128)
SMALL = Width(96, 6, 3, 192)
SMALLEST_STANDARD = Width(192, 12, 3, 768)  # Ti of DeiT (arXiv:2012.12877), and its S
STANDARD = Width(384, 12, 6, 1536)


def side_and_patch(shortest: int, *, grid: int, largest: int) -> tuple[int, int]:
    """Pixels of the shorter side of an image -> of the model's image, no larger, and of a patch: of about `grid` x
    `grid` patches of 2 to `largest` pixels."""
    patch = min(max(-(-shortest // grid), 2), largest)
    return patch * max(1, min(grid, shortest // patch)), patch


def between(value: float, least: int, most: int) -> int:
    return int(min(max(value, least), most))


def choose_size(
    images: int, median_height: int, median_width: int, device_type: str, *, side: int | None = None
) -> Sizes:
    """For so many training images of this size in pixels; `side` is the model's image where it is given.

    Raises: UserError for a side that no patch of a sensible size divides.
    """
    shortest = side or min(median_height, median_width)
    on_cpu = device_type == "cpu"
    chosen = on_a_cpu(images, shortest) if on_cpu else on_a_gpu(images, shortest, bf16=device_type == "cuda")
    pixels = chosen.model["image_size"]
    if side is not None and pixels != side:
        raise UserError(
            f"model.size: auto finds no patch for images of {side} pixels; {pixels} would do, or say "
            "model.patch_size and the other sizes yourself."
        )
    return chosen


def on_a_cpu(images: int, shortest: int) -> Sizes:
    """About nine minutes of one core in all, as long as that is no less than a few epochs."""
    pixels, patch = side_and_patch(shortest, grid=8, largest=8)
    shape = SMALL if pixels >= 16 else SMALLEST
    seconds = shape.operations(pixels, patch) / OPERATIONS_A_SECOND + SECONDS_AN_IMAGE
    epochs = between(SECONDS / (seconds * images), FEWEST_EPOCHS, MOST_EPOCHS)
    minutes = epochs * images * seconds / 60
    return sizes(images, shape, pixels, patch, epochs, 64, 2e-3, f"on a CPU, about {minutes:.0f} minutes of one core")


def on_a_gpu(images: int, shortest: int, *, bf16: bool) -> Sizes:
    """Standard sizes, larger where there are more images to learn from."""
    if images < 10_000:
        shape, (pixels, patch) = SMALLEST_STANDARD, side_and_patch(shortest, grid=16, largest=8)
    elif images < 200_000:
        shape, (pixels, patch) = STANDARD, side_and_patch(shortest, grid=12, largest=16)
    else:
        shape, (pixels, patch) = STANDARD, side_and_patch(shortest, grid=14, largest=16)
    epochs = between(3_000_000 / images, 30, MOST_EPOCHS)
    chosen = sizes(images, shape, pixels, patch, epochs, 128, 1e-3 if shape is SMALLEST_STANDARD else 5e-4, "on a GPU")
    return Sizes(chosen.model, {**chosen.training, **({"bf16": True} if bf16 else {})}, chosen.why)


def sizes(
    images: int, shape: Width, pixels: int, patch: int, epochs: int, batch: int, rate: float, where: str
) -> Sizes:
    """A batch is an eighth of the images at most, so that an epoch has some steps."""
    batch = min(batch, max(2, images // 8))
    training = {"num_train_epochs": epochs, "per_device_train_batch_size": batch, "learning_rate": rate}
    why = (
        f"Size: for {images:,} training images {where}: {shape.layers} layers of width {shape.width}, images of "
        f"{pixels} x {pixels} pixels in patches of {patch}, {epochs} epochs"
    )
    return Sizes(shape.fields(pixels, patch), training, why)


def median_size(table: ImageTable) -> tuple[int, int]:
    """(height, width) in pixels, of some images evenly over the table; of those that can be read."""
    found = []
    for index in np.linspace(0, len(table) - 1, min(HEADERS_READ, len(table)), dtype=int):
        try:
            found.append(table.open(int(index)).size)
        except UnreadableImage:
            continue
    if not found:
        raise UserError("model.size: auto looks at the images, and none that it looked at can be read.")
    heights, widths = zip(*found, strict=True)
    return int(median(heights)), int(median(widths))


def with_size(recipe: Recipe, data: ImageData, device_type: str) -> tuple[Recipe, str]:
    """-> the recipe with everything that `size: auto` leaves open, and the sentence that says so.

    Raises: UserError for a stream, of which nobody knows how many images it has.
    """
    if data.stream is not None:
        raise UserError(
            "model.size: auto counts the training images, and nobody knows how many a stream has; name a size."
        )
    content, table = recipe.content(), data.split("train")
    given = {name: value for name, value in content["model"].items() if name != "size"}
    side = given.get("image_size") if "patch_size" not in given else None
    side = side if isinstance(side, int) and side > 0 else None  # what else it says the configuration looks at
    chosen = choose_size(len(table), *median_size(table), device_type, side=side)
    content["model"] = {**chosen.model, **given}
    content["training"] = {**chosen.training, **content["training"]}
    return Recipe(**content), chosen.why
