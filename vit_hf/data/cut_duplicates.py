"""Images that two parts of a split both hold, one cut out of the other, and perhaps mirrored: a pretrained model's
vectors say which images could be the same, and their pixels which are."""

import time
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import combinations

import numpy as np
from PIL import Image, ImageOps

from .decode.files import UnreadableImage
from .duplicates import ALIKE, FLAT, Duplicates, NearDuplicate
from .sources.tables import ImageTable

NEIGHBORS = 3  # of an image, by the cosine of their vectors, that are looked at
COMPARED_SIDE = 32  # pixels of a side of the gray images
CUTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)  # of a side: of less, hardly anything says that it is the same image
ROWS_AT_ONCE = 1024
HOW = "the same, but for a cut or a mirror, as"


def nearest(queries: np.ndarray, base: np.ndarray, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """q d, b d -> for each query, in order, the rows of `base` that are nearest, the nearest first"""
    queries, base = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in (queries, base))
    count = min(count, len(base))
    for start in range(0, len(queries), ROWS_AT_ONCE):
        cosines = queries[start : start + ROWS_AT_ONCE] @ base.T
        found = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, found, axis=1), axis=1, kind="stable")
        for row, others in enumerate(np.take_along_axis(found, order, axis=1)):
            yield start + row, others


GrayCuts = list[np.ndarray]


def gray_cuts(image: Image.Image) -> GrayCuts:
    """Of each of `CUTS` the image as gray floats, as large as the cut would be in a whole image of `COMPARED_SIDE`."""
    gray = image.convert("L")
    sides = [round(COMPARED_SIDE * cut) for cut in CUTS]
    return [
        np.asarray(gray.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0), np.float32) for side in sides
    ]


def best_correlation(piece: np.ndarray, whole: np.ndarray) -> float:
    """h w, h' w' -> the correlation of a piece with the part of the whole that it is most like; -1 for a flat piece"""
    if piece.std() < FLAT:
        return -1.0
    windows = np.lib.stride_tricks.sliding_window_view(whole, piece.shape).reshape(-1, piece.size)
    centered = (piece - piece.mean()).ravel()
    variances = (windows * windows).sum(1) - windows.sum(1) ** 2 / piece.size
    # A part that is flat correlates with anything by its rounding errors.
    clear = variances > piece.size * FLAT**2
    if not clear.any():
        return -1.0
    return float((windows[clear] @ centered / np.sqrt(variances[clear] * (centered @ centered))).max())


def likeness(one: tuple[GrayCuts, GrayCuts], other: tuple[GrayCuts, GrayCuts]) -> float:
    """Of two images, each as it is and mirrored: the best correlation of one, as any cut, with a part of the other.

    From `ALIKE` on they are taken for one.
    """
    best = -1.0
    for (plain, mirrored), (whole, _) in ((one, other), (other, one)):
        for pieces in (plain, mirrored):
            for piece in pieces:
                best = max(best, best_correlation(piece, whole[0]))
                if best >= ALIKE:
                    return best
    return best


def cut_duplicates(
    tables: Mapping[str, ImageTable],
    vectors: Mapping[str, np.ndarray],
    *,
    known: Collection[tuple[str, str]] = (),
    seconds: float = 60.0,
) -> Duplicates:
    """Of the parts of a split, in the order of training, validation and test.

    vectors: n d, of each image of a part, by a pretrained model. known: images, by part and name, that are told of
    already. seconds: after which the rest is left out and counted.
    """
    deadline = time.monotonic() + seconds
    found: list[NearDuplicate] = []
    uncompared: dict[str, int] = {}

    @lru_cache(maxsize=2048)
    def cuts_of(part: str, row: int) -> tuple[GrayCuts, GrayCuts]:
        table = tables[part]
        image = table.modality.draw(table.open(row))
        return gray_cuts(image), gray_cuts(ImageOps.mirror(image))

    for one, other in combinations(tables, 2):
        for row, others in nearest(vectors[other], vectors[one], NEIGHBORS):
            if time.monotonic() > deadline:
                uncompared[other] = max(uncompared.get(other, 0), len(tables[other]) - row)
                break
            name = tables[other].name_of(row)
            for place in map(int, others if (other, name) not in known else ()):
                try:
                    alike = likeness(cuts_of(other, row), cuts_of(one, place))
                except UnreadableImage:
                    continue
                if alike >= ALIKE:
                    found.append(NearDuplicate(other, name, one, tables[one].name_of(place), alike))
                    break
    sizes = {part: len(table) for part, table in tables.items()}
    return Duplicates(found, sizes, unread=uncompared, how=HOW)
