import pytest
import torch
from tiny import images, tiny, tiny_config

from vit_hf import VisionTransformerModel
from vit_hf.models.attention import Attention, with_bias

BACKENDS = ["eager", "sdpa"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("position_embedding", ["learned", "rotary", "relative_bias"])
def test_every_layer_shows_one_real_map_whatever_the_backend(backend, position_embedding):
    model = tiny(VisionTransformerModel, position_embedding=position_embedding)
    model.set_attn_implementation(backend)
    pixels = images()
    shown = model(pixels, output_attentions=True)
    assert len(shown.attentions) == 2
    for weights in shown.attentions:
        assert weights.shape == (2, 4, 17, 17)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 17))
    torch.testing.assert_close(shown.last_hidden_state, model(pixels).last_hidden_state, atol=1e-5, rtol=0)


def test_backends_agree():
    model, pixels = tiny(VisionTransformerModel, position_embedding="relative_bias", qk_norm=True).double(), images()
    model.set_attn_implementation("eager")
    written_out = model(pixels.double()).last_hidden_state
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(model(pixels.double()).last_hidden_state, written_out, atol=1e-12, rtol=0)


def test_a_map_is_the_softmax_of_scaled_products():
    config = tiny_config(hidden_size=4, num_attention_heads=1, head_dim=2)
    config._attn_implementation = "sdpa"
    attention = Attention(config, width=4, heads=1, head_width=2, bias=True, dropout=0.0, output_dropout=0.0)
    tokens = torch.randn(1, 3, 4)
    _, weights = attention(tokens, (1, 3), output_attentions=True)
    query, key, _ = attention.qkv(tokens)[0].split(2, dim=-1)
    torch.testing.assert_close(weights[0, 0], (query @ key.T / 2**0.5).softmax(-1))


def test_heads_need_not_add_up_to_the_width():
    model = tiny(VisionTransformerModel, head_dim=5)
    assert model.layers[0].attention.qkv.out_features == 3 * 4 * 5
    assert model.layers[0].attention.output.in_features == 4 * 5
    assert model(images()).last_hidden_state.shape == (2, 17, 32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("position_embedding", ["learned", "relative_bias"])
def test_what_a_masked_patch_shows_changes_nothing_for_the_others(backend, position_embedding):
    model = tiny(VisionTransformerModel, position_embedding=position_embedding, pooling="mean", num_register_tokens=1)
    model.set_attn_implementation(backend)
    seen = torch.ones(2, 16)
    seen[:, 12:] = 0  # the last row of patches
    image, other = images(), images()
    other[:, :, :24] = image[:, :, :24]
    torch.testing.assert_close(
        model(image, attention_mask=seen).pooler_output, model(other, attention_mask=seen).pooler_output
    )
    assert not torch.allclose(model(image).pooler_output, model(other).pooler_output)


def test_a_mask_may_count_all_tokens_or_the_patches_alone():
    model, pixels = tiny(VisionTransformerModel), images()
    seen = torch.ones(2, 16)
    seen[0, 3] = 0
    with_class_token = torch.cat([torch.ones(2, 1), seen], dim=1)
    by_patch, by_token = (model(pixels, attention_mask=mask).pooler_output for mask in (seen, with_class_token))
    assert torch.equal(by_patch, by_token)


def test_a_mask_that_sees_everything_changes_nothing():
    model, pixels = tiny(VisionTransformerModel, pooling="attention"), images()
    seen = model(pixels, attention_mask=torch.ones(2, 16)).pooler_output
    torch.testing.assert_close(seen, model(pixels).pooler_output)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"attention_mask of shape \(2, 9\) fits neither the 17 tokens nor the 16"):
        tiny(VisionTransformerModel)(images(), attention_mask=torch.ones(2, 9))


@pytest.mark.parametrize("backend", ["flex_attention", "flash_attention_2"])
def test_a_backend_that_takes_no_bias_is_refused(backend):
    model = tiny(VisionTransformerModel, position_embedding="relative_bias")
    model.config._attn_implementation_internal = backend
    with pytest.raises(ValueError, match=f"{backend}.*does not allow; take one of eager, sdpa"):
        model(images())


@pytest.mark.parametrize("mask", [None, torch.zeros(6, 1, 4, 4)], ids=["bias", "bias and mask"])
def test_a_bias_lies_along_keys_as_a_gpu_s_kernels_ask_for(mask):
    bias = torch.randn(4, 4, 3).permute(2, 0, 1)[None]  # as a table by steps and heads gives it
    term = with_bias(mask, bias, "sdpa")
    assert term.is_contiguous()
    assert torch.equal(term, (bias if mask is None else bias + mask).expand(term.shape))
