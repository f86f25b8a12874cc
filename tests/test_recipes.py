"""Every recipe that comes with the package says where it comes from, can be built, and takes real steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_images import class_folders, video_folders
from tiny import TINY

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.families import FAMILIES
from vit_hf.modality import IMAGE, VIDEO
from vit_hf.runs.initial_model import build_classifier, build_masked_image_model
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.recipe import Recipe, load_recipe
from vit_hf.training.recipe.yaml_files import apply_overrides, configuration_folder

RECIPES = sorted((configuration_folder() / "recipes").glob("*.yaml"))
SMALL: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 4,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
SMALL_OF = {
    "vit": SMALL,
    "swin": {
        "image_size": 16,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [2, 2],
        "num_heads": [1, 2],
        "window_size": 4,
    },
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_builds_its_model(path: Path):
    model = load_recipe(path).model
    with torch.device("meta"):
        if model.task == "masked_image_modeling":
            assert build_masked_image_model(model.family, model.fields()).num_parameters() > 0
            return
        # A pretrained model has its own sizes; the fields that are said are those of a config all the same.
        fields = {**(TINY if model.source else {}), **model.fields()}
        built: Any = build_classifier(model.family, {**fields, "num_labels": 2}, ["cat", "dog"])
    assert built.config.id2label == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_source_hardware_cost_and_result(path: Path):
    comment = "".join(line for line in path.read_text().splitlines() if line.startswith("#")).lower()
    assert [word for word in ("source", "hardware", "cost", "result") if word not in comment] == []


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    config = VisionTransformerConfig(**{**SMALL, "num_labels": 7})
    VisionTransformerForImageClassification(config).save_pretrained(folder)
    make_image_processor(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("photos"), {"cat": 10, "dog": 10})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_folders(tmp_path_factory.mktemp("videos"), {"wave": 10, "nod": 10})


def made_small(path: Path, photos: Path, videos: Path, pretrained: Path, out: Path) -> Recipe:
    """The recipe with other images or videos, a small model and a small batch, on the CPU; all else as it is but for
    timm's optimizers, which are tested beside timm."""
    recipe = load_recipe(path)
    content = recipe.content()
    name = {IMAGE: photos, VIDEO: videos}[FAMILIES[recipe.model.family].modality]
    places = {"data.name": str(name), "data.cache": False, "training.output_dir": str(out)}
    run = {"training.max_steps": 2, "training.warmup_steps": 1, "training.disable_tqdm": True, "training.use_cpu": True}
    without = {"training.bf16": False, "training.torch_compile": False, "training.dataloader_num_workers": 0}
    if recipe.model.source is not None:
        model = {"model.from": str(pretrained)}
    else:
        model = {f"model.{name}": value for name, value in SMALL_OF[recipe.model.family].items()}
    batch = {"optimization.batch_size": 6} if recipe.optimization.batch_size else {}
    each = {"training.per_device_train_batch_size": 6, "training.per_device_eval_batch_size": 6}
    for section, name in (("model", "size"), ("data", "test_split"), ("optimization", "optimizer")):
        content[section].pop(name, None)
    return Recipe(**apply_overrides(content, {**places, **run, **without, **model, **batch, **each}))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_takes_two_real_steps(path: Path, photos: Path, videos: Path, pretrained: Path, tmp_path: Path):
    if "digits" in path.stem:
        pytest.skip("its whole command is tested elsewhere")
    trainer = prepare(made_small(path, photos, videos, pretrained, tmp_path)).trainer()
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    moved = [name for name, weight in trainer.model.named_parameters() if not torch.equal(weight, before[name])]
    assert trainer.state.global_step == 2
    assert len(moved) > len(before) / 2
