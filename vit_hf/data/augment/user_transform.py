"""A transform of the user's own, of whatever library: it takes and gives images of Pillow, bytes c h w, or, as
albumentations has it, `image=` as an array and a mapping with an "image" in it.

It is no part of a recipe, which is data. It changes the bytes of one image in the model's size, before what the recipe
says, and is seeded for every sample: Python's, NumPy's and torch's generators, and its own where it has one.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import UserError
from ..decode.images import as_image
from .random_numbers import uniform

STREAM = 0x7472616E73666F72  # of random numbers that nothing else draws from


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The generators of Python, NumPy and torch begin at a seed, and afterwards go on where they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002, what transforms draw from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


# A way to call a transform: (transform, h w c) -> what it gives.
AsCalled = Callable[[Callable[..., Any], np.ndarray], Any]


def with_image(transform: Callable[..., Any], pixels: np.ndarray) -> Any:
    return transform(as_image(pixels))


def with_tensor(transform: Callable[..., Any], pixels: np.ndarray) -> Any:
    return transform(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))


def with_keyword(transform: Callable[..., Any], pixels: np.ndarray) -> Any:
    given = transform(image=pixels.copy())
    return given["image"] if isinstance(given, Mapping) else given


CALLS: dict[str, AsCalled] = {
    "an image of Pillow": with_image,
    "bytes c h w": with_tensor,
    "image=array": with_keyword,
}


def bytes_of(given: Any, channels: int) -> np.ndarray:
    """-> h w c. Raises: UserError for what is no image of bytes."""
    if isinstance(given, Image.Image):
        given = np.atleast_3d(np.array(given))
    elif isinstance(given, Tensor) and given.ndim == 3:
        given = given.detach().cpu().numpy().transpose(1, 2, 0)
    elif isinstance(given, np.ndarray) and given.ndim == 2:
        given = given[..., None]
    if not isinstance(given, np.ndarray) or given.ndim != 3:
        what = f"{type(given).__name__} of shape {tuple(given.shape)}" if hasattr(given, "shape") else repr(given)
        raise UserError(f"it gives {what[:100]}, and no image of Pillow or bytes c h w")
    if given.dtype != np.uint8:
        raise UserError(
            f"it gives {given.dtype} numbers, and not bytes (uint8); leave out what scales or normalizes pixels, which "
            "follows the augmentation"
        )
    if given.shape[2] != channels:
        raise UserError(f"it gives {given.shape[2]} channels, and the model takes {channels}")
    return given


@dataclass(frozen=True)
class UserTransform:
    """transform: the user's. call: how it takes an image, found out by trying."""

    transform: Callable[..., Any]
    call: AsCalled

    @classmethod
    def of(cls, transform: Callable[..., Any], channels: int, size: tuple[int, int]) -> "UserTransform":
        """Raises: UserError for one that takes an image in no way that is known, with what came of each."""
        if not callable(transform):
            raise UserError(f"transform={transform!r} cannot be called; give a function of an image.")
        # Noise has every color; a transform may well give up on an image of one.
        trial = (uniform(STREAM, 0, np.arange(size[0]), size[1] * channels) * 256).astype(np.uint8)
        trial, failures = trial.reshape(*size, channels), []
        for name, call in CALLS.items():
            try:
                with seeded(0):
                    bytes_of(call(transform, trial), channels)
            except Exception as error:  # noqa: BLE001, whatever a user's function does with what it does not expect
                failures.append(f"  given {name}: {in_a_line(error)}")
            else:
                return cls(transform, call)
        raise UserError("The transform makes no image of an image:\n" + "\n".join(failures))

    def __call__(self, pixels: Tensor, name: str, *, seed: int, epoch: int, sample: int) -> Tensor:
        """... c h w -> ... c h w (bytes): each frame of a clip by the same random numbers.

        Raises: UserError that names the image.
        """
        own = int(uniform(seed ^ STREAM, epoch, np.array([sample]), 1)[0, 0] * 2**32)
        frames = pixels.reshape(-1, *pixels.shape[-3:])
        return torch.stack([self.one(frame, name, own) for frame in frames]).reshape(pixels.shape)

    def one(self, pixels: Tensor, name: str, seed: int) -> Tensor:
        """c h w -> c h w"""
        try:
            with seeded(seed):
                if hasattr(self.transform, "set_random_seed"):  # albumentations, which has a generator of its own
                    self.transform.set_random_seed(seed)  # pyright: ignore[reportFunctionMemberAccess]
                given = bytes_of(self.call(self.transform, pixels.permute(1, 2, 0).numpy().copy()), len(pixels))
        except Exception as error:
            raise UserError(f"{name}: the transform fails: {in_a_line(error)}") from error
        if given.shape[:2] != pixels.shape[1:]:
            raise UserError(
                f"{name}: the transform gives {given.shape[0]} x {given.shape[1]} pixels, and the model takes "
                f"{pixels.shape[1]} x {pixels.shape[2]}; let it keep the size, or resize to that at its end."
            )
        return torch.from_numpy(given.transpose(2, 0, 1).copy())


def in_a_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if isinstance(error, UserError) else f"{type(error).__name__}: {text}".splitlines()[0]
