import time

import pytest
import torch
from torch import nn
from training.small_runs import small_model, trainer_of

from vit_hf import VisionTransformerForMaskedImageModeling
from vit_hf.training.costs import (
    activation_bytes,
    forward_operations,
    product_rate,
    training_operations,
    weight_bytes,
)
from vit_hf.training.lora import add_adapters
from vit_hf.training.recipe.optimization import LoraSettings
from vit_hf.training.throughput import Speedometer

TOKENS, WIDTH, INNER, LAYERS, PIXELS, LABELS = 5, 16, 32, 2, 3 * 4 * 4, 3
LINEARS = 2 * LAYERS * TOKENS * (WIDTH * 3 * WIDTH + WIDTH * WIDTH + 2 * WIDTH * INNER)
SCORES = 2 * LAYERS * 2 * TOKENS**2 * WIDTH
PATCHES, HEAD = 2 * 4 * PIXELS * WIDTH, 2 * WIDTH * LABELS


def test_a_step_is_three_forward_passes_but_for_the_gradient_of_the_pixels():
    assert training_operations(small_model()) == 3 * (LINEARS + SCORES + HEAD) + 2 * PATCHES


def test_what_the_card_says_is_one_forward_pass_of_any_shape():
    assert forward_operations(small_model()) == LINEARS + SCORES + PATCHES + HEAD
    sizes = {"image_size": [16, 8], "num_channels": 1, "num_register_tokens": 2, "head_dim": 5, "pooling": "mean"}
    tokens, inside = 2 * 4 + 3, 2 * 5
    linears = tokens * (WIDTH * 3 * inside + inside * WIDTH + 2 * WIDTH * INNER) + 2 * tokens**2 * inside
    assert forward_operations(small_model(**sizes)) == 2 * (LAYERS * linears + 8 * 16 * WIDTH) + HEAD


def test_a_frozen_trunk_costs_one_forward_pass():
    model = small_model()
    model.vit.requires_grad_(False)
    assert training_operations(model) == LINEARS + SCORES + PATCHES + 2 * HEAD


def test_matrices_beside_adapters_have_no_gradients_of_their_own():
    model = small_model()
    add_adapters(model, LoraSettings(rank=2))
    assert training_operations(model) < 3 * (LINEARS + SCORES + HEAD)


def test_a_painter_is_counted_with_its_decoder():
    painter = VisionTransformerForMaskedImageModeling(small_model().config)
    assert training_operations(painter) > 3 * (LINEARS + SCORES + 2 * 4 * WIDTH * PIXELS)


def test_weights_gradients_and_moments_are_counted_once_each():
    model = nn.Linear(9, 11)
    assert weight_bytes(model, averaged=False) == 4 * 4 * 110
    assert weight_bytes(model, averaged=True) == 5 * 4 * 110
    model.bias.requires_grad_(False)
    assert weight_bytes(model, averaged=False) == 4 * (110 + 3 * 99)


def test_activations_grow_with_the_batch_and_hold_at_least_what_the_linears_keep():
    model = small_model()
    two, eighteen = activation_bytes(model, 2), activation_bytes(model, 18)
    assert eighteen == 9 * two
    assert two > 2 * 4 * LAYERS * TOKENS * (4 * WIDTH + 2 * INNER)


def test_counting_and_measuring_leave_the_random_numbers_of_the_training_alone():
    model = small_model(hidden_dropout_prob=0.5, drop_path_rate=0.5)
    before = torch.get_rng_state()
    training_operations(model)
    activation_bytes(model, 2)
    product_rate(torch.device("cpu"), torch.float32, side=32, seconds=0.001)
    assert torch.equal(torch.get_rng_state(), before)


def test_matrix_products_have_a_rate():
    assert product_rate(torch.device("cpu"), torch.float32, side=64, seconds=0.01) > 1e6


def test_the_speed_is_of_images_between_logs_without_the_pauses(tmp_path, monkeypatch: pytest.MonkeyPatch):
    moment = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: moment)
    trainer = trainer_of(small_model(), tmp_path)
    speed = Speedometer(trainer.model, trainer.args)
    speed.operations, speed.rate = 1000, 10_000.0
    assert speed.figures() == {}
    speed.start()
    speed.images = 12
    moment = 101.0
    with speed.paused():
        moment = 104.0
    moment = 105.0
    figures = speed.figures()
    assert (figures["images_per_second"], figures["mfu"]) == (6.0, 0.6)
    speed.images, moment = 4, 109.0
    assert speed.figures()["images_per_second"] == 1.0
    assert speed.summary()["images_per_second"] == 3.5


def test_every_log_of_the_loss_says_how_fast_it_went(tmp_path):
    trainer = trainer_of(small_model(), tmp_path, max_steps=3, eval_strategy="steps", eval_steps=1)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logged) == 3
    for entry in logged:
        assert entry["images_per_second"] > 0
        assert entry["mfu"] > 0
        assert 0.01 < entry["peak_memory_gib"] < 64
    assert trainer.state.total_flos == 3 * 4 * training_operations(trainer.model)
    assert trainer.speed.summary().keys() == {"images_per_second", "mfu", "peak_memory_gib"}
