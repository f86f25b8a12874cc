"""A split of images made ready: kept in memory or on disk where that is wanted, and otherwise checked."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..augment.plan import AugmentationPlan
from ..augment.user_transform import UserTransform
from ..decode.files import Reading, UnreadableImage
from ..decode.preparation import ClipPreparation, Preparation
from ..settings import DataSettings
from ..sources.tables import ImageTable
from .cache import PixelStore, StoredSplit, cache_folder, open_or_build
from .checks import check_split
from .dataset import MEMORY, ImageBatches

TRIED = 16  # images from which the size of all is estimated
LARGEST_KEPT = 64 * 1024**2  # bytes of an item that is kept unasked: of a film, a random crop needs one frame at a time
WORTH_A_CACHE = 60.0  # seconds of reading
FILES_NAMED = 10  # bad files that a message names; the others are counted


@dataclass(frozen=True)
class Reader:
    """What is kept of a picture: bytes of the model's size, or all of it where random parts will be cut out. Of a video
    no more than the clip in its middle."""

    preparation: Preparation | ClipPreparation
    whole: bool

    def __call__(self, picture: Any) -> np.ndarray:
        return self.preparation.whole(picture) if self.whole else self.preparation.pixels(picture).numpy()

    def transform(self) -> dict[str, Any]:
        """Everything that the bytes depend on, besides the picture."""
        processor = self.preparation.processor.to_dict()
        arithmetic = ("image_mean", "image_std", "do_normalize", "rescale_factor", "do_rescale")
        sizing = {name: value for name, value in processor.items() if name not in arithmetic}
        return {"whole": self.whole, "channels": self.preparation.channels, "sizing": sizing}

    def expected_bytes(self, table: ImageTable) -> tuple[int, int]:
        """Of one item, and of a whole split. Where images keep their own sizes, as if all were as large as the largest
        of some."""
        if not self.whole:
            return self.preparation.bytes_per_image, self.preparation.bytes_per_image * len(table)
        largest = 0
        for index in np.unique(np.linspace(0, len(table) - 1, TRIED, dtype=int)):
            try:
                largest = max(largest, self.preparation.whole_bytes(table.open(int(index))))
            except UnreadableImage:
                continue
        return largest, largest * len(table)

    def fits_into_memory(self, table: ImageTable) -> bool:
        """Whether a split is kept where nobody says so."""
        one, every = self.expected_bytes(table)
        return every <= MEMORY and one <= LARGEST_KEPT


def read_split(table: ImageTable, read: Reader, *, split: str) -> StoredSplit:
    """Every image once, and its bytes."""
    images, rows, unreadable, start = [], [], [], time.monotonic()
    for row, (pixels, line) in enumerate(table.read_each(read, f"Reading {split} {table.modality.plural}")):
        if line is not None:
            unreadable.append(line)
            continue
        rows.append(row)
        images.append(pixels)
    if (seconds := time.monotonic() - start) > WORTH_A_CACHE:
        print(
            f"Reading the {split} split took {seconds:.0f} s; with --data.cache true its prepared pixels are kept on "
            "disk, and the next start begins with them.",
            flush=True,
        )
    return StoredSplit(PixelStore.of(images) if images else None, np.array(rows, dtype=np.int64), unreadable)


def describe_unreadable(lines: list[str], total: int, plural: str = "images") -> str:
    """How many images or videos cannot be read, and the first of them by name."""
    named = "".join(f"\n  {line}" for line in lines[:FILES_NAMED])
    more = f"\n  and {len(lines) - FILES_NAMED} more" if len(lines) > FILES_NAMED else ""
    return f"{len(lines)} of {total} {plural} cannot be read:{named}{more}"


def keep_readable(table: ImageTable, kept: np.ndarray, lines: list[str], on_error: str) -> ImageTable:
    """The images that could be read (their rows are `kept`): all of them, or the rest where `on_error` is skip."""
    if not lines:
        return table
    message = describe_unreadable(lines, len(table), table.modality.plural)
    if on_error == "fail":
        raise UnreadableImage(f"{message}\nRepair or remove them, or leave them out with --data.on_error skip.")
    print(f"{message}\nThey are left out.", flush=True)
    if not len(kept):
        raise UnreadableImage("Not one image can be read.")
    return table.select(kept)


def reading_of(settings: DataSettings, preparation: Preparation | ClipPreparation) -> Reading:
    """How files are read: with the limits of the recipe, and with the range of what travels beside the model."""
    return Reading(settings.check_finite, preparation.pixel_range, settings.max_pixels, settings.frames)


def load_batches(
    table: ImageTable,
    preparation: Preparation | ClipPreparation,
    settings: DataSettings,
    *,
    split: str,
    plan: AugmentationPlan | None = None,
    classes: int = 0,
    seed: int = 0,
    transform: Callable[..., Any] | None = None,
) -> ImageBatches:
    """Keep the prepared pixels of a split where memory or a cache holds them; else see that every image can be read.

    transform: the user's own, of one image in bytes, before what the plan says (see user_transform.py).
    """
    plan = plan or AugmentationPlan()
    if transform is not None:
        plan = replace(plan, transform=UserTransform.of(transform, preparation.channels, preparation.size))
    table = replace(table, reading=reading_of(settings, preparation))
    read = Reader(preparation, whole=plan.chooses)
    keep, cache = settings.keep_in_memory, settings.cache
    if plan.chooses_frames:
        if keep or cache:
            print(f"random_clip takes other frames each time; no clips of the {split} split are kept.", flush=True)
        keep, cache = False, False
    if keep is None:
        keep = read.fits_into_memory(table)
    if cache:
        stored = open_or_build(cache_folder(cache), table, read.transform(), read, f"{split} {table.modality.plural}")
        stored = stored.in_memory() if keep else stored
    elif keep:
        stored = read_split(table, read, split=split)
    elif settings.check_images:
        # Which images are left out has to be known before the first step; who leaves none out hears of a broken one
        # when it comes up.
        stored = check_split(table, preparation.decode, split=split, decode_all=settings.on_error == "skip")
    else:
        stored = StoredSplit(None, np.arange(len(table)), [])
    return ImageBatches(
        keep_readable(table, stored.rows, stored.unreadable, settings.on_error),
        preparation,
        store=stored.store,
        undecoded=stored.undecoded,
        resident=keep and split == "train",
        plan=plan,
        classes=classes,
        on_error=settings.on_error,
        check_finite=settings.check_finite,
        seed=seed,
        repeats=settings.repeats if split == "train" else 1,
        balanced=settings.sampling == "balanced" and split == "train",
    )
