from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_swin_config
from training.small_runs import NAMES, small_model, trainer_of

from vit_hf import (
    SwinTransformerForImageClassification,
    SwinTransformerForMaskedImageModeling,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
)
from vit_hf.data.batches.cache import PixelStore
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.sources.tables import ImageTable
from vit_hf.training.masking import MaskedImages, choose_masked, collate_masked, square_scale
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.recipe.optimization import MaskingSettings, OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer, finisher


def test_the_squares_of_the_smallest_numbers_are_hidden_whole():
    draws = torch.tensor([[0.1, 0.9, 0.8, 0.2]])  # two by two squares of two by two patches
    masked = choose_masked(draws, 0.5, grid=(4, 4), scale=(2, 2)).reshape(4, 4)
    assert masked.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, True],
        [False, False, True, True],
    ]


def test_the_share_of_hidden_squares_is_rounded_up_and_edges_are_cut():
    masked = choose_masked(torch.rand(5, 4), 0.6, grid=(3, 3), scale=(2, 2))
    assert masked.shape == (5, 9)
    squares = choose_masked(torch.rand(50, 9), 0.6, grid=(3, 3), scale=(1, 1))
    assert squares.sum(1).tolist() == [6] * 50


def masked_images(count: int = 6, **settings) -> MaskedImages:
    model = small_model()
    processor = make_image_processor(
        model.config, mean=[0.5] * 3, std=[0.5] * 3, crop_pct=None, interpolation="nearest"
    )
    table = ImageTable.of(list(range(count)), [0] * count, source=lambda item, name: None, name=str)
    colors = np.random.default_rng(0).integers(0, 256, (count, 3, 1, 1), dtype=np.uint8)
    pixels = colors.repeat(8, 2).repeat(8, 3)  # of one color each, so that what is seen tells what is hidden
    images = ImageBatches(table, Preparation(processor, 3), store=PixelStore.of(list(pixels)), seed=3)
    return MaskedImages(images, MaskingSettings(**settings), grid=(4, 4), patch=(2, 2))


def test_masks_depend_on_the_sample_and_the_epoch_and_on_nothing_else():
    images = masked_images()
    whole = images.__getitems__([0, 1, 2, 3])["bool_masked_pos"]
    apart = torch.stack([images[index]["bool_masked_pos"] for index in range(4)])
    assert torch.equal(whole, apart)
    assert torch.equal(images.__getitems__([3, 1])["bool_masked_pos"], whole[[3, 1]])
    images.set_epoch(1)
    assert not torch.equal(images.__getitems__([0, 1, 2, 3])["bool_masked_pos"], whole)
    images.set_epoch(0)
    assert torch.equal(images.__getitems__([0, 1, 2, 3])["bool_masked_pos"], whole)
    assert len({tuple(row) for row in masked_images(40).masks(range(40)).tolist()}) > 3


def test_masked_images_are_finished_on_the_device(tmp_path):
    images = masked_images()
    raw = images.raw([4, 1])
    assert raw["pixel_values"].dtype == torch.uint8
    finished, whole = images.finish(raw), images.__getitems__([4, 1])
    assert {name: values.tolist() for name, values in finished.items()} == {
        name: values.tolist() for name, values in whole.items()
    }
    assert finisher(images) == images.finish  # so that the Trainer leaves it to the device


def test_a_square_is_a_whole_number_of_patches():
    assert square_scale(MaskingSettings(patch_size=32), (16, 8)) == (2, 4)
    assert square_scale(MaskingSettings(), (4, 4)) == (2, 2)
    with pytest.raises(ValueError, match=r"patch_size=30 is not a multiple .* 16 pixels; 32 is"):
        square_scale(MaskingSettings(patch_size=30), (16, 16))


def test_records_that_come_one_by_one_are_stacked():
    batch = collate_masked([{"pixel_values": torch.zeros(3, 8, 8), "bool_masked_pos": torch.ones(4)} for _ in range(2)])
    assert batch["pixel_values"].shape == (2, 3, 8, 8)
    assert batch["bool_masked_pos"].shape == (2, 4)


def vit_painter() -> tuple[Any, type, str]:
    """The painter, the classifier that begins with it, and a weight that both have."""
    painter = VisionTransformerForMaskedImageModeling(small_model(patch_size=2).config)
    return painter, VisionTransformerForImageClassification, "vit.layers.1.attention.qkv.weight"


def swin_painter() -> tuple[Any, type, str]:
    config = tiny_swin_config(image_size=8, patch_size=2, window_size=2, embed_dim=16)
    painter = SwinTransformerForMaskedImageModeling(config)
    return painter, SwinTransformerForImageClassification, "swin.stages.1.layers.1.attention.qkv.weight"


@pytest.mark.parametrize("build", [vit_painter, swin_painter])
def test_a_painter_learns_and_begins_a_classifier(build, tmp_path):
    torch.manual_seed(0)
    painter, classifier_class, shared = build()
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=25,
        per_device_train_batch_size=6,
        learning_rate=1e-2,
        logging_steps=1,
        label_names=["bool_masked_pos"],
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=painter,
        args=arguments,
        train_dataset=masked_images(),
        eval_dataset=masked_images(),
        data_collator=collate_masked,
        compute_metrics=None,
        optimization=OptimizationSettings(ema={}),  # pyright: ignore[reportArgumentType]
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    figures = trainer.evaluate()
    assert figures["eval_loss"] < 0.7 * before
    assert "eval_ema_loss" in figures
    trainer.save_model()
    classifier: Any = classifier_class.from_pretrained(tmp_path, id2label=NAMES)  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(classifier.state_dict()[shared], painter.state_dict()[shared])
    trainer_of(classifier, tmp_path / "fine", {"layer_decay": 0.75}).train()
