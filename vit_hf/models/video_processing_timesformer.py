"""From videos to what a TimeSformer takes: frames are chosen, then prepared like images, all in the same way."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import PILImageResampling, to_numpy_array
from transformers.video_utils import VideoMetadata

from .frame_sampling import Sampling, Timing, frames_of_clip
from .image_files import flattened
from .image_processing_vit import VisionTransformerImageProcessor, VisionTransformerImageProcessorKwargs
from .shapes import UserError
from .video_frames import MODES, UnreadableVideo, open_video

HELD_AT_ONCE = 32 * 1024**2  # bytes of frames as they were filmed that are held before they are prepared
OF_CLIPS = ("do_sample_frames", "num_frames", "sampling", "sampling_rate")


class TimeSformerVideoProcessorKwargs(VisionTransformerImageProcessorKwargs, total=False):
    """What may be said of frames, beside what is said of images."""

    do_sample_frames: bool | None
    num_frames: int | None
    sampling: Sampling | None
    sampling_rate: int | None
    frames: str | None


class OpenVideo(NamedTuple):
    """A video of which no frame is taken yet. images: numbers -> the frames that have them, or what is made of each."""

    timing: Timing
    images: Callable[[Sequence[int], Callable[[Any], Any]], list[Any]]


class TimeSformerVideoProcessor(VisionTransformerImageProcessor):
    """A video, or several -> pixel_values b t c h w: frames are chosen, covered, cut and normalized, by PIL alone.

    A video is a path or an http address (of a folder of frames, a GIF, WebP or APNG; of other files where PyAV is
    installed), the bytes of a file or an open one, a list of frames (images, or arrays h w, h w c or c h w), or an
    array t h w c or t c h w of bytes.

    do_sample_frames: whether to choose frames of a video that has another number of them than `num_frames`, by
        `sampling` ("uniform" or "dense") and `sampling_rate`, as `choose_frames` says; False takes what is given, and
        fills short clips up with zeros, which a mask hides.
    frames: which files of a folder are frames (img_*.jpg), where not all images are.
    size, crop_size: as for images. The mean and spread are those of facebookresearch's released models.
    """

    valid_kwargs = TimeSformerVideoProcessorKwargs
    model_input_names = ["pixel_values", "frame_mask"]
    resample = PILImageResampling.BILINEAR
    size = {"shortest_edge": 224}
    default_to_square = False  # a size that is one number is that of the shorter edge
    crop_size = {"height": 224, "width": 224}
    image_mean = [0.45, 0.45, 0.45]
    image_std = [0.225, 0.225, 0.225]
    do_convert_rgb = True
    do_sample_frames = True
    num_frames = 8
    sampling = "uniform"
    sampling_rate = 32
    frames = None

    def __call__(self, videos: Any, **options: Any) -> BatchFeature:
        """As `preprocess`; `videos` is the word of transformers' own video processors."""
        return self.preprocess(videos, **options)

    def preprocess(
        self,
        videos: Any,
        *,
        fps: float | None = None,
        video_metadata: Any = None,
        return_metadata: bool = False,
        **options: Any,
    ) -> BatchFeature:
        """-> pixel_values b t c h w; where clips are of unequal lengths also frame_mask b t, False behind their ends.

        fps: take so many frames of each second, uniformly, and not num_frames. video_metadata: of videos that are
        frames, a dict with their "fps", or one for each video. return_metadata: also video_metadata, what is known of
        each video and which frames were taken. All three as transformers' own video processors have them.

        Raises: UserError for what is no video, and for one that cannot be read.
        """
        if fps is not None and options.get("num_frames") is not None:
            raise UserError(f"fps={fps} and num_frames={options['num_frames']}: give one of them.")
        chosen = {name: options.pop(name, None) for name in OF_CLIPS}
        how = {name: getattr(self, name) if value is None else value for name, value in chosen.items()}
        given, pattern = as_videos(videos), options.pop("frames", None) or self.frames
        said = for_each_video(video_metadata, len(given))
        tensors = options.pop("return_tensors", None)
        prepare = super().preprocess
        prepared = InParts(lambda frames: prepare(frames, **options)["pixel_values"])
        clips, known = list[list[int]](), []
        for video, metadata in zip(given, said, strict=True):
            opened = open_any_video(video, metadata, pattern)
            numbers, alike = chosen_frames(opened.timing, fps=fps, **how), OfOneSize()
            clips.append(opened.images(numbers, lambda image, alike=alike: prepared.add(alike(self.frame(image)))))
            known.append(metadata_of(opened.timing, numbers, alike.sides))
        frames = prepared.all()
        lengths = [len(clip) for clip in clips]
        pixels = pad_sequence([frames[clip] for clip in clips], batch_first=True)  # b t c h w
        content = {"pixel_values": list(pixels.numpy())}
        if len(set(lengths)) > 1:
            seen = torch.arange(pixels.shape[1]) < torch.tensor(lengths)[:, None]
            content["frame_mask"] = list(seen.numpy())
        batch = BatchFeature(content, tensor_type=tensors)
        if return_metadata:
            batch["video_metadata"] = known
        return batch

    def frame(self, given: Any) -> Any:
        """An image in the model's colors, or an array of three dimensions; grays fill all channels of a model."""
        channels = 0 if isinstance(self.image_mean, float | int) else len(self.image_mean)
        if isinstance(given, Image.Image):
            mode, given = MODES.get(channels), flattened(given, self.pixel_range)
            return given if given.mode == mode else given.convert(mode)
        given = given[None] if given.ndim == 2 else given
        axis = 0 if given.shape[0] == 1 else -1
        return np.repeat(to_numpy_array(given), channels, axis) if channels > given.shape[axis] == 1 else given

    def to_dict(self) -> dict[str, Any]:
        """As for an image processor, but for the name of the kind."""
        content = super().to_dict()
        content["video_processor_type"] = content.pop("image_processor_type")
        return content


def open_any_video(video: Any, metadata: Mapping[str, Any], pattern: str | None) -> OpenVideo:
    """A path, an address, the bytes of a file, or frames, of which `metadata` may say how many are in a second."""
    if isinstance(video, str | Path):
        opened = open_video(download_video(video), str(video), pattern)
        return OpenVideo(opened.timing, opened.images)
    if isinstance(video, bytes):
        opened = open_video(video)
        return OpenVideo(opened.timing, opened.images)
    if not len(video):
        raise UserError(f"A video ({type(video).__name__}) has no frames.")
    rate, places = metadata.get("fps"), metadata.get("frames_indices")
    timing = Timing(len(video), rate)
    if rate and places is not None and len(places) == len(video) > 1:  # frames that somebody has chosen before
        timing = Timing.of(np.asarray(places) / rate, 1 / rate, exact_to=1e-6, rate=rate)
    return OpenVideo(timing, lambda numbers, made: [made(video[number]) for number in numbers])


def chosen_frames(
    timing: Timing,
    *,
    do_sample_frames: bool,
    num_frames: int,
    sampling: Sampling,
    sampling_rate: int,
    fps: float | None,
) -> list[int]:
    """The numbers of the frames that are taken of a video."""
    if not do_sample_frames:
        return [*range(timing.count)]
    if fps is None:
        return [*frames_of_clip(timing, num_frames, sampling, sampling_rate)]
    if not timing.rate:
        raise UserError(
            f"fps={fps} takes frames by their times, and nothing says how many of these are in a second; give "
            'video_metadata={"fps": 25}, or what their number is.'
        )
    return [*frames_of_clip(timing, max(1, int(timing.count / timing.rate * fps)), "uniform", 1)]


def metadata_of(timing: Timing, numbers: Sequence[int], sides: tuple[int, int]) -> VideoMetadata:
    """What transformers tells of a video of frames of this height and width, of which some were taken."""
    seconds = timing.count / timing.rate if timing.rate else None
    return VideoMetadata(timing.count, timing.rate, sides[1], sides[0], seconds, None, [*map(int, numbers)])


class OfOneSize:
    """The frames of one video, all as large as the first."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None

    def __call__(self, frame: Any) -> Any:
        """Raises: UserError for arrays of other shapes."""
        shape = frame.size if isinstance(frame, Image.Image) else tuple(frame.shape)
        self.shape = self.shape or shape
        if shape == self.shape:
            return frame
        if not isinstance(frame, Image.Image) or len(self.shape) != 2:
            raise UserError(
                f"Frames of one video are of different shapes, {self.shape} and {shape}; give images, or resize them."
            )
        return frame.resize(self.shape)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width: of images, and of arrays h w c or c h w."""
        assert self.shape is not None
        if len(self.shape) == 2:
            return self.shape[1], self.shape[0]
        height, width = self.shape[-2:] if self.shape[0] in MODES else self.shape[:2]
        return height, width


class InParts:
    """Frames that are prepared together, but where they are large before all are held."""

    def __init__(self, prepare: Callable[[list[Any]], Sequence[Any]]):
        self.prepare = prepare
        self.waiting, self.bytes_waiting = list[Any](), 0
        self.done = list[Any]()

    def add(self, frame: Any) -> int:
        """-> its place among `all`"""
        self.waiting.append(frame)
        pixels = frame.width * frame.height * len(frame.getbands()) if isinstance(frame, Image.Image) else frame.nbytes
        self.bytes_waiting += pixels
        place = len(self.done) + len(self.waiting) - 1
        if self.bytes_waiting > HELD_AT_ONCE:
            self.flush()
        return place

    def flush(self) -> None:
        self.done += self.prepare(self.waiting)
        self.waiting, self.bytes_waiting = [], 0

    def all(self) -> torch.Tensor:
        """-> n c h w"""
        if self.waiting:
            self.flush()
        return BatchFeature({"pixel_values": self.done}, tensor_type="pt")["pixel_values"]


def for_each_video(given: Any, count: int) -> list[Mapping[str, Any]]:
    """What is said of one video or of several, for each of `count`."""
    if given is None:
        return [{}] * count
    said = [given] if isinstance(given, Mapping) else [*given]
    if len(said) != count:
        raise UserError(f"video_metadata tells of {len(said)} videos, and there are {count}.")
    return [one or {} for one in said]


def download_video(video: str | Path) -> Path | bytes:
    """A path, or what lies at an address of the web. Raises: UnreadableVideo where nothing comes from there."""
    if not str(video).startswith(("http://", "https://")):
        return Path(video)
    try:
        with urlopen(str(video), timeout=60) as answer:
            return answer.read()
    except OSError as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds on to the connection
        raise UnreadableVideo(f"{video}: {error}") from error


def as_videos(given: Any) -> list[Any]:
    """One video or several -> several, files that are open as their bytes. Raises: UserError for anything else."""
    if isinstance(given, str | Path | bytes):
        return [given]
    if isinstance(given, bytearray | memoryview):
        return [bytes(given)]
    if hasattr(given, "read") and not isinstance(given, Image.Image):
        given.seek(0)
        return [given.read()]
    if isinstance(given, np.ndarray | torch.Tensor) and given.ndim in (4, 5):
        return [given] if given.ndim == 4 else list(given)
    if isinstance(given, list | tuple) and given:
        first = given[0]
        frames = isinstance(first, Image.Image) or getattr(first, "ndim", 0) in (2, 3)
        return [given] if frames else [video for one in given for video in as_videos(one)]
    shape = f" of shape {tuple(given.shape)}" if isinstance(given, np.ndarray | torch.Tensor) else ""
    raise UserError(
        f"{type(given).__name__}{shape} is no video; give a path, the bytes of a file, a list of frames, an array of "
        "frames, height, width and channels, or a list of these."
    )


TimeSformerVideoProcessor.register_for_auto_class("AutoVideoProcessor")
