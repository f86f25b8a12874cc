"""Each word of a config is built, and nothing is built that no word names."""

from typing import get_args

import pytest
from transformers.activations import ACT2FN

from vit_hf.models import configuration_swin as swin_words
from vit_hf.models import shapes as words
from vit_hf.models.patches import PATCHES
from vit_hf.models.pooling import POOLS
from vit_hf.models.positions import POSITIONS
from vit_hf.models.window_blocks import WINDOW_ATTENTIONS, WINDOW_BIASES, WINDOW_BLOCKS


@pytest.mark.parametrize(
    ("word", "table"),
    [
        (words.PatchEmbedding, PATCHES),
        (words.PositionEmbedding, POSITIONS),
        (words.Pooling, POOLS),
        (swin_words.BlockOrder, WINDOW_BLOCKS),
        (swin_words.WindowAttentionKind, WINDOW_ATTENTIONS),
        (swin_words.PositionBias, WINDOW_BIASES),
    ],
    ids=["patch_embedding", "position_embedding", "pooling", "block", "attention", "position_bias"],
)
def test_the_words_are_those_of_the_table(word, table):
    assert set(get_args(word)) == set(table)


@pytest.mark.parametrize("activation", get_args(words.HiddenAct))
def test_transformers_has_the_activation(activation):
    assert activation in ACT2FN
