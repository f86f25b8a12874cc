"""Which frames of a video make a clip, in the order of time."""

from numbers import Integral
from typing import Literal, get_args

import numpy as np

Sampling = Literal["uniform", "dense"]


def uniform_frames(count: int, frames: int, place: float) -> np.ndarray:
    """-> t: a frame of each of `frames` equal parts of a video of `count`, at the same place (0 to 1) in its part.

    A video of fewer frames shows some of them several times.
    """
    return np.minimum(((np.arange(frames) + place) * count / frames).astype(np.int64), count - 1)


def dense_frames(count: int, frames: int, rate: int, place: float) -> np.ndarray:
    """-> t: frames evenly over a part of frames · rate frames, which begins where `place` (0 to 1) says.

    A video that is too short shows its last frame on. Source: facebookresearch/TimeSformer, released code.
    """
    last = frames * rate - 1
    start = place * max(count - 1 - last, 0)
    return np.minimum(np.linspace(start, start + last, frames).astype(np.int64), count - 1)


def frames_of_clip(count: int, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> list[int]:
    """-> t: as `choose_frames`; but a video of just as many frames as a clip has is the clip."""
    return list(range(count)) if count == frames else choose_frames(count, frames, sampling, rate, place).tolist()


def choose_frames(count: int, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> np.ndarray:
    """-> t: the numbers of the frames of a clip, of a video of `count` frames.

    sampling: "uniform", over the whole video, or "dense", of a part of it with a frame in `rate`. place: from 0 to 1,
    which of all such clips; the middle one where it is not said.

    Raises: ValueError for another word, and for numbers that choose nothing.
    """
    if sampling not in get_args(Sampling):
        raise ValueError(f"sampling={sampling!r} is none of {', '.join(get_args(Sampling))}.")
    if not all(isinstance(number, Integral) and number >= 1 for number in (frames, rate)):
        raise ValueError(f"num_frames={frames!r} and sampling_rate={rate!r} must be whole numbers, 1 or more.")
    if sampling == "uniform":
        return uniform_frames(count, frames, place)
    return dense_frames(count, frames, rate, place)
