import pytest
import torch
from torch.nn import functional
from training.small_runs import small_model, trainer_of
from transformers import TrainerCallback

from vit_hf.errors import UserError
from vit_hf.training.progressive_resizing import refuse_unfit, resized, scale_at, size_at
from vit_hf.training.recipe.optimization import ProgressiveResizingSettings

USUAL = ProgressiveResizingSettings(initial_scale=0.5, delay_fraction=0.4, finetune_fraction=0.2, size_increment=8)


def test_sides_wait_then_grow_in_proportion_and_end_whole():
    assert [scale_at(share, USUAL) for share in (0, 0.4, 0.6, 0.8, 1)] == pytest.approx([0.5, 0.5, 0.75, 1, 1])


def test_sizes_are_multiples_of_the_increment_but_the_last():
    assert size_at(0.0, 64, 48, USUAL) == (32, 24)
    assert size_at(0.6, 64, 50, USUAL) == (48, 40)
    assert size_at(0.9, 60, 44, USUAL) == (60, 44)


def test_without_time_to_grow_there_are_two_sizes():
    settings = ProgressiveResizingSettings(delay_fraction=0.7, finetune_fraction=0.3, size_increment=32)
    assert {size_at(step / 100, 64, 64, settings) for step in range(101)} == {(32, 32), (64, 64)}
    assert size_at(0.69, 64, 64, settings) == (32, 32)
    assert size_at(0.7, 64, 64, settings) == (64, 64)


def test_images_and_clips_are_resized_between_pixels_and_whole_ones_pass():
    clips = torch.rand(2, 3, 3, 32, 32)
    small = resized(clips, 0.0, USUAL)
    plain = functional.interpolate(clips.flatten(0, 1), 16, mode="bilinear", antialias=True)
    torch.testing.assert_close(small, plain.unflatten(0, (2, 3)))
    oblong = resized(clips[0, :, :, :, :24], 0.6, USUAL)
    torch.testing.assert_close(
        oblong, functional.interpolate(clips[0, :, :, :, :24], (24, 16), mode="bilinear", antialias=True)
    )
    assert resized(clips, 0.9, USUAL) is clips


def test_increments_that_are_no_patches_are_refused():
    with pytest.raises(UserError, match="size_increment 8 does not divide into patches of 16"):
        refuse_unfit(USUAL, 16)


def test_fractions_of_more_than_the_whole_are_refused():
    with pytest.raises(ValueError, match="more than the whole training"):
        ProgressiveResizingSettings(delay_fraction=0.7, finetune_fraction=0.4)


class Sizes(TrainerCallback):
    def __init__(self):
        self.seen: list[int] = []

    def watch(self, module, given, named):
        if module.training:
            self.seen.append(named["pixel_values"].shape[-1])


def test_a_training_begins_small_and_is_evaluated_whole(tmp_path):
    model, sizes = small_model(position_embedding="rotary"), Sizes()
    model.register_forward_pre_hook(sizes.watch, with_kwargs=True)
    resizing = {"delay_fraction": 0.5, "finetune_fraction": 0.5, "size_increment": 4}
    trainer = trainer_of(model, tmp_path, {"progressive_resizing": resizing}, max_steps=4)
    trainer.train()
    assert sizes.seen == [4, 4, 8, 8]
    assert "mfu" not in trainer.state.log_history[0]
    assert trainer.evaluate()["eval_loss"] > 0
