"""What `model.size: auto` becomes, for images and machines of every size."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from made_images import class_folders, photo
from pydantic import ValidationError

from vit_hf import VisionTransformerConfig
from vit_hf.data.sources.image_folders import scan_folder
from vit_hf.data.sources.tables import ImageData
from vit_hf.errors import UserError
from vit_hf.runs.setup import prepare
from vit_hf.runs.sizing import SMALL, choose_size, median_size, with_size
from vit_hf.training.recipe.recipe import Recipe

PHOTOS = (84, 112)


def auto(name: str, model: dict[str, Any] | None = None, **training: Any) -> Recipe:
    common = {"output_dir": "out", "use_cpu": True, "save_strategy": "no"}
    return Recipe(
        model={"size": "auto", **(model or {})},  # pyright: ignore[reportArgumentType]
        data={"name": name},  # pyright: ignore[reportArgumentType]
        training={**common, **training},
    )


@pytest.mark.parametrize(
    ("shortest", "image", "patch"),
    [
        (8, 8, 2),
        (12, 12, 2),
        (16, 16, 2),
        (28, 28, 4),
        (32, 32, 4),
        (48, 48, 6),
        (64, 64, 8),
        (84, 64, 8),
        (3000, 64, 8),
    ],
)
def test_on_a_cpu_images_are_never_enlarged_and_become_at_most_64_patches(shortest: int, image: int, patch: int):
    model = choose_size(1600, shortest, shortest + 5, "cpu").model
    assert (model["image_size"], model["patch_size"]) == (image, patch)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_every_size_is_one_that_a_model_can_be_built_with(device: str):
    for shortest, images in product([*range(2, 70), 84, 127, 128, 224, 1000], [5, 2_000, 50_000, 1_000_000]):
        model = choose_size(images, shortest, shortest, device).model
        config = VisionTransformerConfig(**model, class_token=False, pooling="mean", position_embedding="sincos_2d")
        side, patch = model["image_size"], model["patch_size"]
        assert side <= max(shortest, 2)
        assert config.patch_grid == (side // patch, side // patch)


def test_operations_are_counted_as_the_products_of_a_layer_by_hand():
    # 4 tokens of width 96 in 6 layers: 4 * 96² of attention and 2 * 96 * 192 of the feed-forward, each for 4 tokens,
    # 2 * 4² * 96 where they attend, and patches of 3 * 2² numbers.
    layer = 4 * (4 * 9216 + 2 * 18432) + 2 * 16 * 96
    assert SMALL.operations(4, 2) == 6 * (6 * layer + 4 * 12 * 96)


def test_a_run_on_a_cpu_costs_the_same_until_epochs_are_a_handful():
    seen = {images: images * choose_size(images, *PHOTOS, "cpu").training["num_train_epochs"] for images in SETS}
    assert seen[1600] == pytest.approx(seen[16_000], rel=0.1)
    assert choose_size(100, *PHOTOS, "cpu").training["num_train_epochs"] == 300
    assert choose_size(1_000_000, *PHOTOS, "cpu").training["num_train_epochs"] == 5


SETS = (1_600, 16_000)


def test_more_images_get_a_larger_model_and_fewer_epochs_on_a_gpu():
    found = [choose_size(images, 300, 400, "cuda") for images in (2_000, 50_000, 1_300_000)]
    assert [one.model["hidden_size"] for one in found] == [192, 384, 384]
    assert [one.model["image_size"] for one in found] == [128, 192, 224]
    assert [one.training["num_train_epochs"] for one in found] == [300, 60, 30]
    assert all(one.training["bf16"] for one in found)
    assert "bf16" not in choose_size(2_000, 300, 400, "mps").training


def test_few_images_make_batches_small_enough_for_some_steps():
    assert choose_size(40, *PHOTOS, "cpu").training["per_device_train_batch_size"] == 5
    assert choose_size(1600, *PHOTOS, "cpu").training["per_device_train_batch_size"] == 64


def test_a_side_that_is_given_decides_the_patch():
    assert choose_size(1600, *PHOTOS, "cpu", side=48).model["patch_size"] == 6
    with pytest.raises(UserError, match="no patch for images of 50 pixels; 49 would do"):
        choose_size(1600, *PHOTOS, "cpu", side=50)


def photos_of(folder: Path, *sizes: tuple[int, int]) -> ImageData:
    for number, (height, width) in enumerate(sizes):
        (folder / "cat").mkdir(parents=True, exist_ok=True)
        photo(height, width).save(folder / "cat" / f"{number}.png")
    return scan_folder(folder)


def test_the_median_size_is_that_of_the_images(tmp_path: Path):
    data = photos_of(tmp_path, (20, 30), (40, 31), (60, 500))
    assert median_size(data.split("train")) == (40, 31)


def test_what_a_recipe_says_itself_stands(tmp_path: Path):
    data = photos_of(tmp_path, (84, 112), (84, 112))
    recipe, why = with_size(auto(str(tmp_path), {"hidden_size": 48}, learning_rate=3e-4), data, "cpu")
    assert recipe.model.fields()["hidden_size"] == 48
    assert recipe.model.fields()["image_size"] == 64
    assert recipe.training["learning_rate"] == 3e-4
    assert recipe.training["num_train_epochs"] == 300
    assert "for 2 training images on a CPU" in why
    assert "64 x 64 pixels in patches of 8" in why


def test_a_prepared_run_has_its_sizes_in_the_recipe_that_repeats_it(tmp_path: Path, capsys):
    photos = class_folders(tmp_path / "photos", {"cat": 20, "dog": 20})  # of 8 x 8 pixels
    model = {"class_token": False, "pooling": "mean", "position_embedding": "sincos_2d"}
    run = prepare(auto(str(photos), model, output_dir=str(tmp_path / "out")))
    assert run.model.config.image_size == 8
    assert run.recipe.model.size is None
    assert run.recipe.model.fields() == {**model, **run.recipe.model.fields()}
    assert run.arguments.num_train_epochs == 300
    assert "4 layers of width 64" in capsys.readouterr().out
    again = prepare(run.recipe)
    assert again.recipe == run.recipe
    assert again.model.config.to_dict() == run.model.config.to_dict()


def test_a_size_for_itself_is_refused_where_nobody_can_choose_it():
    with pytest.raises(ValidationError, match="name a size of swin"):
        auto("photos", {"family": "swin"})
    stream: Any = object()
    with pytest.raises(UserError, match="how many a stream has"):
        with_size(auto("photos"), ImageData({}, ["cat", "dog"], stream=stream), "cpu")


def test_a_size_of_images_that_is_none_is_left_to_the_configuration(tmp_path: Path):
    data = photos_of(tmp_path, (20, 30), (40, 31))
    for wrong in ("large", -8, [8, 8]):
        recipe, _ = with_size(auto(str(tmp_path), {"image_size": wrong}), data, "cpu")
        assert recipe.model.fields()["image_size"] == wrong
