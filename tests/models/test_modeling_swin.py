from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import V2, images, tiny_swin, tiny_swin_config
from transformers import AutoModelForMaskedImageModeling

from vit_hf import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    SwinTransformerForMaskedImageModeling,
    SwinTransformerModel,
)
from vit_hf.models import window_blocks
from vit_hf.models.fast_windows import KEPT

Classifier = SwinTransformerForImageClassification
ODD = [(32, 32), (33, 45), (32, 6), (5, 70), (2, 2), (1, 1)]


@pytest.mark.parametrize("size", ODD)
def test_images_of_any_size_go_through(size):
    model = tiny_swin(Classifier, ape=True)
    out = model(images(height=size[0], width=size[1]), labels=torch.tensor([0, 1]), output_hidden_states=True)
    rows, columns = (-(-side // 2) for side in size)
    assert [tokens.shape[1] for tokens in out.hidden_states] == [
        rows * columns,
        rows * columns,
        -(-rows // 2) * -(-columns // 2),
    ]
    out.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("words", [{}, V2], ids=["v1", "v2"])
def test_the_same_image_gives_the_same_logits_whatever_came_before(words):
    """transformers' Swin keeps the smaller windows, and no shift, of the smallest image that it has seen."""
    model, image = tiny_swin(Classifier, **words), images()
    first = model(image).logits
    for size in ODD:
        model(images(height=size[0], width=size[1]))
    assert torch.equal(model(image).logits, first)
    KEPT.clear()
    assert torch.equal(model(image).logits, first)


def test_nothing_but_weights_is_saved_or_held():
    model = tiny_swin(Classifier)
    assert not list(model.buffers())
    assert {key.rsplit(".", 1)[1] for key in model.state_dict()} == {"weight", "bias", "table"}


def test_each_block_has_a_map_which_can_be_placed_in_the_image():
    model, pixels = tiny_swin(SwinTransformerModel), images(height=28, width=40)
    maps = model(pixels, output_attentions=True).attentions
    assert len(maps) == 4
    image = model.placed_attentions(maps, pixels)
    assert [weights.shape for weights in image] == [(2, 2, 280, 280)] * 2 + [(2, 2, 70, 70)] * 2
    # 14 x 20 patches: no window of the first block is padded along rows of 20, and 14 rows end within the fourth.
    inside = image[0][:, :, : 12 * 20].sum(-1)
    torch.testing.assert_close(inside, torch.ones_like(inside))
    assert (image[0][:, :, 0] > 0).nonzero()[:, -1].unique().tolist() == [
        *range(4), *range(20, 24), *range(40, 44), *range(60, 64)
    ]  # fmt: skip
    shifted = (image[1][:, :, 0] > 0).nonzero()[:, -1].unique().tolist()
    assert shifted == [0, 1, 20, 21]  # the corner, that the roll put beside others


def test_padding_can_be_hidden_from_attention():
    pixels = images(height=28, width=28)
    seen, hidden = (tiny_swin(SwinTransformerModel, mask_padding=word) for word in (False, True))
    hidden.load_state_dict(seen.state_dict())
    for model, whole in ((seen, False), (hidden, True)):
        maps = model(pixels, output_attentions=True).attentions
        sums = torch.cat([weights.sum(-1).flatten() for weights in model.placed_attentions(maps, pixels)])
        assert torch.allclose(sums, torch.ones_like(sums)) == whole


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_written_out_and_fused_agree(implementation):
    model, pixels = tiny_swin(Classifier), images(height=30, width=44)
    expected = model(pixels, output_attentions=True).logits
    model.set_attn_implementation(implementation)
    torch.testing.assert_close(model(pixels).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("patch_embedding", ["linear", "conv"])
def test_patches_need_not_be_square(patch_embedding):
    model = tiny_swin(Classifier, patch_size=[2, 4], image_size=[32, 48], ape=True, patch_embedding=patch_embedding)
    assert model.config.patch_grid == (16, 12)
    for size in [(32, 48), (20, 31)]:
        assert model(images(height=size[0], width=size[1])).logits.shape == (2, 5)


def test_a_backbone_maps_the_stages_it_is_asked_for():
    model = tiny_swin(SwinTransformerBackbone, out_features=["stem", "stage1", "stage2"])
    assert (model.num_features, model.channels) == ([8, 8, 16], [8, 8, 16])
    pixels = images(height=33, width=46)
    maps, states = model(pixels).feature_maps, model.swin(pixels, output_hidden_states=True).hidden_states
    assert [tuple(one.shape) for one in maps] == [(2, 8, 17, 23), (2, 8, 17, 23), (2, 16, 9, 12)]
    for name, found, tokens in zip(model.stage_names, maps, states, strict=True):
        assert torch.equal(found.flatten(2).transpose(1, 2), model.norms[name](tokens))


def test_gradient_checkpointing_changes_no_gradient():
    model, pixels = tiny_swin(Classifier, drop_path_rate=0.3).train(), images(height=28, width=36)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
            getattr(model, new if hasattr(model, new) else old)()
        model.zero_grad()
        torch.manual_seed(0)
        model(pixels, labels=torch.tensor([1, 2])).loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_no_labels_give_the_features():
    model, pixels = tiny_swin(Classifier, num_labels=0), images()
    assert torch.equal(model(pixels).logits, model.swin(pixels).pooler_output)
    tokens = model.swin(pixels).last_hidden_state
    torch.testing.assert_close(model(pixels).logits, torch.nn.AdaptiveAvgPool1d(1)(tokens.transpose(1, 2))[..., 0])


ANY = st.fixed_dictionaries(
    {
        "window_size": st.lists(st.integers(1, 6), min_size=2, max_size=2),
        "patch_size": st.lists(st.integers(1, 3), min_size=2, max_size=2),
        "mask_padding": st.booleans(),
        "position_bias": st.sampled_from(["table", "continuous"]),
    }
)
SIDE = st.integers(1, 21)


@settings(max_examples=60)
@given(ANY, SIDE, SIDE, SIDE, SIDE)
def test_an_image_of_any_size_is_answered_for_itself(words, height, width, other_height, other_width):
    """Whatever lies beside it in the batch, and whichever sizes came before."""
    model = tiny_swin(Classifier, **words, attn_implementation="sdpa").double()
    pixels, others = images(3, height, width).double(), images(1, other_height, other_width).double()
    for context in (torch.no_grad, torch.enable_grad):
        with context():
            alone = model(pixels[1:2]).logits
            model(others)
            together = model(pixels).logits
            model(images(2, height, width).double())
            torch.testing.assert_close(together[1:2], alone, atol=1e-12, rtol=0)
            assert torch.equal(model(pixels[1:2]).logits, alone)


@settings(max_examples=60)
@given(ANY, SIDE, SIDE)
def test_attention_of_windows_is_that_of_the_image_with_all_others_hidden(words, height, width):
    """The first block's maps in image coordinates, with values mixed by them, are what the block makes."""
    model = tiny_swin(SwinTransformerModel, **{**words, "mask_padding": True}, depths=[2], num_heads=[2]).double()
    pixels = images(2, height, width).double()
    maps = model.placed_attentions(model(pixels, output_attentions=True).attentions, pixels)
    tokens, grid = model.embeddings(pixels, model.grid_of(pixels)), model.grid_of(pixels)
    for layer, weights, windows in zip(
        model.stages[0].layers, maps, model.stages[0].arrangements(grid, tokens), strict=True
    ):
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)), atol=1e-12, rtol=0)
        attention, normed = layer.attention, layer.attention_norm(tokens)
        value = attention.qkv(normed).chunk(3, dim=-1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
        expected = attention.output((weights @ value).transpose(1, 2).flatten(2))
        torch.testing.assert_close(attention(normed, windows)[0], expected, atol=1e-12, rtol=0)
        tokens = layer(tokens, windows)


REFUSED = [
    ({"pretrained_window_sizes": [2, 2]}, "are for position_bias='continuous'"),
    ({"pretrained_window_sizes": [2], **V2}, r"must name one number of patches for each of 2 stages"),
    ({"embed_dim": 9}, "9 into 2; take another number there, or embed_dim=10"),
    ({"depths": [2]}, r"depths=\[2\] and num_heads=\[2, 2\] must name one number for each stage"),
    ({"depths": [], "num_heads": []}, "at least one"),
    ({"depths": [2, 0]}, "must all be greater than 0"),
    ({"window_size": 0}, "window_size=0 must be greater than 0"),
    ({"window_size": [7, 7, 7]}, r"must be one number of patches, or \[rows, columns\]"),
    ({"mlp_ratio": 0.01}, "leaves no width"),
    ({"drop_path_rate": 1.0}, "drop_path_rate=1.0 must be at least 0 and less than 1"),
    ({"window": 7}, "no field 'window'; did you mean 'window_size'"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=str)
def test_what_no_model_can_be_built_from_is_refused_in_a_sentence(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_swin_config(**fields)


@pytest.mark.parametrize("size", [(32, 32), (30, 44), (9, 60)])
@pytest.mark.parametrize("words", [{}, {"mask_padding": True}, V2], ids=str)
def test_image_by_image_attention_is_the_same(size, words, monkeypatch):
    """What a CPU does when it only looks, beside what it does to learn."""
    calls, own = [], window_blocks.attend_image_by_image
    monkeypatch.setattr(window_blocks, "attend_image_by_image", lambda *given: calls.append(given) or own(*given))
    model = tiny_swin(Classifier, **words, attn_implementation="sdpa").double()
    pixels = images(height=size[0], width=size[1]).double()
    expected = model(pixels).logits
    assert not calls
    with torch.no_grad():
        looked = model(pixels).logits
        assert len(calls) == 4
    torch.testing.assert_close(looked, expected, atol=1e-12, rtol=0)


def test_half_precision_by_autocast_and_by_weights_works():
    model, pixels = tiny_swin(Classifier), images(height=30, width=44)
    exact = model(pixels).logits
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(pixels).logits.float(), exact, atol=0.2, rtol=0)
    with torch.no_grad():
        half = model.bfloat16()(pixels).logits
    torch.testing.assert_close(half.float(), exact, atol=0.2, rtol=0)


def test_units_of_attention_are_dropped_in_training_without_gradients_too():
    model, pixels = tiny_swin(Classifier, attention_probs_dropout_prob=0.5).train(), images()
    with torch.no_grad():
        assert not torch.equal(model(pixels).logits, model(pixels).logits)
        model.eval()
        assert torch.equal(model(pixels).logits, model(pixels).logits)


def test_a_painter_is_found_paints_images_of_any_size_and_begins_a_classifier(tmp_path):
    model = tiny_swin(SwinTransformerForMaskedImageModeling)
    hidden = torch.rand(2, 18 * 12, generator=torch.Generator().manual_seed(0)) < 0.5
    pixels = images(2, 35, 24)
    assert model.swin.grid_of(pixels) == (18, 12)
    found = model(pixels, bool_masked_pos=hidden)
    assert found.reconstruction.shape == pixels.shape
    shown = hidden.unflatten(1, (18, 12)).repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None, :35, :24]
    error = (found.reconstruction - pixels).abs() * shown
    torch.testing.assert_close(found.loss, error.sum() / shown.sum() / 3)
    other = torch.where(shown, torch.randn_like(pixels), pixels)  # what is hidden is not seen
    torch.testing.assert_close(model(other, bool_masked_pos=hidden).reconstruction, found.reconstruction)
    assert model(pixels).loss is None
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedImageModeling.from_pretrained(tmp_path)
    torch.testing.assert_close(again(pixels).reconstruction, model(pixels).reconstruction, rtol=0, atol=0)
    classifier: Any = SwinTransformerForImageClassification.from_pretrained(tmp_path, num_labels=3)
    weight = model.swin.stages[1].layers[0].attention.qkv.weight
    assert torch.equal(classifier.swin.stages[1].layers[0].attention.qkv.weight, weight)
    with pytest.raises(ValueError, match="needs a mask token"):
        tiny_swin(SwinTransformerModel)(pixels, bool_masked_pos=hidden)
