import math
from typing import Any

import pytest
import torch
from tiny import V2, images, tiny_swin, tiny_swin_config
from torch.nn import functional

from vit_hf import SwinTransformerForImageClassification, SwinTransformerModel
from vit_hf.models.window_blocks import ContinuousBias, KeylessLinear, UnitLength, log_steps

Classifier = SwinTransformerForImageClassification


def test_steps_are_measured_by_logarithms_of_the_window():
    steps = log_steps((3, 2), (8, 8), torch.zeros(1, dtype=torch.float64)).reshape(5, 3, 2)
    assert steps[2, 1].tolist() == [0, 0]
    assert torch.equal(steps.flip(0, 1), -steps)
    # Of seven steps at most, as long as a window of eight is: log2(8 / 7 + 1) / 3 for the first.
    assert steps[3, 1, 0] == pytest.approx(math.log2(8 / 7 + 1) / 3, abs=1e-7)
    assert steps[4, 1, 0] == pytest.approx(math.log2(16 / 7 + 1) / 3, abs=1e-7)
    assert steps[2, 2].tolist() == [0, pytest.approx(math.log2(8 / 7 + 1) / 3, abs=1e-7)]


def test_one_patch_is_no_step():
    assert log_steps((1, 1), (1, 1), torch.zeros(1)).tolist() == [[0, 0]]


def test_biases_follow_steps_alone_and_lie_between_0_and_16():
    bias = ContinuousBias(3, None)
    with torch.no_grad():
        for parameter in bias.parameters():
            parameter.normal_(std=0.1)
    found = bias((2, 3))
    assert found.shape == (1, 3, 6, 6)
    assert ((found > 0) & (found < 16)).all()
    assert torch.equal(found[..., 0, 1], found[..., 1, 2])  # one to the right, in the first row
    assert torch.equal(found[..., 0, 1], found[..., 3, 4])  # and in the second
    assert not torch.equal(found[..., 0, 1], found[..., 1, 0])


def test_a_larger_window_keeps_the_biases_it_was_learned_with():
    bias = ContinuousBias(2, (3, 3))
    with torch.no_grad():
        for parameter in bias.parameters():
            parameter.normal_()
    small, large = bias((3, 3)), bias((5, 5))
    rows = torch.arange(25).reshape(5, 5)[:3, :3].flatten()
    torch.testing.assert_close(large[:, :, rows][..., rows], small)
    bias.span = None
    assert not torch.allclose(bias((5, 5))[:, :, rows][..., rows], small)


def test_scores_are_cosines_of_at_most_a_hundred():
    norm: Any = UnitLength(2)
    tokens = torch.randn(3, 2, 5, 4)
    torch.nn.init.constant_(norm.scale, 9.0)
    torch.testing.assert_close(norm(tokens).norm(dim=-1), torch.full((3, 2, 5), 100.0))
    torch.testing.assert_close(UnitLength()(tokens), functional.normalize(tokens, dim=-1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_padded_windows_stay_finite_in_half_precision(dtype, backend):
    """Padding has keys of length 0, for they have no bias."""
    model = tiny_swin(Classifier, **V2, window_size=3)
    model.set_attn_implementation(backend)
    pixels = images()
    with torch.no_grad():
        exact, half = model(pixels).logits, model.to(dtype)(pixels).logits
    torch.testing.assert_close(half.float(), exact, atol=0.2, rtol=0)
    half = model(pixels).logits
    half.float().sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_keys_have_no_bias_and_learn_none():
    linear = KeylessLinear(4, 6)
    torch.nn.init.ones_(linear.bias)
    at_zero = linear(torch.zeros(1, 4))
    assert at_zero.tolist() == [[1.0] * 6 + [0.0] * 6 + [1.0] * 6]
    assert linear.bias.shape == (12,)


def test_a_new_model_begins_with_blocks_that_do_nothing():
    model: Any = SwinTransformerModel(tiny_swin_config(**V2)).eval()
    outputs = model(images(), output_hidden_states=True)
    assert torch.equal(outputs.hidden_states[0], outputs.hidden_states[1])
    attention = model.stages[0].layers[0].attention
    assert torch.allclose(attention.query_norm.scale.exp(), torch.tensor(10.0))
    shaken = tiny_swin(SwinTransformerModel, **V2)(images(), output_hidden_states=True)
    assert not torch.equal(shaken.hidden_states[0], shaken.hidden_states[1])


@pytest.mark.parametrize("window_size", [3, 6])
def test_weights_of_one_window_load_for_another(window_size, tmp_path):
    model = tiny_swin(Classifier, **V2)
    model.save_pretrained(tmp_path)
    other = Classifier.from_pretrained(tmp_path, window_size=window_size, pretrained_window_sizes=[4, 4])
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in other.state_dict().items())
    pixels = images(height=6, width=6)  # that one window of either holds
    torch.testing.assert_close(
        other(pixels).logits, Classifier.from_pretrained(tmp_path, pretrained_window_sizes=[4, 4])(pixels).logits
    )


def test_a_block_adds_what_it_has_normalized():
    model, pixels = tiny_swin(SwinTransformerModel, **V2, num_heads=[2, 2]), images()
    states, block = model(pixels, output_hidden_states=True).hidden_states, model.stages[0].layers[0]
    windows = model.stages[0].arrangements((16, 16), states[0])[0]
    tokens = states[0] + block.attention_norm(block.attention(states[0], windows)[0])
    tokens = tokens + block.feed_forward_norm(block.feed_forward(tokens))
    torch.testing.assert_close(block(states[0], windows), tokens)
