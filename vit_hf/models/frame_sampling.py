"""Which frames of a video make a clip: chosen by when they are shown, not by their numbers."""

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, NamedTuple, get_args

import numpy as np

from .shapes import UserError

USUAL_RATE = 30.0  # frames a second, of which `sampling_rate` speaks, and where nothing is known of a video's own


class Timing(NamedTuple):
    """When the frames of a video are shown.

    count: how many there are. rate: of them in a second, in the mean; None where nobody says.
    starts: n, when each is shown, in units of 1 / rate seconds; None where they are even: 0, 1, 2 and so on.
    """

    count: int
    rate: float | None = None
    starts: np.ndarray | None = None

    @classmethod
    def of(cls, starts: np.ndarray, last: float, *, exact_to: float, rate: float = 0) -> "Timing":
        """starts: n, in seconds, of which the last frame lasts `last`, and all are rounded to `exact_to` seconds.

        rate: what the file says of it; taken where the times agree.
        """
        count, starts = len(starts), starts - starts[0]
        if count == 1:
            return cls(1, rate or None)
        steps = [starts[-1] / (count - 1), *([1 / rate] if rate else [])]
        for step in reversed(steps):
            if last < 1.5 * step and np.abs(starts - step * np.arange(count)).max() <= 1.01 * exact_to:
                return cls(count, 1 / step)
        mean = (starts[-1] + (last or float(np.median(np.diff(starts))))) / count
        return cls(count, 1 / mean, starts / mean)

    def shown_at(self, places: np.ndarray) -> np.ndarray:
        """The numbers of the frames that are shown at these times, in units of 1 / rate seconds."""
        if self.starts is None:
            numbers = places.astype(np.int64)
        else:
            numbers = np.searchsorted(self.starts, places, side="right") - 1
        return numbers.clip(0, self.count - 1)


Sampling = Literal["uniform", "dense"]


def uniform_frames(timing: Timing | int, frames: int, place: float) -> np.ndarray:
    """-> t: the frame at the same place (0 to 1) in each of `frames` equal parts of the time of a video.

    A video of fewer frames shows some of them several times. A number stands for that many frames of even length.
    """
    timing = Timing(timing) if isinstance(timing, int) else timing
    return timing.shown_at((np.arange(frames) + place) * timing.count / frames)


def dense_frames(timing: Timing | int, frames: int, rate: int, place: float) -> np.ndarray:
    """-> t: frames evenly over a part of frames · rate / 30 seconds, which begins where `place` (0 to 1) says.

    A video that is too short shows its last frame on. Source: facebookresearch/TimeSformer, released decoder, which
    counts in frames of which there are 30 in a second, whatever the video's own rate.
    """
    timing = Timing(timing) if isinstance(timing, int) else timing
    length = frames * rate * ((timing.rate or USUAL_RATE) / USUAL_RATE)
    start = place * max(timing.count - length, 0)
    return timing.shown_at(np.linspace(start, start + max(length - 1, 0), frames))


def choose_frames(timing: Timing | int, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> np.ndarray:
    """-> t: the numbers of the frames of a clip.

    sampling: "uniform", over the whole video, or "dense", of a part of it with a frame in `rate` of 30 a second.
    place: from 0 to 1, which of all such clips; the middle one where it is not said.

    Raises: UserError for another word, and for numbers that choose nothing.
    """
    if sampling not in get_args(Sampling):
        raise UserError(f"sampling={sampling!r} is none of {', '.join(get_args(Sampling))}.")
    if not all(isinstance(number, Integral) and number >= 1 for number in (frames, rate)):
        raise UserError(f"num_frames={frames!r} and sampling_rate={rate!r} must be whole numbers, 1 or more.")
    if sampling == "uniform":
        return uniform_frames(timing, frames, place)
    return dense_frames(timing, frames, rate, place)


def frames_of_clip(timing: Timing, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> Sequence[int]:
    """-> t: as `choose_frames`; but a video of just as many frames as a clip has is the clip."""
    if timing.count == frames:
        return range(frames)
    return choose_frames(timing, frames, sampling, rate, place).tolist()
