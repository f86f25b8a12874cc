"""Images that two parts of a split both hold, but for compression, size, brightness or a mirror: they make a test too
easy.

Each image becomes 64 bits; near ones are found by pieces of these bits, and what is found is looked at once more.
Images that were cut are found by a model's vectors (cut_duplicates.py); ones that were turned are not found.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange
from PIL import Image
from scipy.fft import dctn

from .batches.dataset import ImageBatches
from .decode.images import Picture
from .decode.resize import spare_factor
from .sources.tables import ImageTable

GRAY_SIDE = 32  # pixels of the gray images
SMALLEST_SIDE = 16  # pixels of a side: an image of fewer is like too many others
FLAT = 3.0  # gray levels of spread, below which an image shows too little to tell it from others
DISTANCE = 7  # bits of 64, within which all pairs are found
ALIKE = 0.95  # the correlation of two gray images from which they count as one
PIECES, BITS = 4, 16  # of the 64 bits. Of 7 differing bits one piece has at most one.
PROBES = 200  # images that share a piece with one image, of which no more are compared with it
IMAGES_COMPARED = 4  # of the nearest, for each image
COMPARED_AT_ONCE = 8192  # images that are looked up together


@dataclass(frozen=True)
class Looks:
    """hashes: n, 64 bits. mirrored: n, those of the mirrored images. grays: n 16 16, bytes, to look at once more.
    clear: n, whether it shows enough to compare; what was not read does not."""

    hashes: np.ndarray
    mirrored: np.ndarray
    grays: np.ndarray
    clear: np.ndarray

    @classmethod
    def of(cls, grays: Iterable[np.ndarray | None]) -> "Looks":
        """Of gray images of 32 x 32 bytes; None for one that cannot be read or is too small."""
        hashes, mirrored, small, clear = [], [], [], []
        each = iter(grays)
        while some := [*islice(each, 1024)]:
            found = np.stack([np.zeros((GRAY_SIDE, GRAY_SIDE), np.uint8) if gray is None else gray for gray in some])
            hashes.append(perceptual_hashes(found))
            mirrored.append(perceptual_hashes(found[:, :, ::-1]))
            small.append(rearrange(found, "n (h p) (w q) -> n h w p q", p=2, q=2).mean((3, 4)).round().astype(np.uint8))
            clear.append(found.std((1, 2)) >= FLAT)
        if not hashes:
            nothing, side = np.zeros(0, np.uint64), GRAY_SIDE // 2
            return cls(nothing, nothing, np.zeros((0, side, side), np.uint8), np.zeros(0, bool))
        return cls(*(np.concatenate(each) for each in (hashes, mirrored, small, clear)))


class NearDuplicate(NamedTuple):
    """An image of a later part, by its name, and its nearest one in an earlier part. likeness: the correlation of their
    grays."""

    part: str
    name: str
    other_part: str
    other_name: str
    likeness: float


@dataclass(frozen=True)
class Duplicates:
    """sizes: images of each part. unclear: images too flat, too small or too broken to compare. crowded: images like so
    many others that not all of these were looked at. unread: images that there was no time for. how: in words, what the
    two of a pair are to each other."""

    pairs: list[NearDuplicate]
    sizes: dict[str, int]
    unclear: int = 0
    crowded: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    how: str = "nearly the same as"

    def describe(self) -> list[str]:
        """A line for each two parts that share images, and one for what was left out of it."""
        lines = []
        for one, other in combinations(self.sizes, 2):
            shared = [pair for pair in self.pairs if (pair.part, pair.other_part) == (other, one)]
            if shared:
                first = max(shared, key=lambda pair: pair.likeness)
                lines.append(
                    f"{len(shared):,} of {self.sizes[other]:,} {other} images are {self.how} {one} images, "
                    f"such as {first.name} and {first.other_name}; figures on them flatter the model."
                )
        if lines and self.crowded:
            lines.append(f"{self.crowded:,} images are like so many others that not all of these were compared.")
        for part, count in self.unread.items():
            lines.append(f"{count:,} of {self.sizes[part]:,} {part} images were not compared with the others for time.")
        return lines


def small_gray(pixels: np.ndarray) -> np.ndarray | None:
    """h w c, bytes -> 32 32, bytes; None for images that are too small"""
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        return None
    colored = pixels.shape[2] >= 3
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3] if colored else pixels[..., 0]))
    return np.asarray(image.convert("L").resize((GRAY_SIDE, GRAY_SIDE), Image.Resampling.BILINEAR))


def lowest_frequencies(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the slowest waves, without the mean."""
    places = sorted(np.ndindex(GRAY_SIDE, GRAY_SIDE), key=lambda place: (place[0] ** 2 + place[1] ** 2, place))[
        1 : count + 1
    ]
    rows, columns = zip(*places, strict=True)
    return np.array(rows), np.array(columns)


LOWEST = lowest_frequencies()


def perceptual_hashes(grays: np.ndarray) -> np.ndarray:
    """n 32 32 -> n: 64 bits, each of which says whether one of the slowest waves is stronger than the middle one."""
    rows, columns = LOWEST
    waves = np.asarray(dctn(grays.astype(np.float32), axes=(1, 2), norm="ortho"))[:, rows, columns]
    bits = np.packbits(waves > np.median(waves, axis=1, keepdims=True), axis=1)
    return np.ascontiguousarray(bits).view(np.uint64)[:, 0]


def near_hashes(queries: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, b -> pairs 2 (rows of both), their distances, and q: which queries had too many to compare with all.

    All pairs within `DISTANCE`, in time that grows with q + b and with what lies near each other: two hashes are
    compared where a piece of them is the same but for one bit.
    """
    found, crowded = [np.zeros((0, 3), np.int64)], np.zeros(len(queries), bool)
    for piece in range(PIECES):
        keys, of_queries = (piece_of(hashes, piece) for hashes in (base, queries))
        order = np.argsort(keys, kind="stable")
        ends = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << BITS))])
        for start in range(0, len(queries), COMPARED_AT_ONCE):
            some = np.arange(start, min(start + COMPARED_AT_ONCE, len(queries)))
            for flipped in (0, *(1 << bit for bit in range(BITS))):
                wanted = of_queries[some] ^ flipped
                counts = ends[wanted + 1] - ends[wanted]
                crowded[some] |= counts > PROBES
                counts = counts.clip(max=PROBES)
                rows = np.repeat(some, counts)
                within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
                others = order[np.repeat(ends[wanted], counts) + within]
                distances = np.bitwise_count(queries[rows] ^ base[others])
                near = distances <= DISTANCE
                found.append(np.stack([rows[near], others[near], distances[near].astype(np.int64)], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, :2].T, pairs[:, 2], crowded


def piece_of(hashes: np.ndarray, piece: int) -> np.ndarray:
    return ((hashes >> np.uint64(BITS * piece)) & np.uint64((1 << BITS) - 1)).astype(np.int64)


def correlations(grays: np.ndarray, others: np.ndarray) -> np.ndarray:
    """n ..., n ... -> n: from -1 to 1, whatever the brightness and the contrast"""
    one, other = (each - each.mean(1, keepdims=True) for each in (in_one_row(grays), in_one_row(others)))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(1) / np.maximum(lengths, 1e-9)


def in_one_row(each: np.ndarray) -> np.ndarray:
    return each.reshape(len(each), int(np.prod(each.shape[1:]))).astype(np.float64)


class Match(NamedTuple):
    """Rows of a later and an earlier part."""

    row: int
    other: int
    distance: int
    likeness: float


def matches(later: Looks, earlier: Looks) -> tuple[list[Match], int]:
    """-> a `Match` for each image of the later part that the earlier one holds too, perhaps mirrored, and how many were
    crowded."""
    ours, theirs = np.flatnonzero(later.clear), np.flatnonzero(earlier.clear)
    queries = np.concatenate([later.hashes[ours], later.mirrored[ours]])
    (asked, others), distances, crowded = near_hashes(queries, earlier.hashes[theirs])
    rows, others, mirrored = ours[asked % max(1, len(ours))], theirs[others], asked >= len(ours)
    order = np.lexsort((others, distances, rows))
    rows, others, distances, mirrored = (each[order] for each in (rows, others, distances, mirrored))
    nearest = np.arange(len(rows)) - np.searchsorted(rows, rows) < IMAGES_COMPARED
    rows, others, distances, mirrored = (each[nearest] for each in (rows, others, distances, mirrored))
    grays = np.where(mirrored[:, None, None], later.grays[rows][:, :, ::-1], later.grays[rows])
    likeness = correlations(grays, earlier.grays[others])
    best: dict[int, Match] = {}
    for place in np.flatnonzero(likeness >= ALIKE):
        match = Match(int(rows[place]), int(others[place]), int(distances[place]), float(likeness[place]))
        if match.row not in best or match.likeness > best[match.row].likeness:
            best[match.row] = match
    return [*best.values()], int((crowded[: len(ours)] | crowded[len(ours) :]).sum())


def near_duplicates(
    tables: Mapping[str, ImageTable],
    *,
    grays: Mapping[str, Iterable[np.ndarray | None]] | None = None,
    seconds: float = 60.0,
) -> Duplicates:
    """Of the parts of a split, in the order of training, validation and test.

    grays: what `small_gray` made of each image of a part, where that is known. Other parts are read, the later ones
    first, and no longer than so many `seconds`, after which an even share of their images stands for all.
    """
    known, deadline, looks, unread = grays or {}, time.monotonic() + seconds, {}, {}
    for part in reversed([*tables]):
        if part in known:
            looks[part] = Looks.of(known[part])
        else:
            looks[part], unread[part] = read_looks(tables[part], deadline)
    found, crowded = [], 0
    for one, other in combinations(tables, 2):
        matched, many = matches(looks[other], looks[one])
        crowded += many
        for row, place, _, likeness in matched:
            names = tables[other].name_of(row), tables[one].name_of(place)
            found.append(NearDuplicate(other, names[0], one, names[1], likeness))
    unclear = sum(int((~each.clear).sum()) for each in looks.values()) - sum(unread.values())
    sizes = {part: len(table) for part, table in tables.items()}
    return Duplicates(found, sizes, unclear, crowded, {part: count for part, count in unread.items() if count})


def read_looks(table: ImageTable, deadline: float) -> tuple[Looks, int]:
    """-> of the images of a table, in its order, and how many of them there was no time for"""
    order = np.random.default_rng(0).permutation(len(table))
    grays: list[np.ndarray | None] = [None] * len(table)
    read = 0
    for row, (gray, _) in zip(order, table.select(order).read_each(gray_of_picture, "Comparing images"), strict=False):
        grays[row] = gray
        read += 1
        if time.monotonic() > deadline:
            break
    return Looks.of(grays), len(table) - read


def gray_of_picture(picture: Picture) -> np.ndarray | None:
    return small_gray(picture.pixels(3, spare_factor(*picture.size, (GRAY_SIDE, GRAY_SIDE))))


def kept_grays(batches: Mapping[str, ImageBatches]) -> dict[str, Iterator[Any]]:
    """Of parts whose pixels are all in memory or in a cache, all in the model's form, and as large as gray images are:
    these need not be read again."""
    for each in batches.values():
        if each.store is None or each.plan.chooses or min(each.preparation.size) < GRAY_SIDE:
            return {}
    return {part: (small_gray(pixels) for pixels in stored(each)) for part, each in batches.items()}


def stored(batches: ImageBatches) -> Iterator[np.ndarray]:
    """h w c, bytes: each image as it is kept."""
    for row in range(len(batches)):
        yield batches.store.image(row).transpose(1, 2, 0)  # pyright: ignore[reportOptionalMemberAccess]
