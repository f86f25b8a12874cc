from typing import Any

import pytest
import torch
from tiny import tiny_config

from vit_hf import VisionTransformerModel
from vit_hf.models.blocks import DropPath, LayerScale, drop_path_rates, keep_examples


def test_kept_examples_are_scaled_up_and_the_others_vanish():
    branch = torch.ones(3, 2, 2)
    kept = keep_examples(branch, torch.tensor([True, False, True])[:, None, None], 0.8)
    assert kept[:, 0, 0].tolist() == pytest.approx([1.25, 0.0, 1.25])


def test_whole_examples_are_dropped_at_the_rate_and_the_mean_stays():
    path = DropPath(0.25).train()
    out = path(torch.ones(20_000, 3))
    assert ((out == 0).all(1) | (out > 1).all(1)).all()
    assert (out[:, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)


def test_nothing_is_dropped_outside_training():
    tokens = torch.randn(4, 3)
    assert DropPath(0.9).eval()(tokens) is tokens


def test_the_rate_grows_linearly_to_the_last_layer():
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]
    model: Any = VisionTransformerModel(tiny_config(drop_path_rate=0.2))
    assert [layer.drop_path.rate for layer in model.layers] == pytest.approx([0.0, 0.2])


def test_layer_scale_begins_at_its_value_and_scales_each_feature():
    model: Any = VisionTransformerModel(tiny_config(layer_scale_init_value=1e-3))
    assert (model.layers[1].feed_forward_scale.scale == 1e-3).all()
    scale = LayerScale(2, 1.0)
    torch.nn.init.zeros_(scale.scale)
    scale.scale.data[1] = 3.0
    assert scale(torch.tensor([[5.0, 7.0]])).tolist() == [[0.0, 21.0]]


def test_a_block_adds_two_branches_of_normalized_tokens():
    block: Any = VisionTransformerModel(tiny_config()).layers[0].eval()
    tokens = torch.randn(2, 16, 32)
    mixed = tokens + block.attention(block.attention_norm(tokens), (4, 4))[0]
    expected = mixed + block.feed_forward(block.feed_forward_norm(mixed))
    assert torch.equal(block(tokens, (4, 4)), expected)


def test_a_hook_sees_what_a_linear_gave_and_not_what_gelu_made_of_it():
    model: Any = VisionTransformerModel(tiny_config())
    feed_forward = model.layers[0].feed_forward.eval()
    tokens, seen = torch.randn(2, 3, 32), []
    with torch.no_grad():
        unwatched = feed_forward(tokens)
        feed_forward.inner.register_forward_hook(lambda module, given, made: seen.append(made))
        watched = feed_forward(tokens)
        assert torch.equal(
            seen[0], torch.nn.functional.linear(tokens, feed_forward.inner.weight, feed_forward.inner.bias)
        )
    torch.testing.assert_close(unwatched, watched, atol=0, rtol=0)
    torch.testing.assert_close(feed_forward(tokens), watched, atol=0, rtol=0)
