"""From videos to what a TimeSformer takes: frames are chosen, then prepared like images, all in the same way."""

from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import PILImageResampling, to_numpy_array

from .image_files import flattened
from .image_processing_vit import VisionTransformerImageProcessor, VisionTransformerImageProcessorKwargs
from .shapes import UserError
from .video_frames import MODES, Sampling, UnreadableVideo, frames_of_clip, open_video

OF_CLIPS = ("do_sample_frames", "num_frames", "sampling", "sampling_rate")


class TimeSformerVideoProcessorKwargs(VisionTransformerImageProcessorKwargs, total=False):
    """What may be said of frames, beside what is said of images."""

    do_sample_frames: bool | None
    num_frames: int | None
    sampling: Sampling | None
    sampling_rate: int | None


class TimeSformerVideoProcessor(VisionTransformerImageProcessor):
    """A video, or several -> pixel_values b t c h w: frames are chosen, covered, cut and normalized, by PIL alone.

    A video is a path or an http address (of a folder of frames, a GIF, WebP or APNG; of other files where PyAV is
    installed), a list of frames (images, or arrays h w, h w c or c h w), or an array t h w c or t c h w of bytes.

    do_sample_frames: whether to choose frames of a video that has another number of them than `num_frames`, by
        `sampling` ("uniform" or "dense") and `sampling_rate`, as `choose_frames` says; False takes what is given, and
        fills short clips up with zeros, which a mask hides.
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

    def __call__(self, videos: Any, **options: Any) -> BatchFeature:
        """As `preprocess`; `videos` is the word of transformers' own video processors."""
        return self.preprocess(videos, **options)

    def preprocess(self, videos: Any, **options: Any) -> BatchFeature:
        """-> pixel_values b t c h w; where clips are of unequal lengths also frame_mask b t, False behind their ends.

        Raises: UserError for what is no video, and for one that cannot be read.
        """
        chosen = {name: options.pop(name, None) for name in OF_CLIPS}
        how = {name: getattr(self, name) if value is None else value for name, value in chosen.items()}
        clips = [self.clip(video, **how) for video in as_videos(videos)]
        lengths = [len(clip) for clip in clips]
        tensors = options.pop("return_tensors", None)
        frames = super().preprocess([frame for clip in clips for frame in clip], return_tensors="pt", **options)
        pixels = pad_sequence(frames["pixel_values"].split(lengths), batch_first=True)  # b t c h w
        content = {"pixel_values": list(pixels.numpy())}
        if len(set(lengths)) > 1:
            seen = torch.arange(pixels.shape[1]) < torch.tensor(lengths)[:, None]
            content["frame_mask"] = list(seen.numpy())
        return BatchFeature(content, tensor_type=tensors)

    def clip(
        self, video: Any, *, do_sample_frames: bool, num_frames: int, sampling: Sampling, sampling_rate: int
    ) -> list[Any]:
        """The frames of a video that are taken."""
        path = isinstance(video, str | Path)
        frames: Any = open_video(download_video(video), str(video)) if path else video
        if not len(frames):
            raise UserError(f"A video ({type(video).__name__}) has no frames.")
        count = num_frames if do_sample_frames else len(frames)
        numbers = frames_of_clip(len(frames), count, sampling, sampling_rate)
        return [self.frame(one) for one in (frames.images(numbers) if path else [frames[number] for number in numbers])]

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
    """One video or several -> several. Raises: UserError for anything else."""
    if isinstance(given, str | Path):
        return [given]
    if isinstance(given, np.ndarray | torch.Tensor) and given.ndim in (4, 5):
        return [given] if given.ndim == 4 else list(given)
    if isinstance(given, list | tuple) and given:
        first = given[0]
        frames = isinstance(first, Image.Image) or getattr(first, "ndim", 0) in (2, 3)
        return [given] if frames else [video for one in given for video in as_videos(one)]
    shape = f" of shape {tuple(given.shape)}" if isinstance(given, np.ndarray | torch.Tensor) else ""
    raise UserError(
        f"{type(given).__name__}{shape} is no video; give a path, a list of frames, an array of frames, height, width "
        "and channels, or a list of these."
    )


TimeSformerVideoProcessor.register_for_auto_class("AutoVideoProcessor")
