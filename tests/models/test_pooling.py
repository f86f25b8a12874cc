from typing import Any

import pytest
import torch
from tiny import images, tiny, tiny_config

from vit_hf import VisionTransformerForImageClassification, VisionTransformerModel
from vit_hf.models.pooling import AttentionPool, MeanPool, build_pool

TOKENS = torch.tensor([[[8.0], [4.0], [1.0], [3.0]]])  # a class token, a register, two patches


def pooled(word: str) -> float:
    return build_pool(tiny_config(pooling=word, num_register_tokens=1))(TOKENS).item()


def test_each_word_pools_what_it_says():
    assert pooled("cls") == 8.0
    assert pooled("mean") == 2.0
    assert pooled("mean_all") == 4.0


def test_the_class_token_and_the_mean_of_the_patches_lie_beside_each_other():
    pool = build_pool(tiny_config(pooling="cls_mean", num_register_tokens=1))
    assert pool(TOKENS).tolist() == [[8.0, 2.0]]
    assert pool(TOKENS, torch.tensor([[True, True, False, True]])).tolist() == [[8.0, 3.0]]


def test_a_classifier_of_one_pooling_says_the_same_beside_the_other(tmp_path):
    for pooling in ("cls", "mean"):
        model: Any = tiny(VisionTransformerForImageClassification, pooling=pooling, num_labels=3)
        model.save_pretrained(tmp_path)
        wide: Any = VisionTransformerForImageClassification.from_pretrained(tmp_path, pooling="cls_mean")
        assert wide.classifier.in_features == 2 * model.config.hidden_size
        pixels = images()
        torch.testing.assert_close(wide.eval()(pixels).logits, model.eval()(pixels).logits)
        wide.save_pretrained(tmp_path)
        narrow: Any = VisionTransformerForImageClassification.from_pretrained(tmp_path, pooling="cls")
        assert narrow.classifier.in_features == model.config.hidden_size


@pytest.mark.parametrize("words", [{"class_token": False}, {"final_norm": "pooled"}, {"add_pooling_layer": True}])
def test_what_the_class_token_and_the_mean_cannot_be_pooled_with_is_refused(words):
    with pytest.raises(ValueError, match="pooling='cls_mean'"):
        tiny_config(**{"pooling": "cls_mean", **words})


def test_the_mean_is_over_what_is_seen():
    seen = torch.tensor([[True, True, False, True]])
    assert MeanPool(skip=2)(TOKENS, seen).item() == 3.0
    assert MeanPool(skip=0)(TOKENS, seen).item() == 5.0


def test_attention_pooling_does_not_care_for_the_order_of_tokens():
    pool = AttentionPool(width=8, heads=2, inner=12, activation="gelu", eps=1e-6)
    torch.nn.init.normal_(pool.query)
    tokens = torch.randn(2, 5, 8)
    torch.testing.assert_close(pool(tokens), pool(tokens.flip(1)))


def test_attention_pooling_of_the_patches_alone_does_not_see_what_is_before_them():
    pool: Any = build_pool(tiny_config(pooling="attention_patches", num_register_tokens=1))
    torch.nn.init.normal_(pool.query)
    tokens, others, seen = torch.randn(2, 6, 32), torch.randn(2, 2, 32), torch.tensor([[True] * 5 + [False]] * 2)
    changed = torch.cat([others, tokens[:, 2:]], dim=1)
    torch.testing.assert_close(pool(tokens), pool(changed))
    torch.testing.assert_close(pool(tokens, seen), pool(changed[:, :5]))


def test_without_a_final_norm_tokens_are_left_as_the_last_layer_made_them():
    model = tiny(VisionTransformerModel, final_norm="none")
    out = model(images(), output_hidden_states=True)
    assert torch.equal(out.last_hidden_state, out.hidden_states[-1])
    assert "norm.weight" not in model.state_dict()


def test_the_last_norm_stands_before_or_after_pooling():
    before = tiny(VisionTransformerModel, pooling="mean")
    after = tiny(VisionTransformerModel, pooling="mean", final_norm="pooled")
    after.load_state_dict(before.state_dict())
    pixels = images()
    tokens = after(pixels).last_hidden_state
    torch.testing.assert_close(before(pixels).last_hidden_state, before.norm(tokens))
    torch.testing.assert_close(after(pixels).pooler_output, after.norm(tokens[:, 1:].mean(1)))


def test_the_pooler_is_a_tanh_of_the_pooled():
    model = tiny(VisionTransformerModel, add_pooling_layer=True)
    out = model(images())
    expected = model.pooler.dense(out.last_hidden_state[:, 0]).tanh()
    torch.testing.assert_close(out.pooler_output, expected)
