"""A video of which no frame is decoded yet: what pictures are to images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ...models.video_frames import FrameFolder, UnreadableVideo, Video, open_video, uniform_frames
from .files import USUAL_READING, Reading, UnreadableImage
from .images import OpenPicture, Picture, StoredPicture, open_picture


class Footage(Protocol):
    """Frames that are numbered from 0."""

    def __len__(self) -> int: ...

    def pictures(self, numbers: Sequence[int]) -> list[Picture]:
        """The frames of these numbers, in any order and as often as they are asked for."""
        ...


@dataclass(frozen=True)
class FolderFootage:
    """A folder of images, which are decoded as images are."""

    files: Sequence[Path]
    reading: Reading = USUAL_READING

    def __len__(self) -> int:
        return len(self.files)

    def pictures(self, numbers: Sequence[int]) -> list[Picture]:
        opened = {
            number: open_picture(self.files[number], str(self.files[number]), self.reading) for number in set(numbers)
        }
        return [opened[number] for number in numbers]


@dataclass(frozen=True)
class FileFootage:
    """A file that Pillow or PyAV decodes."""

    video: Video

    def __len__(self) -> int:
        return len(self.video)

    def pictures(self, numbers: Sequence[int]) -> list[Picture]:
        try:
            return [OpenPicture(image) for image in self.video.images(numbers)]
        except UnreadableVideo as error:
            raise UnreadableImage(str(error)) from error


@dataclass(frozen=True)
class ArrayFootage:
    """Grays or colors in memory."""

    frames: np.ndarray  # t h w c, bytes, of 1 or 3 channels

    def __len__(self) -> int:
        return len(self.frames)

    def pictures(self, numbers: Sequence[int]) -> list[Picture]:
        frames = self.frames[..., 0] if self.frames.shape[-1] == 1 else self.frames
        return [OpenPicture(Image.fromarray(frames[number])) for number in numbers]


@dataclass(frozen=True)
class StoredFootage:
    """Frames that are prepared already."""

    stored: np.ndarray  # t h w c, bytes

    def __len__(self) -> int:
        return len(self.stored)

    def pictures(self, numbers: Sequence[int]) -> list[Picture]:
        return [StoredPicture(self.stored[number]) for number in numbers]


def some_frames(footage: Footage, count: int) -> list[Image.Image]:
    """In color, evenly over the video, for people to look at."""
    numbers = uniform_frames(len(footage), count, 0.5).tolist()
    return [Image.fromarray(picture.pixels(3)) for picture in footage.pictures(numbers)]


def open_footage(source: Path | bytes | np.ndarray, name: str, reading: Reading = USUAL_READING) -> Footage:
    """A folder of frames, a file, the bytes of one, or an array t h w c.

    Raises: UnreadableImage. Files may turn out to be broken only when their frames are wanted.
    """
    if isinstance(source, np.ndarray):
        return ArrayFootage(source)
    try:
        video = open_video(source, name)
    except UnreadableVideo as error:
        raise UnreadableImage(str(error)) from error
    return FolderFootage(video.files, reading) if isinstance(video, FrameFolder) else FileFootage(video)
