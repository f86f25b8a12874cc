"""What timm's VisionTransformer says of itself, in our words, and our words in its arguments."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from ...errors import UserError
from ...models.configuration_vit import VisionTransformerConfig
from ..core.infer_config import partial_patches_of

# The class of timm's activation -> our word; and our word -> timm's.
ACTIVATIONS = {
    "GELU": "gelu",
    "GELUTanh": "gelu_pytorch_tanh",
    "QuickGELU": "quick_gelu",
    "ReLU": "relu",
    "SiLU": "silu",
    "Swish": "silu",
    "SwishMe": "silu",
    "Mish": "mish",
    "MishMe": "mish",
    "Tanh": "tanh",
}
ACT_LAYERS = {
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "tanh": "tanh",
}
GLOBAL_POOLS = {"cls": "token", "mean": "avg", "mean_all": "avg", "attention": "map", "attention_patches": "map"}
# Those that are one row of a table for each token, or none.
POSITIONS_OF_TOKENS = ("learned", "embedding", "sincos_2d", "none")


def kind(module: Any) -> str:
    return type(module).__name__


def absent(module: Any) -> bool:
    return module is None or isinstance(module, nn.Identity)


def unsupported_features(model: Any) -> list[str]:
    """What our words cannot say of a live model of timm, each with the name of the argument that asked for it."""
    if kind(model) != "VisionTransformer":
        return [f"it is a {kind(model)}, and only VisionTransformer has our blocks"]
    if len(model.blocks) == 0:
        return ["depth=0"]
    kinds = {"block_fn": (kind(model.blocks[0]), "Block"), "embed_layer": (kind(model.patch_embed), "PatchEmbed")}
    if wrong := [f"{name}={found}, not {known}" for name, (found, known) in kinds.items() if found != known]:
        return wrong
    return [*unsupported_in_blocks(model), *unsupported_at_the_ends(model)]


def unsupported_in_blocks(model: Any) -> Iterator[str]:
    block = model.blocks[0]
    for argument, found, known in (
        ("norm_layer", kind(block.norm1), "LayerNorm"),
        ("attn_layer", kind(block.attn), "Attention"),
        ("mlp_layer", kind(block.mlp), "Mlp"),
    ):
        if found != known:
            yield f"{argument}={found}, not {known}"
    if kind(block.mlp) == "Mlp":
        if activation_of(block.mlp.act) is None:
            yield f"act_layer={kind(block.mlp.act)}"
        if not absent(block.mlp.norm):
            yield "scale_mlp_norm=True (a norm inside the feed-forward)"
        if block.mlp.fc2.bias is None:
            yield "proj_bias=False"
    if kind(block.attn) == "Attention":
        if not absent(block.attn.norm):
            yield "scale_attn_norm=True (a norm before the output of attention)"
        if not absent(getattr(block.attn, "gate", None)):
            yield "gated attention"
    shapes = {tuple(tuple(weight.shape) for weight in one.state_dict().values()) for one in model.blocks}
    if len(shapes) > 1:
        yield "blocks of different widths"
    if len(eps := {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)}) > 1:
        yield f"norms with different eps ({', '.join(f'{one:g}' for one in sorted(eps))})"


def unsupported_at_the_ends(model: Any) -> Iterator[str]:
    if not absent(model.patch_embed.norm):
        yield f"embed_norm_layer={kind(model.patch_embed.norm)}"
    if model.global_pool not in ("", *GLOBAL_POOLS.values()):
        yield f"global_pool={model.global_pool!r}"
    if model.global_pool == "" and not (absent(model.head) and absent(model.fc_norm)):
        yield "global_pool='' with a head for each token; take reset_classifier(0, '') for the tokens, or pool them"
    if pool := model.attn_pool:
        plain = pool.latent_len == 1 and pool.pos_embed is None and absent(pool.q_norm) and not absent(pool.q)
        if not plain or pool.num_heads != model.blocks[0].attn.num_heads or kind(pool.norm) != "LayerNorm":
            yield "an attention pool with more than one query, positions or norms of its own"


def activation_of(module: nn.Module) -> str | None:
    if isinstance(module, nn.GELU) and module.approximate == "tanh":
        return "gelu_pytorch_tanh"
    return ACTIVATIONS.get(kind(module))


def config_from_timm(model: Any) -> tuple[VisionTransformerConfig, list[str]]:
    """-> the config that builds the same, and a line for each setting of training that we have no word for.

    Raises: UserError that names what our words cannot say.
    """
    if reasons := unsupported_features(model):
        raise UserError(f"This model of timm has no form in our words: {'; '.join(reasons)}.")
    block, patches = model.blocks[0], model.patch_embed
    size = patches.img_size or model.pretrained_cfg["input_size"][1:]
    fields: dict[str, Any] = {
        "image_size": int_or_pair(size),
        "patch_size": int_or_pair(patches.patch_size),
        "partial_patches": partial_patches_of(size, patches.patch_size),
        "num_channels": patches.proj.in_channels,
        "hidden_size": model.embed_dim,
        "num_hidden_layers": len(model.blocks),
        "num_attention_heads": block.attn.num_heads,
        "head_dim": None if block.attn.head_dim * block.attn.num_heads == model.embed_dim else block.attn.head_dim,
        "intermediate_size": block.mlp.fc1.out_features,
        "hidden_act": activation_of(block.mlp.act),
        "qkv_bias": block.attn.qkv.bias is not None,
        "qk_norm": not absent(block.attn.q_norm),
        "hidden_dropout_prob": block.attn.proj_drop.p,
        "attention_probs_dropout_prob": block.attn.attn_drop.p,
        "embedding_dropout_prob": model.pos_drop.p,
        "drop_path_rate": getattr(model.blocks[-1].drop_path1, "drop_prob", 0.0),
        "layer_scale_init_value": None if absent(block.ls1) else block.ls1.init_values,
        "layer_norm_eps": block.norm1.eps,
        "patch_embedding": "conv",
        "patch_bias": patches.proj.bias is not None,
        "position_embedding": "none" if model.pos_embed is None else "learned",
        "pre_norm": not absent(model.norm_pre),
        "class_token": model.has_class_token,
        "num_register_tokens": model.num_reg_tokens,
        "pooling": pooling_of(model),
        "final_norm": final_norm_of(model),
        "num_labels": model.num_classes,
    }
    return VisionTransformerConfig(**fields), left_out(model)


def int_or_pair(size) -> int | list[int]:
    height, width = size
    return height if height == width else [height, width]


def pooling_of(model: Any) -> str:
    whole = model.pool_include_prefix or not model.num_prefix_tokens
    if model.global_pool == "map":
        return "attention" if whole else "attention_patches"
    if model.global_pool == "avg":
        return "mean_all" if model.pool_include_prefix and model.num_prefix_tokens else "mean"
    # Without pooling the word is idle, and must only be possible.
    return "cls" if model.has_class_token else "mean"


def final_norm_of(model: Any) -> str:
    if not absent(model.fc_norm):
        return "pooled"
    return "none" if absent(model.norm) else "tokens"


def left_out(model: Any) -> list[str]:
    """Settings that change training alone."""
    rates = {"drop_rate": model.head_drop.p, "patch_drop_rate": getattr(model.patch_drop, "prob", 0.0)}
    return [f"{name}={rate:g} (dropped in training alone) is left out" for name, rate in rates.items() if rate]


def timm_arguments(config: VisionTransformerConfig, *, pooled: bool, no_embed_class: bool) -> dict[str, Any]:
    """The arguments of timm's VisionTransformer that build the same; without `pooled` its output are the tokens.

    no_embed_class: whether the class token has no position.

    Raises: UserError that names the fields that timm cannot represent.
    """
    if reasons := list(unsupported_by_timm(config)):
        raise UserError(f"timm's VisionTransformer cannot represent {'; '.join(reasons)}.")
    return {
        "img_size": config.image_size,
        "patch_size": config.patch_size,
        "in_chans": config.num_channels,
        "num_classes": config.num_labels if pooled else 0,
        "global_pool": GLOBAL_POOLS[config.pooling] if pooled else "",
        "embed_dim": config.hidden_size,
        "depth": config.num_hidden_layers,
        "num_heads": config.num_attention_heads,
        "mlp_ratio": ratio_of(config.intermediate_size, config.hidden_size),
        "qkv_bias": config.qkv_bias,
        "qk_norm": config.qk_norm,
        "init_values": config.layer_scale_init_value,
        "class_token": config.class_token,
        "pos_embed": "none" if config.position_embedding == "none" else "learn",
        "no_embed_class": no_embed_class,
        "reg_tokens": config.num_register_tokens,
        "pre_norm": config.pre_norm,
        "final_norm": config.final_norm != "none",
        "fc_norm": pooled and config.final_norm == "pooled",
        "pool_include_prefix": pooled and pools_prefix(config),
        "dynamic_img_size": config.partial_patches == "refuse",  # or timm would refuse what is to be cut
        "pos_drop_rate": config.embedding_dropout_prob,
        "proj_drop_rate": config.hidden_dropout_prob,
        "attn_drop_rate": config.attention_probs_dropout_prob,
        "drop_path_rate": config.drop_path_rate,
        "act_layer": ACT_LAYERS[config.hidden_act],
    }


def pools_prefix(config: VisionTransformerConfig) -> bool:
    """Whether class token and registers are pooled with the patches."""
    return config.pooling == "mean_all" or (config.pooling == "attention" and config.num_prefix_tokens > 0)


def unsupported_by_timm(config: VisionTransformerConfig) -> Iterator[str]:
    if config.position_embedding not in POSITIONS_OF_TOKENS:
        yield f"position_embedding={config.position_embedding!r}"
    if config.pooling not in GLOBAL_POOLS:
        yield f"pooling={config.pooling!r}"
    if config.dual_patch_norm:
        yield "dual_patch_norm=True"
    for name in ("add_pooling_layer", "distillation_token"):
        if getattr(config, name):
            yield f"{name}=True"
    if config.attention_head_size * config.num_attention_heads != config.hidden_size:
        yield f"head_dim={config.head_dim} other than hidden_size / num_attention_heads"
    if config.patch_bias == config.pre_norm:
        yield f"patch_bias={config.patch_bias} beside pre_norm={config.pre_norm} (timm has one of them, never both)"


def ratio_of(inner: int, width: int) -> float:
    """The mlp_ratio of which timm makes `inner` again, which it rounds down."""
    return inner / width if int(width * (inner / width)) == inner else (inner + 0.5) / width
