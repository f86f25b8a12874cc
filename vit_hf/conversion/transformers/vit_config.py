"""What transformers' Vision Transformers say of themselves, in our words."""

from collections.abc import Callable
from typing import Any

from ...errors import UserError
from ...models.shapes import pair


def common(config: Any) -> dict[str, Any]:
    """The words that all of them share."""
    return {
        "image_size": sides(config.image_size),
        "patch_size": sides(config.patch_size),
        "num_channels": config.num_channels,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "head_dim": getattr(config, "head_dim", None),
        "hidden_act": config.hidden_act,
        "layer_norm_eps": config.layer_norm_eps,
        "initializer_range": getattr(config, "initializer_range", 0.02),
        "patch_embedding": "conv",
    }


def sides(size: Any) -> int | list[int]:
    return size if isinstance(size, int) else list(size)


def our_dropouts(config: Any) -> dict[str, Any]:
    """They drop units of the embeddings at the rate of the blocks."""
    return {
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "embedding_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": config.attention_probs_dropout_prob,
    }


def vit_words(config: Any) -> dict[str, Any]:
    return {
        **common(config),
        **our_dropouts(config),
        "intermediate_size": config.intermediate_size,
        "qkv_bias": config.qkv_bias,
    }


def deit_words(config: Any) -> dict[str, Any]:
    return {**vit_words(config), "num_register_tokens": 1}


def dinov2_words(config: Any) -> dict[str, Any]:
    require(config, "use_swiglu_ffn", False, "our feed-forward has no gate")
    return {
        **common(config),
        **our_dropouts(config),
        "intermediate_size": int(config.hidden_size * config.mlp_ratio),
        "qkv_bias": config.qkv_bias,
        "layer_scale_init_value": config.layerscale_value,
        "drop_path_rate": config.drop_path_rate,
        "num_register_tokens": getattr(config, "num_register_tokens", 0),
    }


def dinov3_words(config: Any) -> dict[str, Any]:
    require(config, "use_gated_mlp", False, "our feed-forward has no gate")
    require(config, "value_bias", config.query_bias, "our queries and values have both a bias or none")
    if config.key_bias:
        require(config, "query_bias", True, "our keys have a bias only beside queries and values")
    return {
        **common(config),
        "intermediate_size": config.intermediate_size,
        "attention_probs_dropout_prob": config.attention_dropout,
        "qkv_bias": config.query_bias,
        "layer_scale_init_value": config.layerscale_value,
        "drop_path_rate": config.drop_path_rate,
        "num_register_tokens": config.num_register_tokens,
        "position_embedding": "rotary",
        "rope_theta": config.rope_theta,
    }


def beit_words(config: Any) -> dict[str, Any]:
    biased = config.use_relative_position_bias or config.use_shared_relative_position_bias
    if biased:
        if config.use_absolute_position_embeddings:
            require(config, "use_relative_position_bias", False, "we add positions to tokens or to scores, not both")
        if config.use_shared_relative_position_bias:
            require(config, "use_relative_position_bias", False, "we have one bias for each layer, not a second beside")
        if len(set(pair(config.image_size))) > 1:
            require(config, "image_size", "a square", "transformers reads such a table of biases by the wrong side")
    learned = "learned" if config.use_absolute_position_embeddings else "none"
    return {
        **common(config),
        **our_dropouts(config),
        "intermediate_size": config.intermediate_size,
        "layer_scale_init_value": config.layer_scale_init_value if config.layer_scale_init_value > 0 else None,
        "drop_path_rate": config.drop_path_rate,
        "position_embedding": "relative_bias" if biased else learned,
        "pooling": "mean" if config.use_mean_pooling else "cls",
        "final_norm": "pooled" if config.use_mean_pooling else "tokens",
    }


def clip_words(config: Any) -> dict[str, Any]:
    return {
        **common(config),
        "intermediate_size": config.intermediate_size,
        "attention_probs_dropout_prob": config.attention_dropout,
        "patch_bias": False,
        "pre_norm": True,
        "final_norm": "pooled",
    }


def siglip_words(config: Any) -> dict[str, Any]:
    return {
        **common(config),
        "intermediate_size": config.intermediate_size,
        "attention_probs_dropout_prob": config.attention_dropout,
        "class_token": False,
        "pooling": "attention" if config.vision_use_head else "mean",
    }


def require(config: Any, name: str, wanted: Any, reason: str) -> None:
    """Raises: UserError where a field says what our words cannot."""
    if (found := getattr(config, name)) != wanted:
        raise UserError(
            f"{type(config).__name__} says {name}={found!r}, which has no form in our words: {reason}; "
            f"models with {name}={wanted!r} convert."
        )


WORDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "vit": vit_words,
    "deit": deit_words,
    "vit_mae": vit_words,
    "vit_msn": vit_words,
    "dinov2": dinov2_words,
    "dinov2_with_registers": dinov2_words,
    "dinov3_vit": dinov3_words,
    "beit": beit_words,
    "clip_vision_model": clip_words,
    "siglip_vision_model": siglip_words,
}
