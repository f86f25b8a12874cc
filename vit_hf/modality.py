"""What differs between images and videos: how they are found, opened, prepared, named and shown.

Code asks a modality to do these things, and never which one it is. What lies on higher floors is imported when a method
is called; what a loader calls for every image or video is looked up once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from os import DirEntry
from pathlib import Path
from typing import Any, ClassVar

from .errors import UserError
from .files import IMAGE_ENDINGS, VIDEO_ENDINGS
from .models.frame_sampling import USUAL_RATE
from .models.shapes import pair
from .models.video_frames import STILLS


class Modality(ABC):
    """Its two instances are `IMAGE` and `VIDEO`; an item is one image, or one video.

    noun, article, plural: what an item is called. endings: of its files, in lower case.
    head: the end of the name of a class that has labels for items.
    auto_processor, processor_module: the Auto class of its processors, and the module that has it without torchvision.
    processor_settings: what a recipe's data may say of preparing it. default_crop_pct: where they do not say another.
    bundled: a data set that comes with the package. example_file, example_path: a file, and one in its class folder.
    shown, mistakes_shown, frames_shown: how many items, wrongly named ones, and frames of each a picture shows.
    compared: whether parts of a split are searched for items that are nearly the same.
    published_serves: whether a processor of transformers that was published with a model serves as it is.
    media_types: what begins the Content-Type of a file of one.
    """

    noun: ClassVar[str]
    article: ClassVar[str]
    endings: ClassVar[frozenset[str]]
    head: ClassVar[str]
    auto_processor: ClassVar[str]
    processor_module: ClassVar[str]
    processor_settings: ClassVar[tuple[str, ...]] = (
        *("mean", "std", "fit", "crop_pct", "pad_color", "pixel_range", "interpolation"),
    )
    default_crop_pct: ClassVar[float | None]
    bundled: ClassVar[str]
    example_file: ClassVar[str]
    example_path: ClassVar[str]
    shown: ClassVar[int]
    mistakes_shown: ClassVar[int]
    frames_shown: ClassVar[int]
    compared: ClassVar[bool] = False
    published_serves: ClassVar[bool] = False
    media_types: ClassVar[tuple[str, ...]]

    def __reduce__(self) -> str:
        """One object in all processes: it travels by the name that it has in this module."""
        return self.noun.upper()

    def __repr__(self) -> str:
        return self.noun.upper()

    @property
    def plural(self) -> str:
        return f"{self.noun}s"

    @property
    def task(self) -> str:
        """The Hub's word for naming what is in an item."""
        return f"{self.noun}-classification"

    @property
    def auto_classifier(self) -> str:
        return f"AutoModel{self.head}"

    def counted(self, number: int) -> str:
        """1 image, 1,797 images"""
        return f"{number:,} {self.noun if number == 1 else self.plural}"

    # From a folder to pixels

    @abstractmethod
    def is_item(self, path: "Path | DirEntry[str]") -> bool:
        """Whether what lies at a path is one item, and no folder of several."""

    def are_one(self, paths: Sequence[Any]) -> bool:
        """Whether the files of items that are all there is in a folder are one item together."""
        return False

    @cached_property
    @abstractmethod
    def open(self) -> Callable[..., Any]:
        """(source, name, reading=USUAL_READING) -> a `Picture`, or `Footage`, of which no pixel is decoded yet.

        A source is a path, the bytes of a file, or what is decoded already: an image, or an array t h w c.
        Raises: UnreadableImage, now or when pixels are wanted.
        """

    def looks_whole(self, source: Any, reading: Any) -> bool:
        """Whether header and end of an item's file, or of its bytes, say that its pixels can be read; False where only
        decoding tells."""
        return False

    @cached_property
    @abstractmethod
    def open_stored(self) -> Callable[[Any], Any]:
        """As `open`, of an array (t) h w c whose pixels are prepared already."""

    @abstractmethod
    def preparation(self, processor: Any, channels: int) -> Any:
        """A `Preparation` or `ClipPreparation`: what makes bytes of the model's size of an opened item."""

    @abstractmethod
    def make_processor(self, config: Any, **how: Any) -> Any:
        """A processor of ours for the model of `config`; `how` as `make_image_processor` or `make_video_processor`."""

    def processor_for(self, config: Any, settings: Any) -> Any:
        """As `make_processor`, as the data of a recipe says."""
        how = {name: getattr(settings, name) for name in self.processor_settings}
        return self.make_processor(config, **{name.removeprefix("frame_"): value for name, value in how.items()})

    @abstractmethod
    def load_processor(self, folder: Path, config: Any, *, trust_remote_code: bool) -> Any:
        """The processor beside a model of any library, or None. Raises: OSError, ValueError for a broken one."""

    @abstractmethod
    def stock_processor(self) -> type:
        """transformers' own class whose JSON says most of what ours do."""

    @abstractmethod
    def describe_sampling(self, config: Any, settings: Any) -> list[str]:
        """What of an item is taken before it is resized, in lines for a card."""

    @abstractmethod
    def views(self, given: str | None, tta: str | None = None) -> Any:
        """The `Views` or `ImageViews` of each item whose answers are averaged, as --views (of videos) or --tta (of
        images) says them. Raises: UserError."""

    @abstractmethod
    def predictor(self, model: Any, processor: Any, views: Any, max_pixels: int | None = None) -> Any:
        """What reads files (of no more than so many pixels, if another limit than usual is to hold), and makes
        probabilities of them."""

    # What a model takes

    @abstractmethod
    def input_shape(self, config: Any) -> tuple[int, ...]:
        """-> (c, h, w) or (t, c, h, w) of one item"""

    @abstractmethod
    def sample_inputs(self, images: Any, config: Any) -> Any:
        """b c h w -> b (t) c h w: inputs to compare two models on"""

    @abstractmethod
    def describe_inputs(self, config: Any) -> str:
        """What a model takes, in the plural."""

    # What people see

    @abstractmethod
    def draw(self, item: Any) -> Any:
        """An opened item as an image of Pillow, in color."""

    @abstractmethod
    def as_images(self, pixels: Any) -> Any:
        """b (t) c h w -> b c h w: what a person sees of what a model sees"""

    @abstractmethod
    def save_example(self, preparation: Any, item: Any, stem: Path) -> Path:
        """Write an opened item in color, as a file or folder that predictions can be tried on. -> its path"""


class ImageModality(Modality):
    noun, article = "image", "an image"
    endings = IMAGE_ENDINGS
    head = "ForImageClassification"
    auto_processor, processor_module = "AutoImageProcessor", "transformers"
    default_crop_pct = None
    bundled = "digits"
    example_file, example_path = "one.jpg", "cat/1.jpg"
    shown, mistakes_shown, frames_shown = 32, 16, 1
    compared = True
    published_serves = True
    media_types = ("image/",)

    def is_item(self, path: "Path | DirEntry[str]") -> bool:
        return not path.is_dir()

    @cached_property
    def open(self) -> Callable[..., Any]:
        from .data.decode.images import open_picture

        return open_picture

    def looks_whole(self, source: Any, reading: Any) -> bool:
        from .data.decode.ends import looks_whole

        return isinstance(source, Path | bytes) and looks_whole(source, reading)

    @cached_property
    def open_stored(self) -> Callable[[Any], Any]:
        from .data.decode.images import StoredPicture

        return StoredPicture

    def preparation(self, processor: Any, channels: int) -> Any:
        from .data.decode.preparation import Preparation

        return Preparation(processor, channels)

    def make_processor(self, config: Any, **how: Any) -> Any:
        from .data.decode.processors import make_image_processor

        return make_image_processor(config, **how)

    def load_processor(self, folder: Path, config: Any, *, trust_remote_code: bool) -> Any:
        from .data.decode.processors import own_processor

        # Ours needs no code from beside the weights, and any other none of torchvision under this name.
        if (own := own_processor(folder)) is not None:
            return own
        from transformers.models.auto.image_processing_auto import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)

    def stock_processor(self) -> type:
        from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

        return BitImageProcessorPil

    def describe_sampling(self, config: Any, settings: Any) -> list[str]:
        return []

    def views(self, given: str | None, tta: str | None = None) -> Any:
        from .data.batches.views import ImageViews

        if given is not None:
            raise UserError("--views are of videos, and the model takes images; take --tta.")
        return ImageViews() if tta is None else ImageViews.parse(tta)

    def predictor(self, model: Any, processor: Any, views: Any, max_pixels: int | None = None) -> Any:
        from .runs.predict import ImagePredictor, ViewsPredictor

        if views.count == 1:
            return ImagePredictor(model, processor, max_pixels)
        return ViewsPredictor(self, model, processor, views, max_pixels)

    def input_shape(self, config: Any) -> tuple[int, ...]:
        return (config.num_channels, *pair(config.image_size))

    def sample_inputs(self, images: Any, config: Any) -> Any:
        return images

    def describe_inputs(self, config: Any) -> str:
        return self.plural

    def draw(self, item: Any) -> Any:
        from PIL import Image

        return Image.fromarray(item.pixels(3))

    def as_images(self, pixels: Any) -> Any:
        return pixels

    def save_example(self, preparation: Any, item: Any, stem: Path) -> Path:
        path = stem.with_name(f"{stem.name}.png")
        self.draw(item).save(path)
        return path


class VideoModality(Modality):
    noun, article = "video", "a video"
    endings = IMAGE_ENDINGS | VIDEO_ENDINGS
    head = "ForVideoClassification"
    auto_processor, processor_module = "AutoVideoProcessor", "transformers.models.auto.video_processing_auto"
    processor_settings = (*Modality.processor_settings, "frame_sampling", "sampling_rate", "frames")
    default_crop_pct = 1.0
    bundled = "moving_digits"
    example_file, example_path = "one.mp4", "wave/1.mp4"
    shown, mistakes_shown, frames_shown = 12, 12, 4
    media_types = ("video/", "image/")  # animations among the latter

    def is_item(self, path: "Path | DirEntry[str]") -> bool:
        """A folder of images alone is one video, of a frame in each."""
        from .data.sources.folders import holds_items_of_one

        return not path.is_dir() or holds_items_of_one(path, self)

    def are_one(self, paths: Sequence[Any]) -> bool:
        return all(path.lower().endswith(STILLS) for path in paths)

    @cached_property
    def open(self) -> Callable[..., Any]:
        from .data.decode.videos import open_footage

        return open_footage

    @cached_property
    def open_stored(self) -> Callable[[Any], Any]:
        from .data.decode.videos import StoredFootage

        return StoredFootage

    def preparation(self, processor: Any, channels: int) -> Any:
        from .data.decode.preparation import ClipPreparation

        return ClipPreparation(processor, channels)

    def make_processor(self, config: Any, **how: Any) -> Any:
        from .data.decode.processors import make_video_processor

        return make_video_processor(config, **how)

    def load_processor(self, folder: Path, config: Any, *, trust_remote_code: bool) -> Any:
        """Ours, whatever the library: transformers' own processors of videos need torchvision."""
        from .conversion.core.preprocessing import processor_from_json

        return processor_from_json(folder, config)

    def stock_processor(self) -> type:
        """VideoMAE's of images, from which transformers concludes on that of videos, where torchvision is."""
        from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

        return VideoMAEImageProcessorPil

    def describe_sampling(self, config: Any, settings: Any) -> list[str]:
        frames = config.num_frames
        if settings.frame_sampling == "uniform":
            return [f"{frames} frames, evenly over the whole video"]
        seconds = frames * settings.sampling_rate / USUAL_RATE
        return [f"{frames} frames, evenly over {seconds:.3g} seconds of the video"]

    def views(self, given: str | None, tta: str | None = None) -> Any:
        from .data.batches.dataset import Views

        if tta is not None:
            raise UserError("--tta is of images, and the model takes videos; take --views, such as --views 1x3.")
        return Views() if given is None else Views.parse(given)

    def predictor(self, model: Any, processor: Any, views: Any, max_pixels: int | None = None) -> Any:
        from .runs.predict import ViewsPredictor

        return ViewsPredictor(self, model, processor, views, max_pixels)

    def input_shape(self, config: Any) -> tuple[int, ...]:
        return (config.num_frames, config.num_channels, *pair(config.image_size))

    def sample_inputs(self, images: Any, config: Any) -> Any:
        """Clips of images that fade."""
        import torch

        return images[:, None] * torch.linspace(1, 0.5, config.num_frames)[:, None, None, None]

    def describe_inputs(self, config: Any) -> str:
        return f"clips of {config.num_frames} frames"

    def draw(self, item: Any) -> Any:
        """Some frames of the video side by side."""
        from .data.decode.videos import some_frames
        from .plots.galleries import film_strip

        return film_strip(some_frames(item, self.frames_shown))

    def as_images(self, pixels: Any) -> Any:
        """Some frames of each clip side by side."""
        from .models.frame_sampling import uniform_frames
        from .plots.galleries import film_strips

        return film_strips(pixels[:, uniform_frames(pixels.shape[1], self.frames_shown, 0.5)])

    def save_example(self, preparation: Any, item: Any, stem: Path) -> Path:
        """The frames that the model sees, one by one: animations would drop one that shows what the one before did."""
        from .data.decode.videos import write_frames

        return write_frames(preparation.frames_at(item), stem, preparation.processor.frames)


IMAGE, VIDEO = ImageModality(), VideoModality()
MODALITIES: Sequence[Modality] = (IMAGE, VIDEO)


def modality_of(config: Any) -> Modality:
    """That of a configuration of whatever library: as its family says; or as the classes say that it was saved with;
    or else as transformers has classifiers for its model_type."""
    from .families import find_family

    model_type = getattr(config, "model_type", "")
    if (family := find_family(model_type)) is not None:
        return family.modality
    saved = [*(getattr(config, "architectures", None) or []), *(getattr(config, "auto_map", None) or {})]
    for modality in MODALITIES:
        if any(modality.head in name for name in saved):
            return modality
    from transformers.models.auto.modeling_auto import MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES

    return VIDEO if model_type in MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES else IMAGE


def modality_of_processor(processor: Any) -> Modality:
    """That of a processor of ours, by the Auto class that finds it."""
    return next(modality for modality in MODALITIES if modality.auto_processor == processor._auto_class)
