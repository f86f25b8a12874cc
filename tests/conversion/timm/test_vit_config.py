"""What timm has no form for is refused, words that come later too."""

from typing import Any, get_args

import pytest

from vit_hf.conversion.timm import vit_config
from vit_hf.models.configuration_vit import VisionTransformerConfig
from vit_hf.models.shapes import HiddenAct, Pooling


def test_every_activation_has_a_form():
    assert {*get_args(HiddenAct)} == {*vit_config.ACT_LAYERS}


@pytest.mark.parametrize("word", [word for word in get_args(Pooling) if word != "cls_mean"])
def test_a_pooling_without_a_form_is_refused(word: Any, monkeypatch: pytest.MonkeyPatch):
    config = VisionTransformerConfig(pooling=word)
    assert vit_config.timm_arguments(config, pooled=True, no_embed_class=False)["global_pool"]
    monkeypatch.delitem(vit_config.GLOBAL_POOLS, word)
    with pytest.raises(ValueError, match=f"cannot represent pooling='{word}'"):
        vit_config.timm_arguments(config, pooled=True, no_embed_class=False)


def test_the_class_token_and_the_mean_beside_each_other_are_refused():
    config = VisionTransformerConfig(pooling="cls_mean")
    with pytest.raises(ValueError, match="cannot represent pooling='cls_mean'"):
        vit_config.timm_arguments(config, pooled=True, no_embed_class=False)


@pytest.mark.parametrize("word", ["rotary", "relative_bias"])
def test_positions_that_turn_or_bias_attention_are_refused(word: Any):
    config = VisionTransformerConfig(position_embedding=word)
    with pytest.raises(ValueError, match=f"cannot represent position_embedding='{word}'"):
        vit_config.timm_arguments(config, pooled=True, no_embed_class=False)
