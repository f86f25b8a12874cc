"""Code asks a modality to do things, and never which one it is."""

import ast
import pickle
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_images import noise, save_frames
from tiny import clips, images, tiny_clip_config, tiny_config
from transformers import TimesformerConfig, ViTConfig

from vit_hf.data.batches.dataset import Views
from vit_hf.data.decode.processors import make_image_processor, make_video_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.folders import items_under
from vit_hf.data.sources.open_data import BUNDLED
from vit_hf.families import FAMILIES
from vit_hf.modality import IMAGE, MODALITIES, VIDEO, Modality, modality_of, modality_of_processor
from vit_hf.training.costs import blank_inputs

PACKAGE = Path(__file__).parents[1] / "vit_hf"
# What travels, or runs without the package, looks into the configuration itself; `num_frames` is a field of a family's
# configuration that adapts at load.
MAY_ASK = ["modality.py", "models/*", "families/*", "completion/*", "publishing/fresh_reload.py"]
FILES = [path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]
KINDS = {"ClipPreparation", "StoredFootage", "ArrayFootage", "TimeSformerVideoProcessor", "TimeSformerConfig"}


def asks(node: ast.AST) -> bool:
    """Whether something is asked if it is a video."""
    match node:
        case ast.Call(func=ast.Name("hasattr" | "getattr"), args=[_, ast.Constant("num_frames"), *_]):
            return True
        case ast.Call(func=ast.Name("isinstance"), args=[_, kinds]):
            return bool(KINDS & {name.id for name in ast.walk(kinds) if isinstance(name, ast.Name)})
        case ast.Compare(left=ast.Constant("num_frames"), ops=[ast.In() | ast.NotIn()]):
            return True
        case ast.Compare(left=ast.Attribute(attr="ndim"), comparators=[ast.Constant(5)]):
            return True
        case ast.Compare(
            ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq()], comparators=[ast.Name("IMAGE" | "VIDEO")]
        ):
            return True
        case ast.Name("takes_clips") | ast.Attribute(attr="takes_clips"):
            return True
        case ast.arg(arg="clips", annotation=ast.Name("bool")):
            return True
        case ast.AnnAssign(target=ast.Name("clips"), annotation=ast.Name("bool")):
            return True
    return False


@pytest.mark.parametrize("file", FILES)
def test_no_file_asks_which_modality_it_has(file: str):
    if not any(fnmatch(file, name) for name in MAY_ASK):
        found = [node for node in ast.walk(ast.parse((PACKAGE / file).read_text())) if asks(node)]
        assert not found, [f"{file}:{node.lineno}: {ast.unparse(node)}" for node in found]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "question",
    [
        'hasattr(config, "num_frames")',
        'getattr(config, "num_frames", 0)',
        "isinstance(preparation, ClipPreparation | None)",
        '"num_frames" in config',
        "pixels.ndim == 5",
        "modality is VIDEO",
        "family.takes_clips",
        "def read(*, clips: bool): ...",
    ],
)
def test_such_a_question_would_be_found(question: str):
    assert any(asks(node) for node in ast.walk(ast.parse(question)))


@pytest.mark.parametrize("modality", MODALITIES, ids=str)
def test_a_modality_is_one_object_wherever_it_travels(modality: Modality):
    _ = modality.open, modality.open_stored
    assert pickle.loads(pickle.dumps(modality)) is modality
    assert deepcopy(modality) is modality


def test_each_names_itself():
    assert [one.task for one in MODALITIES] == ["image-classification", "video-classification"]
    assert [one.counted(1) for one in MODALITIES] == ["1 image", "1 video"]
    assert IMAGE.counted(1797) == "1,797 images"


def test_each_finds_its_items_under_a_folder(tmp_path: Path):
    save_frames(tmp_path / "a" / "wave", [noise(number, 8) for number in range(3)])
    (tmp_path / "a" / "nod.mp4").touch()
    found = {one: [Path(path).name for path in items_under(tmp_path, one)] for one in MODALITIES}
    assert found[VIDEO] == ["nod.mp4", "wave"]
    assert found[IMAGE] == ["frame_0.png", "frame_1.png", "frame_2.png"]


def test_each_opens_prepares_and_draws_an_item(tmp_path: Path):
    frames = [noise(number, 8) for number in range(3)]
    frames[0].save(tmp_path / "image.png")
    image = IMAGE.open(tmp_path / "image.png", "image")
    video = VIDEO.open(save_frames(tmp_path / "video", frames), "video")
    still = IMAGE.preparation(make_image_processor(tiny_config(image_size=8)), 3)
    moving = VIDEO.preparation(make_video_processor(tiny_clip_config(image_size=8, num_frames=2)), 3)
    assert still.pixels(image).shape == (3, 8, 8)
    assert moving.pixels(video).shape == (2, 3, 8, 8)
    assert (still.modality, moving.modality) == (IMAGE, VIDEO)
    assert IMAGE.draw(image).size == (8, 8)
    assert VIDEO.draw(video).size == (4 * (8 + 1) - 1, 8)  # frames side by side, a line between them
    assert IMAGE.save_example(still, image, tmp_path / "0") == tmp_path / "0.png"
    assert len(list(VIDEO.save_example(moving, video, tmp_path / "1").iterdir())) == 2


def test_stored_pixels_are_opened_as_they_are():
    stored = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.testing.assert_array_equal(IMAGE.open_stored(stored[0]).pixels(3), stored[0])
    np.testing.assert_array_equal(VIDEO.open_stored(stored).pictures([1])[0].pixels(3), stored[1])


def test_a_bundled_data_set_is_of_its_modality():
    for modality in MODALITIES:
        assert BUNDLED[modality.bundled]().splits["train"].modality is modality


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_has_the_classifier_and_the_inputs_of_its_modality(family):
    config = family.config_class()
    assert modality_of(config) is family.modality
    assert family.modality.auto_classifier in family.classes
    shape = {IMAGE: (3, 224, 224), VIDEO: (8, 3, 224, 224)}[family.modality]
    assert family.modality.input_shape(config) == shape
    model = SimpleNamespace(config=config, parameters=lambda: iter([torch.zeros(1)]))
    assert blank_inputs(model, 2)["pixel_values"].shape == (2, *shape)


def test_a_configuration_of_another_library_has_a_modality():
    assert modality_of(ViTConfig()) is IMAGE
    assert modality_of(TimesformerConfig()) is VIDEO
    saved = SimpleNamespace(model_type="theirs", architectures=["TheirsForVideoClassification"])
    assert modality_of(saved) is VIDEO
    mapped = SimpleNamespace(
        model_type="theirs", architectures=None, auto_map={"AutoModelForImageClassification": "x.Y"}
    )
    assert modality_of(mapped) is IMAGE
    assert modality_of(SimpleNamespace()) is IMAGE


def test_a_processor_of_ours_has_a_modality():
    settings = DataSettings(name="any", crop_pct=0.9)
    assert modality_of_processor(IMAGE.processor_for(tiny_config(), settings)) is IMAGE
    assert modality_of_processor(VIDEO.processor_for(tiny_clip_config(), settings)) is VIDEO


def test_a_person_sees_some_frames_of_a_clip_side_by_side():
    assert IMAGE.as_images(images()).shape == (2, 3, 32, 32)
    assert VIDEO.as_images(clips(frames=8)).shape == (2, 3, 32, 4 * (32 + 1))


def test_videos_have_views_by_clips_and_images_by_flips_and_crops():
    assert VIDEO.views("3x2") == Views(3, 2)
    assert VIDEO.views(None) == Views()
    assert IMAGE.views(None).count == 1
    assert IMAGE.views(None, "flip").count == 2
    with pytest.raises(ValueError, match="--tta is of images, .* take --views"):
        VIDEO.views(None, "flip")
    with pytest.raises(ValueError, match="--views are of videos"):
        IMAGE.views("1x3")
    with pytest.raises(ValueError, match="write it as 1x3"):
        VIDEO.views("3x0")
