from pathlib import Path

import pytest
from made_films import pictures, write_film
from made_images import noise, save_frames
from PIL import Image
from tiny import tiny, tiny_timesformer

from vit_hf import TimeSformerForVideoClassification, VisionTransformerModel
from vit_hf.data.decode.files import UnreadableImage
from vit_hf.demo.exhibits import Exhibit
from vit_hf.modality import modality_of
from vit_hf.runs.predict import predict


@pytest.fixture(scope="module")
def exhibit(model_folder: Path) -> Exhibit:
    return Exhibit(str(model_folder))


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Exhibit:
    """A model of videos, with a folder of frames beside it."""
    folder = tmp_path_factory.mktemp("moving") / "model"
    model = tiny_timesformer(TimeSformerForVideoClassification)
    model.save_pretrained(folder)
    modality_of(model.config).make_processor(model.config).save_pretrained(folder)
    save_frames(folder / "examples" / "0", [Image.fromarray(frame) for frame in pictures(4, 33, 33)])
    return Exhibit(str(folder))


def test_an_answer_is_that_of_predict_and_comes_with_a_picture(exhibit: Exhibit, tmp_path: Path):
    noise(7, 40).save(tmp_path / "one.png")
    shown = exhibit(tmp_path / "one.png")
    (result,) = predict(exhibit.name, [tmp_path / "one.png"], top=5).results
    assert shown.answers == result["predictions"]
    assert shown.picture is not None
    with Image.open(shown.picture) as picture:
        assert (picture.format, picture.size, getattr(picture, "n_frames", 1)) == ("WEBP", (224, 224), 1)


def test_of_a_video_the_picture_moves(moving: Exhibit, tmp_path: Path):
    shown = moving(write_film(tmp_path / "film.mp4", "libx264"))
    assert shown.picture is not None
    with Image.open(shown.picture) as picture:
        assert getattr(picture, "n_frames", 1) == 4


def test_examples_are_files_that_browsers_show(exhibit: Exhibit, moving: Exhibit, tmp_path: Path):
    images = exhibit.save_examples([], tmp_path / "images")
    assert [path.name for path in images] == ["00.png", "01.png"]
    (film,) = moving.save_examples([], tmp_path / "films")
    assert film.name == "00.mp4"
    # Of the frames that the model sees, and so of the same answer, but for what the film loses.
    (frames,) = predict(moving.name, [Path(moving.name) / "examples" / "0"], top=5).results
    shares = {one["label"]: one["probability"] for one in frames["predictions"]}
    assert {one["label"]: pytest.approx(one["probability"], abs=0.02) for one in moving(film).answers} == shares


def test_an_example_says_nothing_of_where_it_was_taken(exhibit: Exhibit, tmp_path: Path):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0)}
    noise(1, 2000).save(tmp_path / "photo.jpg", exif=exif)
    (saved,) = exhibit.save_examples([tmp_path / "photo.jpg"], tmp_path / "shown")
    with Image.open(saved) as image:
        assert (image.size, dict(image.getexif())) == ((1024, 1024), {})


def test_a_file_that_cannot_be_read_is_named_without_its_folder(exhibit: Exhibit, moving: Exhibit, tmp_path: Path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(UnreadableImage, match=r"^notes.png: it is not an image"):
        exhibit(tmp_path / "notes.png")
    with pytest.raises(UnreadableImage, match=r"^notes.png: "):
        moving(tmp_path / "notes.png")


def test_an_image_is_no_video(moving: Exhibit, tmp_path: Path):
    noise(0, 32).save(tmp_path / "still.png")
    with pytest.raises(ValueError, match=r"^still.png: it is a single frame"):
        moving(tmp_path / "still.png")


def test_a_model_without_a_head_is_refused(tmp_path: Path):
    model = tiny(VisionTransformerModel)
    model.save_pretrained(tmp_path / "model")
    modality_of(model.config).make_processor(model.config).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=r"has no classifier \(VisionTransformerModel\)"):
        Exhibit(str(tmp_path / "model"))


def test_what_cannot_be_explained_answers_all_the_same(exhibit: Exhibit, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(exhibit, "unexplained", "It has no attention.")
    noise(7, 40).save(tmp_path / "one.png")
    shown = exhibit(tmp_path / "one.png")
    assert shown.picture is None
    assert shown.answers
