"""The weights of timm's VisionTransformer and ours: one table for both directions."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from ...models.configuration_vit import VisionTransformerConfig
from ...models.positions import sincos_2d
from ..core.rules import (
    Rule,
    Table,
    as_batch_of_one,
    constant,
    dropped,
    mapped,
    patch_kernel,
    require_value,
    turned,
    under,
    weight_and_bias,
    without_batch,
)

BLOCKS: Table = [
    *weight_and_bias("blocks.{layer}.norm1", "layers.{layer}.attention_norm"),
    *weight_and_bias("blocks.{layer}.attn.qkv", "layers.{layer}.attention.qkv"),
    *weight_and_bias("blocks.{layer}.attn.q_norm", "layers.{layer}.attention.query_norm"),
    *weight_and_bias("blocks.{layer}.attn.k_norm", "layers.{layer}.attention.key_norm"),
    *weight_and_bias("blocks.{layer}.attn.proj", "layers.{layer}.attention.output"),
    mapped("blocks.{layer}.ls1.gamma", "layers.{layer}.attention_scale.scale"),
    *weight_and_bias("blocks.{layer}.norm2", "layers.{layer}.feed_forward_norm"),
    *weight_and_bias("blocks.{layer}.mlp.fc1", "layers.{layer}.feed_forward.inner"),
    *weight_and_bias("blocks.{layer}.mlp.fc2", "layers.{layer}.feed_forward.outer"),
    mapped("blocks.{layer}.ls2.gamma", "layers.{layer}.feed_forward_scale.scale"),
]
ATTENTION_POOL: Table = [
    mapped("attn_pool.latent", "pool.query"),
    *weight_and_bias("attn_pool.q", "pool.query_projection"),
    *weight_and_bias("attn_pool.kv", "pool.key_value"),
    *weight_and_bias("attn_pool.proj", "pool.output"),
    *weight_and_bias("attn_pool.norm", "pool.norm"),
    *weight_and_bias("attn_pool.mlp.fc1", "pool.feed_forward.inner"),
    *weight_and_bias("attn_pool.mlp.fc2", "pool.feed_forward.outer"),
]


def timm_table(config: VisionTransformerConfig, *, no_embed_class: bool, head: bool = True) -> Table:
    """For our classifier, or without `head` for our `VisionTransformerModel`."""
    trunk = [
        patch_kernel(
            "patch_embed.proj.weight",
            "embeddings.patches.projection.weight",
            config.patch_embedding,
            channels=config.num_channels,
            patch_size=config.patch_size,
        ),
        mapped("patch_embed.proj.bias", "embeddings.patches.projection.bias"),
        mapped("cls_token", "embeddings.class_token"),
        *position_rules(config, no_embed_class),
        *weight_and_bias("norm_pre", "embeddings.norm"),
        *BLOCKS,
        *weight_and_bias("fc_norm" if config.final_norm == "pooled" else "norm", "norm"),
        *pool_rules(config),
    ]
    return [*under(trunk, ours="vit."), *weight_and_bias("head", "classifier")] if head else trunk


def pool_rules(config: VisionTransformerConfig) -> Table:
    if config.pooling in ("attention", "attention_patches"):
        return ATTENTION_POOL
    # As in SigLIP's checkpoints under the names of its models that pool by the mean.
    keys = tuple(key for rule in ATTENTION_POOL for key in rule.theirs)
    return [dropped(key, "an attention pool that the model does not use") for key in keys]


def position_rules(config: VisionTransformerConfig, no_embed_class: bool) -> Table:
    """Which rows of timm's table belong to which token depends on three of its words.

    Where registers have positions of their own, ours hold the sum, and are given back with rows of zeros.
    """
    registers, first = config.num_register_tokens, int(config.class_token)
    tokens = [mapped("reg_token", "embeddings.register_tokens")] if registers else []
    table = "embeddings.positions.table"
    if config.position_embedding in ("none", "rotary", "relative_bias"):
        return tokens
    if config.position_embedding == "sincos_2d":
        waves = sincos_2d(config.patch_grid, config.hidden_size)[None]
        return [*tokens, *turned([constant("pos_embed", waves if no_embed_class else beside_prefix(waves, first))])]
    if registers and not no_embed_class:
        split = {"first": first, "registers": registers}
        rule = mapped(
            ("reg_token", "pos_embed"),
            ("embeddings.register_tokens", table),
            partial(fold_registers, **split),
            partial(unfold_registers, **split),
        )
        return [as_embedding(rule) if config.position_embedding == "embedding" else rule]
    rule = mapped("pos_embed", table)
    if no_embed_class and first:
        rule = mapped("pos_embed", table, partial(beside_prefix, first=first), patches_alone)
    return [*tokens, as_embedding(rule) if config.position_embedding == "embedding" else rule]


def fold_registers(tokens: Tensor, table: Tensor, *, first: int, registers: int) -> tuple[Tensor, Tensor]:
    """1 r d, 1 (c r n) d -> 1 r d, 1 (c n) d"""
    class_row, rows, patches = table.split([first, registers, table.shape[1] - first - registers], dim=1)
    return tokens + rows, torch.cat([class_row, patches], dim=1)


def unfold_registers(tokens: Tensor, table: Tensor, *, first: int, registers: int) -> tuple[Tensor, Tensor]:
    """1 r d, 1 (c n) d -> 1 r d, 1 (c r n) d"""
    return tokens, torch.cat([table[:, :first], torch.zeros_like(tokens), table[:, first:]], dim=1)


def beside_prefix(table: Tensor, first: int) -> Tensor:
    """1 n d -> 1 (c n) d: nothing for the class token."""
    return functional.pad(table, (0, 0, first, 0))


def patches_alone(table: Tensor) -> Tensor:
    """1 (c n) d -> 1 n d"""
    require_value("The position of the class token", torch.zeros_like(table[:, :1]), table[:, :1])
    return table[:, 1:]


def as_embedding(rule: Rule) -> Rule:
    """The rule for a table of ours that lies in an nn.Embedding, the last of its keys."""

    def change(*tensors: Tensor) -> tuple[Tensor, ...]:
        made = rule.change(*tensors)
        *others, table = (made,) if isinstance(made, Tensor) else made
        return *others, without_batch(table)

    def inverse(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        *others, table = tensors
        return rule.inverse(*others, as_batch_of_one(table))

    return rule._replace(ours=(*rule.ours[:-1], f"{rule.ours[-1]}.weight"), change=change, inverse=inverse)
