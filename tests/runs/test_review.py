"""The pages of what to look at once more, and what is said before a training."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from commands.conftest import digits_recipe
from made_images import noise, shade
from PIL import Image
from plots.test_pages import Reader
from runs.test_calibration import WORDS
from torch import Tensor

from vit_hf.data.sources.tables import ImageTable
from vit_hf.hub.repository import repository_files
from vit_hf.runs.evaluate import evaluate
from vit_hf.runs.review import Judged, confused_pairs, review
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import load_recipe

NAMES = ["ant", "bee", "<b>cat</b>"]
# Given and predicted classes, and how sure: ants and bees are mixed up three times, bees and cats once.
SAID = [(0, 1, 0.6), (0, 1, 0.9), (1, 0, 0.8), (1, 2, 0.95), (0, 0, 0.9), (1, 1, 0.9), (2, 2, 0.9), (0, 0, 0.8)]


def logits_of(said) -> Tensor:
    shares = torch.full((len(said), len(NAMES)), 0.0)
    for row, (_, predicted, share) in enumerate(said):
        shares[row] = (1 - share) / (len(NAMES) - 1)
        shares[row, predicted] = share
    return shares.log()


def judged_images(folder: Path, said=SAID) -> Judged:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.png" for number in range(len(said))]
    for number, file in enumerate(files):
        noise(number, 64).save(file)
    labels = [given for given, _, _ in said]
    table = ImageTable.of(files, labels, source=lambda item, name: item, name=lambda item, row: str(item))
    return Judged(table, logits_of(said))


def test_pairs_are_counted_both_ways_and_the_commonest_comes_first():
    given, predicted = (torch.tensor([entry[place] for entry in SAID]) for place in (0, 1))
    assert confused_pairs(predicted, given, 3) == [(0, 1), (1, 2)]
    assert confused_pairs(given, given, 3) == []


def test_the_page_shows_each_mistake_and_the_surest_first(tmp_path: Path):
    judged = judged_images(tmp_path / "photos")
    lines = review({"test": judged}, NAMES, tmp_path, split="test")
    page = Reader((tmp_path / "confusions.html").read_text())
    assert [text for text in page.texts if ", called " in text] == [
        "ant, called bee: 2 of 4",
        "bee, called ant: 1 of 3",
        "bee, called <b>cat</b>: 1 of 3",
    ]
    assert [Path(name).name for name in page.titles] == ["1.png", "0.png", "2.png", "3.png"]
    for picture, number in zip(page.pictures(), (1, 0, 2, 3), strict=True):
        shown = np.asarray(picture.convert("L").resize((8, 8), Image.Resampling.BOX)).astype(float)
        expected = np.asarray(noise(number, 64).convert("L").resize((8, 8), Image.Resampling.BOX)).astype(float)
        assert np.corrcoef(shown.flatten(), expected.flatten())[0, 1] > 0.9
    assert lines[0].startswith("Mixed up most are ant and bee; see ")


def test_suspected_labels_are_a_table_and_pictures_of_all_that_was_judged(tmp_path: Path):
    right = [(label, label, 0.7) for label in (0, 1, 2) for _ in range(5)]
    test = judged_images(tmp_path / "test", [*right, (0, 1, 0.9)])
    validation = judged_images(tmp_path / "validation", [*right, (2, 0, 0.97), (1, 2, 0.5)])
    lines = review({"test": test, "validation": validation}, NAMES, tmp_path, split="test")
    with (tmp_path / "label_errors.csv").open(encoding="utf-8", newline="") as file:
        found = [*csv.reader(file)]
    assert found == [
        ["name", "label", "suggested", "confidence"],
        [str(tmp_path / "validation" / "15.png"), "<b>cat</b>", "ant", "0.9700"],
        [str(tmp_path / "test" / "15.png"), "ant", "bee", "0.9000"],
    ]
    page = Reader((tmp_path / "label_errors.html").read_text())
    assert page.titles == [found[1][0], found[2][0]]
    assert "<b>cat</b>; rather ant (97%)" in page.texts
    assert lines[-1].startswith(
        "2 of 33 labels contradict a model that did not learn from them and agrees with 90.9% of all;"
    )


def test_of_several_labels_the_answer_in_question_is_named(tmp_path: Path):
    judged = judged_images(tmp_path / "photos", SAID[:4])
    table = judged.table
    answers = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=np.float32)
    object.__setattr__(table, "labels", answers)
    shares = torch.tensor([[0.9, 0.1, 0.1], [0.8, 0.1, 0.1], [0.99, 0.1, 0.1], [0.1, 0.1, 0.9]])
    review(
        {"test": Judged(table, shares.logit())},
        NAMES,
        tmp_path,
        split="test",
        problem_type="multi_label_classification",
    )
    assert not (tmp_path / "confusions.html").exists()
    rows = [*csv.reader((tmp_path / "label_errors.csv").read_text().splitlines())]
    assert [row[1:] for row in rows[1:]] == [["no ant", "ant", "0.9900"]]


def test_pages_without_a_reason_are_removed(tmp_path: Path):
    judged = judged_images(tmp_path / "photos")
    review({"test": judged}, NAMES, tmp_path, split="test")
    assert (tmp_path / "confusions.html").exists()
    right = judged_images(tmp_path / "photos", [(label, label, 0.9) for label in (0, 1, 2, 0)])
    assert review({"test": right}, NAMES, tmp_path, split="test") == []
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}
    assert review({"test": judged}, NAMES, tmp_path, split="test", problem_type="regression") == []


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark ants and bright bees, of which each split has two under the wrong name; one test image is a training one."""
    root, seed = tmp_path_factory.mktemp("photos"), 0
    for split in ("train", "validation", "test"):
        for label in ("ant", "bee"):
            (root / split / label).mkdir(parents=True)
            for number in range(20):
                dark = (label == "ant") == (number != 7)
                picture = shade(noise(seed := seed + 1, 24), dark=dark)
                picture.save(root / split / label / f"{number}.png")
    with Image.open(root / "train" / "ant" / "3.png") as picture:
        picture.resize((40, 40), Image.Resampling.BICUBIC).save(root / "test" / "ant" / "copy.png")
    return root


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory):
    fields = {**WORDS, "data.name": photos, "training.output_dir": tmp_path_factory.mktemp("run") / "out"}
    fields |= {"model.image_size": 24, "model.patch_size": 8, "training.max_steps": 40}
    found = train_prepared(
        prepare(load_recipe(digits_recipe(), [f"--{name}={value}" for name, value in fields.items()]))
    )
    found.save()
    return found


def test_a_run_names_the_labels_that_are_wrong_in_what_it_held_out(finished, photos: Path):
    with (finished.folder / "label_errors.csv").open(encoding="utf-8", newline="") as file:
        found = {tuple(row[:3]) for row in [*csv.reader(file)][1:]}
    wrong = {
        (str(photos / split / label / "7.png"), label, other)
        for split in ("validation", "test")
        for label, other in (("ant", "bee"), ("bee", "ant"))
    }
    assert found == wrong
    assert any("4 of 81 labels contradict a model" in note for note in finished.notes)


def test_names_of_files_are_not_published(finished):
    published = repository_files(finished.folder)
    assert not {"label_errors.csv", "label_errors.html", "confusions.html"} & {*published}
    assert "metrics.json" in published


def test_an_evaluation_writes_the_pages_too_but_of_images_that_were_learned_from(finished, tmp_path: Path):
    (tmp_path / "test").mkdir()
    held_out = evaluate(str(finished.folder)).review(tmp_path / "test")
    assert {"confusions.html", "label_errors.csv", "label_errors.html"} <= {
        path.name for path in (tmp_path / "test").iterdir()
    }
    assert len(held_out) == 2
    assert evaluate(str(finished.folder), split="train").review(tmp_path / "train") == []
    assert not (tmp_path / "train" / "label_errors.csv").exists()


def test_images_that_two_parts_share_are_named_before_training(photos: Path, capsys):
    for size in (8, 40):  # which the model's own pixels are too few for, and enough
        fields = {**WORDS, "data.name": photos, "training.output_dir": photos.parent / "nothing"}
        fields |= {"model.image_size": size, "model.patch_size": 8}
        prepare(load_recipe(digits_recipe(), [f"--{name}={value}" for name, value in fields.items()]))
        said = capsys.readouterr().out
        assert "1 of 41 test images are nearly the same as train images, such as " in said
        assert "copy.png and " in said
