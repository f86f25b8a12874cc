"""Images that two parts of a split share, made by hand, and what must not be taken for them."""

import io
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_images import jpeg, noise
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images

from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.duplicates import (
    DISTANCE,
    IMAGES_COMPARED,
    Duplicates,
    Looks,
    NearDuplicate,
    correlations,
    kept_grays,
    matches,
    near_duplicates,
    near_hashes,
    perceptual_hashes,
    small_gray,
)
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageTable


def scene(seed: int, size: int = 96) -> Image.Image:
    """Smooth shapes of random places and shades, as of a photo."""
    return noise(seed, 12).filter(ImageFilter.GaussianBlur(1)).resize((size, size), Image.Resampling.BICUBIC)


def looks_of(*images: Image.Image) -> Looks:
    return Looks.of(small_gray(np.asarray(image.convert("RGB"))) for image in images)


PHOTOS = [Image.fromarray(pixels) for pixels in load_sample_images().images]  # pyright: ignore[reportAttributeAccessIssue]
CHANGES = {
    "re-encoded": lambda image: Image.open(io.BytesIO(jpeg(image, quality=40))),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "of another shape": lambda image: image.resize((200, 100)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "of less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "gray": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_image_that_was_changed_a_little_is_the_same(change: str):
    originals = [*PHOTOS, *(scene(seed) for seed in range(20))]
    changed = [CHANGES[change](image) for image in originals]
    found, _ = matches(looks_of(*changed), looks_of(*originals))
    assert [(match.row, match.other) for match in sorted(found)] == [(row, row) for row in range(len(originals))]


def test_other_images_are_not_the_same():
    found, _ = matches(looks_of(*map(scene, range(300))), looks_of(*map(scene, range(300, 900))))
    assert found == []


def test_a_mirrored_image_is_the_same():
    originals = [*PHOTOS, *(scene(seed) for seed in range(20))]
    found, crowded = matches(looks_of(*map(ImageOps.mirror, originals)), looks_of(*originals))
    assert [(match.row, match.other) for match in sorted(found)] == [(row, row) for row in range(len(originals))]
    assert crowded == 0


def test_an_image_that_was_turned_or_cut_is_not_found():
    image = PHOTOS[0]
    assert matches(looks_of(image.rotate(90), image.crop((0, 0, 300, 200))), looks_of(image))[0] == []


def test_images_of_one_color_are_not_duplicates_of_each_other():
    black, gray = Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), (128, 128, 128))
    looks = looks_of(black, gray, black, scene(0))
    assert looks.clear.tolist() == [False, False, False, True]
    assert [match.row for match in matches(looks, looks)[0]] == [3]


def test_images_of_a_few_pixels_are_not_compared():
    assert small_gray(np.asarray(noise(0, 15))) is None
    assert small_gray(np.asarray(noise(0, 16))) is not None


def test_hashes_do_not_follow_brightness_and_contrast():
    gray = np.asarray(scene(1).convert("L").resize((32, 32))).astype(np.float64)
    again = np.stack([gray, 0.5 * gray + 40, gray / 3])
    assert len(set(perceptual_hashes(again).tolist())) == 1
    np.testing.assert_allclose(correlations(again[:1].repeat(2, 0), again[1:]), 1)
    assert correlations(again[:1], 255 - again[:1]) == pytest.approx(-1)


def test_half_of_the_bits_of_a_hash_are_set():
    grays = np.random.default_rng(0).integers(0, 256, (50, 32, 32)).astype(np.uint8)
    assert set(np.bitwise_count(perceptual_hashes(grays)).tolist()) == {32}


def test_every_pair_within_the_distance_is_found_and_none_beyond():
    draws = np.random.default_rng(0)
    base = draws.integers(0, 2**63, 4000, dtype=np.uint64)
    queries = base[:2000].copy()
    flipped = np.arange(2000) % 12  # bits
    for row, count in enumerate(flipped):
        for bit in draws.choice(64, count, replace=False):
            queries[row] ^= np.uint64(1) << np.uint64(bit)
    (rows, others), distances, crowded = near_hashes(queries, base)
    exact = np.bitwise_count(queries[:, None] ^ base[None])
    expected = [tuple(pair) for pair in np.argwhere(exact <= DISTANCE)]
    assert list(zip(rows.tolist(), others.tolist(), strict=True)) == expected
    assert distances.tolist() == [exact[pair] for pair in expected]
    assert len(expected) == (flipped <= DISTANCE).sum()
    assert not crowded.any()


def test_the_search_grows_with_the_images_and_not_with_their_square():
    draws = np.random.default_rng(0)
    queries, base = (draws.integers(0, 2**63, count, dtype=np.uint64) for count in (60_000, 240_000))
    start = time.process_time()
    near_hashes(queries, base)
    assert time.process_time() - start < 20  # 0.6 s where the machine is left alone; all pairs would be 14 billion


def test_many_images_of_one_hash_cost_no_more_and_are_counted():
    same = np.full(20_000, 12345, np.uint64)
    pairs, _, crowded = near_hashes(same[:500], same)
    assert crowded.all()
    assert pairs.shape[1] < 500 * 1000


def test_of_several_near_ones_the_likest_is_named():
    image = scene(3)
    near = [
        ImageEnhance.Contrast(image.resize((20 + 5 * step, 40))).enhance(0.9) for step in range(IMAGES_COMPARED - 1)
    ]
    ((row, other, distance, likeness),), _ = matches(looks_of(image), looks_of(*near, image))
    assert (row, other, distance) == (0, len(near), 0)
    assert likeness == pytest.approx(1)


def tables_in(root: Path, parts: dict[str, dict[str, Image.Image]]) -> dict[str, ImageTable]:
    """root/part/class/name, as images lie in folders."""
    for part, images in parts.items():
        for name, image in images.items():
            (root / part / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(root / part / name)
    return open_source(DataSettings(name=str(root))).splits


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, ImageTable]:
    train = {f"{label}/{number}.png": scene(10 * row + number) for row, label in enumerate("ab") for number in range(5)}
    shared = {"a/copy.jpg": scene(3), "b/again.png": scene(11).resize((50, 50)), "b/flat.png": Image.new("L", (40, 40))}
    test = {"a/new.png": scene(100), "b/other.png": scene(101)}
    return tables_in(
        tmp_path / "photos", {"train": {**train, "a/black.png": Image.new("L", (40, 40))}, "test": test | shared}
    )


def shared_names(found: Duplicates) -> set[tuple[str, str]]:
    return {(Path(pair.name).name, Path(pair.other_name).name) for pair in found.pairs}


def test_what_training_and_test_share_is_named(tables: dict[str, ImageTable]):
    found = near_duplicates({part: tables[part] for part in ("train", "test")})
    assert shared_names(found) == {("copy.jpg", "3.png"), ("again.png", "1.png")}
    assert {(pair.part, pair.other_part) for pair in found.pairs} == {("test", "train")}
    assert found.unclear == 2
    (line,) = found.describe()
    assert line.startswith("2 of 5 test images are nearly the same as train images, such as ")
    assert "copy.jpg" in line or "again.png" in line


def test_pixels_that_are_kept_are_not_read_again(tables: dict[str, ImageTable], monkeypatch):
    class Kept:
        plan = SimpleNamespace(chooses=False)
        preparation = SimpleNamespace(size=(32, 32))

        def __init__(self, table: ImageTable):
            self.pixels = [table.open(row).pixels(3).transpose(2, 0, 1) for row in range(len(table))]
            self.store = self

        def image(self, row: int) -> np.ndarray:
            return self.pixels[row]

        def __len__(self) -> int:
            return len(self.pixels)

    parts = {part: tables[part] for part in ("train", "test")}
    kept: dict[str, ImageBatches] = {part: Kept(table) for part, table in parts.items()}  # pyright: ignore[reportAssignmentType]
    expected = near_duplicates(parts)
    monkeypatch.setattr(ImageTable, "open", lambda *_: pytest.fail("an image was read"))
    assert near_duplicates(parts, grays=kept_grays(kept)).pairs == expected.pairs


def test_without_time_it_says_what_was_not_compared(tables: dict[str, ImageTable]):
    found = near_duplicates({part: tables[part] for part in ("train", "test")}, seconds=0)
    assert found.unread == {"train": 10, "test": 4}
    assert found.unclear <= 2
    assert "10 of 11 train images were not compared with the others for time." in found.describe()


def test_each_two_parts_have_a_line_of_their_own():
    pairs = [
        NearDuplicate("validation", "v.png", "train", "t.png", 0.96),
        NearDuplicate("test", "a.png", "train", "b.png", 0.97),
        NearDuplicate("test", "c.png", "train", "d.png", 0.99),
    ]
    lines = Duplicates(pairs, {"train": 2000, "validation": 300, "test": 1500}, crowded=3).describe()
    assert lines[0].startswith(
        "1 of 300 validation images are nearly the same as train images, such as v.png and t.png"
    )
    assert lines[1].startswith("2 of 1,500 test images are nearly the same as train images, such as c.png and d.png")
    assert lines[2].startswith("3 images are like so many others")
    assert Duplicates([], {"train": 10, "test": 10}, crowded=3).describe() == []
