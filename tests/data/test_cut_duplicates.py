"""Images that were cut out of others, found by vectors and confirmed by pixels."""

from pathlib import Path

import numpy as np
import pytest
from made_images import noise
from PIL import Image, ImageFilter, ImageOps

from vit_hf.data import cut_duplicates as module
from vit_hf.data.cut_duplicates import best_correlation, cut_duplicates, gray_cuts, likeness, nearest
from vit_hf.data.duplicates import ALIKE
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageTable


def scene(seed: int, size: int = 96) -> Image.Image:
    return noise(seed, 12).filter(ImageFilter.GaussianBlur(1)).resize((size, size), Image.Resampling.BICUBIC)


def sides(image: Image.Image):
    return gray_cuts(image), gray_cuts(ImageOps.mirror(image))


def cut(image: Image.Image, share: float, left: float, top: float) -> Image.Image:
    width, height = (round(side * share) for side in image.size)
    x, y = round((image.width - width) * left), round((image.height - height) * top)
    return image.crop((x, y, x + width, y + height))


@pytest.mark.parametrize("share", [0.95, 0.88, 0.8, 0.72])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cut_is_known_from_either_side(share: float, mirrored: bool):
    numbers = np.random.default_rng(0)
    for seed in range(10):
        whole = scene(seed)
        piece = cut(whole, share, *numbers.random(2)).resize((70, 70))
        piece = ImageOps.mirror(piece) if mirrored else piece
        assert likeness(sides(piece), sides(whole)) >= ALIKE
        assert likeness(sides(whole), sides(piece)) >= ALIKE


def test_other_scenes_are_not_alike():
    every = [sides(scene(seed)) for seed in range(12)]
    assert max(likeness(one, other) for row, one in enumerate(every) for other in every[:row]) < 0.9


def test_the_best_correlation_is_that_of_every_place():
    numbers = np.random.default_rng(0)
    whole, piece = (numbers.normal(100, 40, (side, side)).astype(np.float32) for side in (9, 6))
    places = [np.corrcoef(piece.ravel(), whole[y : y + 6, x : x + 6].ravel())[0, 1] for y in range(4) for x in range(4)]
    assert best_correlation(piece, whole) == pytest.approx(max(places), abs=1e-5)
    assert best_correlation(whole[2:8, 1:7], 255 - 0.5 * whole) < 1
    assert best_correlation(whole[2:8, 1:7], 0.5 * whole + 10) == pytest.approx(1, abs=1e-5)


def test_what_is_flat_is_like_nothing():
    flat, numbers = np.full((6, 6), 7, np.float32), np.random.default_rng(0)
    assert best_correlation(flat, numbers.normal(100, 40, (9, 9)).astype(np.float32)) == -1
    assert best_correlation(numbers.normal(100, 40, (6, 6)).astype(np.float32), np.full((9, 9), 7, np.float32)) == -1


def test_neighbors_are_those_of_a_full_search(monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    queries, base = (np.random.default_rng(seed).normal(size=(count, 5)) for seed, count in enumerate((20, 30)))
    cosines = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (base / np.linalg.norm(base, axis=1)[:, None]).T
    found = dict(nearest(queries, base, 3))
    assert [*found] == list(range(20))
    np.testing.assert_array_equal(np.stack([*found.values()]), np.argsort(-cosines, axis=1)[:, :3])
    assert [len(others) for _, others in nearest(queries, base[:2], 3)] == [2] * 20


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, ImageTable]:
    parts = {
        "train": {
            f"{label}/{number}.png": scene(10 * row + number) for row, label in enumerate("ab") for number in range(5)
        },
        "test": {"a/cut.png": cut(scene(3), 0.8, 0.3, 0.9), "a/new.png": scene(100), "b/other.png": scene(101)},
    }
    for part, images in parts.items():
        for name, image in images.items():
            (tmp_path / part / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / part / name)
    found = open_source(DataSettings(name=str(tmp_path))).splits
    return {part: found[part] for part in ("train", "test")}


def vectors_of(tables: dict[str, ImageTable]) -> dict[str, np.ndarray]:
    """Of a model that sees little: the colors of the middle."""
    return {
        part: np.stack([table.open(row).pixels(3)[40:56, 40:56].mean((0, 1)) for row in range(len(table))])
        for part, table in tables.items()
    }


def test_the_pair_is_named_where_the_vectors_lead_to_it(tables: dict[str, ImageTable]):
    vectors = {part: np.ones((len(table), 3)) for part, table in tables.items()}
    vectors["train"][:, 0] += np.arange(10)
    vectors["test"][0, 0] += 3
    found = cut_duplicates(tables, vectors)
    (pair,) = found.pairs
    assert (Path(pair.name).name, Path(pair.other_name).name) == ("cut.png", "3.png")
    (line,) = found.describe()
    assert line.startswith("1 of 3 test images are the same, but for a cut or a mirror, as train images, such as ")
    vectors["test"][0, 0] += 100
    assert not cut_duplicates(tables, vectors).pairs


def test_what_is_known_already_is_not_told_again(tables: dict[str, ImageTable]):
    vectors = {part: np.ones((len(table), 3)) for part, table in tables.items()}
    vectors["train"][:, 0] += np.arange(10)
    vectors["test"][0, 0] += 3
    known = {("test", cut_duplicates(tables, vectors).pairs[0].name)}
    assert not cut_duplicates(tables, vectors, known=known).pairs


def test_without_time_it_says_what_was_not_compared(tables: dict[str, ImageTable]):
    found = cut_duplicates(tables, vectors_of(tables), seconds=-1)
    assert found.unread == {"test": 3}
    assert found.describe() == ["3 of 3 test images were not compared with the others for time."]


def test_an_image_that_is_broken_by_now_is_passed_over(tables: dict[str, ImageTable]):
    vectors = vectors_of(tables)
    for row in range(len(tables["train"])):
        Path(tables["train"].name_of(row)).write_bytes(b"")
    assert not cut_duplicates(tables, vectors).pairs
