"""Configurations of the three families, by hypothesis; many of them are refused."""

from typing import get_args

from hypothesis import strategies as st

from vit_hf.models import configuration_swin as swin_words
from vit_hf.models import configuration_timesformer as clip_words
from vit_hf.models import shapes as words

CONFIGS = st.fixed_dictionaries(
    {
        "image_size": st.one_of(st.integers(1, 12), st.lists(st.integers(1, 12), min_size=1, max_size=3)),
        "patch_size": st.one_of(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=2, max_size=2)),
        "num_channels": st.integers(0, 4),
        "hidden_size": st.sampled_from([4, 6, 8, 12]),
        "num_hidden_layers": st.integers(0, 3),
        "num_attention_heads": st.integers(1, 4),
        "head_dim": st.sampled_from([None, 1, 3, 4, 8]),
        "intermediate_size": st.integers(1, 9),
        "hidden_act": st.sampled_from(get_args(words.HiddenAct)),
        "qkv_bias": st.booleans(),
        "qk_norm": st.booleans(),
        "hidden_dropout_prob": st.sampled_from([0, 0.1, 1.0]),
        "attention_probs_dropout_prob": st.sampled_from([0.0, 0.5]),
        "drop_path_rate": st.sampled_from([0, 0.3, -1.0]),
        "layer_scale_init_value": st.sampled_from([None, 1e-4, 1]),
        "num_register_tokens": st.integers(0, 2),
        "patch_embedding": st.sampled_from(get_args(words.PatchEmbedding)),
        "patch_bias": st.booleans(),
        "partial_patches": st.sampled_from(get_args(words.PartialPatches)),
        "dual_patch_norm": st.booleans(),
        "position_embedding": st.sampled_from(get_args(words.PositionEmbedding)),
        "position_embedding_init": st.sampled_from(get_args(words.PositionEmbeddingInit)),
        "pre_norm": st.booleans(),
        "class_token": st.booleans(),
        "pooling": st.sampled_from(get_args(words.Pooling)),
        "final_norm": st.sampled_from(get_args(words.FinalNorm)),
        "add_pooling_layer": st.booleans(),
        "distillation_token": st.booleans(),
        "label_smoothing": st.sampled_from([0, 0.1]),
        "temperature": st.sampled_from([1, 1.7]),
        "num_labels": st.integers(2, 4),
    }
)


SIZES = st.one_of(st.integers(1, 13), st.lists(st.integers(1, 13), min_size=2, max_size=2))
SWIN_FIELDS = st.fixed_dictionaries(
    {
        "image_size": SIZES,
        "patch_size": st.one_of(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=2, max_size=2)),
        "num_channels": st.integers(1, 4),
        "embed_dim": st.sampled_from([6, 12]),
        "window_size": st.one_of(st.integers(1, 5), st.lists(st.integers(1, 5), min_size=2, max_size=2)),
        "mlp_ratio": st.sampled_from([0.5, 1, 2.5]),
        "hidden_act": st.sampled_from(get_args(words.HiddenAct)),
        "qkv_bias": st.booleans(),
        "hidden_dropout_prob": st.sampled_from([0, 0.1]),
        "attention_probs_dropout_prob": st.sampled_from([0.0, 0.5]),
        "drop_path_rate": st.sampled_from([0, 0.3]),
        "patch_embedding": st.sampled_from(get_args(words.PatchEmbedding)),
        "patch_norm": st.booleans(),
        "ape": st.booleans(),
        "position_embedding_init": st.sampled_from(get_args(words.PositionEmbeddingInit)),
        "block": st.sampled_from(get_args(swin_words.BlockOrder)),
        "attention": st.sampled_from(get_args(swin_words.WindowAttentionKind)),
        "position_bias": st.sampled_from(get_args(swin_words.PositionBias)),
        "mask_padding": st.booleans(),
        "label_smoothing": st.sampled_from([0, 0.1]),
        "temperature": st.sampled_from([1, 1.7]),
        "num_labels": st.integers(2, 4),
    }
)
STAGES = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=3)
# One in five is spoilt by one of these: were each field free, nearly all would be refused.
SPOILT = [
    *({name: 0} for name in ("image_size", "num_channels", "embed_dim", "window_size", "mlp_ratio", "patch_size")),
    *({"image_size": [5] * count} for count in (1, 3)),
    *({"depths": depths} for depths in ([], [0], [1, 1, 1, 1])),
    *({"num_heads": heads} for heads in ([], [5], [0])),
    *({"pretrained_window_sizes": sizes} for sizes in ([], [-1], [1, 2, 3, 4])),
    {"drop_path_rate": -1.0},
    {"mlp_ratio": 0.01},
]


@st.composite
def swin_configs(draw) -> dict:
    depths, heads, learned = zip(*draw(STAGES), strict=True)
    fields = draw(SWIN_FIELDS) | {"depths": list(depths), "num_heads": list(heads)}
    if fields["position_bias"] == "continuous" and draw(st.booleans()):
        fields["pretrained_window_sizes"] = list(learned)
    return fields | draw(st.sampled_from([{}] * 4 * len(SPOILT) + SPOILT))


CLIP_CONFIGS = st.fixed_dictionaries(
    {
        "image_size": st.one_of(st.integers(0, 9), st.lists(st.integers(1, 9), min_size=1, max_size=3)),
        "patch_size": st.one_of(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=2, max_size=2)),
        "num_channels": st.integers(0, 4),
        "num_frames": st.integers(0, 4),
        "attention_type": st.sampled_from(get_args(clip_words.AttentionType)),
        "class_attention": st.sampled_from(get_args(clip_words.ClassAttention)),
        "temporal_projection": st.booleans(),
        "hidden_size": st.sampled_from([4, 6, 8]),
        "num_hidden_layers": st.integers(0, 2),
        "num_attention_heads": st.integers(1, 4),
        "head_dim": st.sampled_from([None, 1, 4, 8]),
        "intermediate_size": st.integers(1, 9),
        "gated_feed_forward": st.booleans(),
        "hidden_act": st.sampled_from(get_args(words.HiddenAct)),
        "qkv_bias": st.booleans(),
        "qk_norm": st.booleans(),
        "hidden_dropout_prob": st.sampled_from([0, 0.1]),
        "attention_probs_dropout_prob": st.sampled_from([0.0, 0.5]),
        "drop_path_rate": st.sampled_from([0, 0.3, -1.0]),
        "layer_scale_init_value": st.sampled_from([None, 1e-4]),
        "patch_embedding": st.sampled_from(get_args(words.PatchEmbedding)),
        "position_embedding": st.sampled_from(get_args(clip_words.ClipPositionEmbedding)),
        "position_embedding_init": st.sampled_from(get_args(words.PositionEmbeddingInit)),
        "label_smoothing": st.sampled_from([0, 0.1]),
        "temperature": st.sampled_from([1, 1.7]),
        "num_labels": st.integers(2, 4),
    }
)
