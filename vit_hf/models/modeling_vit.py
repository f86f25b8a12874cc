"""The Vision Transformer (arXiv:2010.11929), and its head for classification; other heads have files of their own."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from .attention import Attention, build_dropout
from .blocks import Block, FeedForward, drop_path_rates
from .configuration_vit import VisionTransformerConfig
from .fast_paths import needed_queries
from .modeling_base import (
    ClassificationLoss,
    VisionPreTrainedModel,
    calibrated,
    check_pixels,
    padding_mask,
    seen_tokens,
)
from .patches import build_patches
from .pooling import ClassTokenPool, build_pool
from .positions import Angles, Grid, RelativeBias, build_positions, rotary_2d
from .shapes import UserError, pair


class VisionTransformerEmbeddings(nn.Module):
    """b c (h p) (w p) -> b (1 r h w) d: the class token, r registers and a token for each patch, with positions."""

    def __init__(self, config: VisionTransformerConfig, *, use_mask_token: bool):
        super().__init__()
        width, eps, registers = config.hidden_size, config.layer_norm_eps, config.num_register_tokens
        self.cut = pair(config.patch_size) if config.partial_patches == "cut" else None
        sizes = {"channels": config.num_channels, "patch_size": config.patch_size, "width": width}
        norm, bias = config.dual_patch_norm, config.patch_bias
        self.patches = build_patches(config.patch_embedding, **sizes, norm=norm, eps=eps, bias=bias)
        self.positions = build_positions(
            config.position_embedding, grid=config.patch_grid, prefix=int(config.class_token), width=width
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, width)) if config.class_token else None
        self.register_tokens = nn.Parameter(torch.empty(1, registers, width)) if registers else None
        self.mask_token = nn.Parameter(torch.empty(1, 1, width)) if use_mask_token else None
        self.dropout = build_dropout(config.embedding_dropout_prob)
        self.norm = nn.LayerNorm(width, eps=eps) if config.pre_norm else nn.Identity()

    def forward(self, pixel_values: Tensor, grid: Grid, masked: Tensor | None = None) -> Tensor:
        if self.cut is not None:
            pixel_values = pixel_values[..., : grid[0] * self.cut[0], : grid[1] * self.cut[1]]
        tokens = self.patches(pixel_values)  # b n d
        tokens = self.hide(tokens, masked)  # b n d
        tokens = self.prepend_class_token(tokens)  # b (1 n) d
        tokens = self.positions(tokens, grid)  # b (1 n) d
        tokens = self.insert_registers(tokens)  # b (1 r n) d
        return self.norm(self.dropout(tokens))

    def hide(self, tokens: Tensor, masked: Tensor | None) -> Tensor:
        """b n d, b n -> b n d: the mask token in place of each masked patch."""
        if masked is None:
            return tokens
        if self.mask_token is None:
            raise UserError("bool_masked_pos needs a mask token, which only the model for masked images has.")
        return torch.where(masked.bool()[..., None], self.mask_token.to(tokens.dtype), tokens)

    def prepend_class_token(self, tokens: Tensor) -> Tensor:
        if self.class_token is None:
            return tokens
        return torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)

    def insert_registers(self, tokens: Tensor) -> Tensor:
        if self.register_tokens is None:
            return tokens
        first = 0 if self.class_token is None else 1
        registers = self.register_tokens.expand(tokens.shape[0], -1, -1)
        return torch.cat([tokens[:, :first], registers, tokens[:, first:]], dim=1)


def rotary_angles(config: VisionTransformerConfig, grid: Grid, device) -> Angles | None:
    """The angles of this grid, where attention turns by them."""
    if config.position_embedding != "rotary":
        return None
    width, prefix = config.attention_head_size, config.num_prefix_tokens
    return rotary_2d(grid, width, prefix=prefix, theta=config.rope_theta, device=device)


def build_relative_bias(config: VisionTransformerConfig) -> RelativeBias | None:
    """What attention adds for the step between two tokens, where the config says so."""
    if config.position_embedding != "relative_bias":
        return None
    return RelativeBias(config.patch_grid, config.num_prefix_tokens, config.num_attention_heads)


def build_encoder_block(config: VisionTransformerConfig, drop_path: float) -> Block:
    """One encoder block of the numbers in a config."""
    attention = Attention(
        config,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        head_width=config.attention_head_size,
        bias=config.qkv_bias,
        dropout=config.attention_probs_dropout_prob,
        output_dropout=config.hidden_dropout_prob,
        norm_eps=config.layer_norm_eps if config.qk_norm else None,
        relative_bias=build_relative_bias(config),
    )
    width, inner, activation = config.hidden_size, config.intermediate_size, config.hidden_act
    feed_forward = FeedForward(width=width, inner=inner, activation=activation, dropout=config.hidden_dropout_prob)
    layer_scale, eps = config.layer_scale_init_value, config.layer_norm_eps
    return Block(attention, feed_forward, width=width, eps=eps, drop_path=drop_path, layer_scale=layer_scale)


class VisionTransformerPreTrainedModel(VisionPreTrainedModel):
    config: VisionTransformerConfig
    config_class = VisionTransformerConfig
    base_model_prefix = "vit"
    _no_split_modules = ["VisionTransformerEmbeddings", "Block"]
    _can_record_outputs = {"hidden_states": Block, "attentions": Attention}
    _input_embed_layer = "patches"


class VisionTransformerModel(VisionTransformerPreTrainedModel):
    """b c (h p) (w p) -> tokens b n d and their pooling b d.

    With `pool` off the tokens are normalized and left at that; `use_mask_token` adds what stands for a masked patch.
    """

    def __init__(self, config: VisionTransformerConfig, *, pool: bool = True, use_mask_token: bool = False):
        super().__init__(config)
        self.embeddings = VisionTransformerEmbeddings(config, use_mask_token=use_mask_token)
        rates = drop_path_rates(config.drop_path_rate, config.num_hidden_layers)
        self.layers = nn.ModuleList(build_encoder_block(config, rate) for rate in rates)
        norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.norm = nn.Identity() if config.final_norm == "none" else norm
        self.pool = build_pool(config) if pool else None
        self.pooler = None
        if pool and config.add_pooling_layer:
            dense = nn.Linear(config.hidden_size, config.hidden_size)
            self.pooler = nn.Sequential(OrderedDict(dense=dense, tanh=nn.Tanh()))
        self.post_init()

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: Tensor,
        bool_masked_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        interpolate_pos_encoding: bool | None = None,
        head_mask: None = None,
        check_finite: bool = False,
        pooled_only: bool = False,
    ) -> BaseModelOutputWithPooling:
        """b c (h p) (w p) -> last_hidden_state b n d, pooler_output b d, and on request one entry for each layer.

        bool_masked_pos: b (h w), True where the mask token stands for a patch.
        attention_mask: b n, or b (h w) for the patches alone; True or 1 where a token may be looked at.
        interpolate_pos_encoding: as transformers' code says it; positions always follow the size.
        check_finite: refuse NaN and infinite pixels, which costs a look at each.
        pooled_only: of the last layer compute the class token alone, where pooling and nothing else looks at it; then
            last_hidden_state is b 1 d.

        Raises: UserError for images of the wrong rank, channels, size or dtype.
        """
        check_pixels(pixel_values, self.config.num_channels, finite=check_finite)
        grid = self.config.grid_of(pixel_values.shape[-2:])
        asked = self.asked(output_attentions, output_hidden_states, head_mask)
        tokens = self.embeddings(pixel_values, grid, bool_masked_pos)  # b n d
        seen = seen_tokens(attention_mask, tokens, self.config.num_prefix_tokens)  # b n
        mask = padding_mask(self.config, tokens, seen, written_out=asked.attentions)
        rotary = rotary_angles(self.config, grid, tokens.device)
        pooled_alone = pooled_only and not any(asked) and seen is None
        for layer, queries in zip(self.layers, self.queries_of_layers(alone=pooled_alone), strict=True):
            tokens = layer(tokens, grid, mask, rotary, asked.attentions, queries)  # b n d
        tokens, pooled = self.normalize_and_pool(tokens, seen)  # b n d, b d
        return BaseModelOutputWithPooling(last_hidden_state=tokens, pooler_output=pooled)

    def queries_of_layers(self, *, alone: bool) -> list[int | None]:
        """How many tokens look at all others in each layer: all (None), but of the last one only those that are pooled,
        where these `alone` are looked at."""
        pooled = 1 + self.config.distillation_token if alone and isinstance(self.pool, ClassTokenPool) else None
        return needed_queries(self.layers, pooled)

    def normalize_and_pool(self, tokens: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """b n d, b n -> b n d, b d: in the order that `final_norm` says; without a pool tokens alone, normalized."""
        if self.pool is None:
            return self.norm(tokens), None
        tokens = self.norm(tokens) if self.config.final_norm == "tokens" else tokens
        pooled = self.pool(tokens, seen)
        pooled = self.norm(pooled) if self.config.final_norm == "pooled" else pooled
        return tokens, pooled if self.pooler is None else self.pooler(pooled)


@dataclass
class ClassifierOutput(ImageClassifierOutput):
    """logits: the mean of both heads where a teacher taught one, whose own are the `distillation_logits`."""

    distillation_logits: Tensor | None = None


class VisionTransformerForImageClassification(ClassificationLoss, VisionTransformerPreTrainedModel):
    """b c (h p) (w p) -> logits b labels; without labels (num_labels=0) the pooled features b d."""

    def __init__(self, config: VisionTransformerConfig):
        super().__init__(config)
        self.vit = VisionTransformerModel(config)
        width = config.hidden_size * (2 if config.pooling == "cls_mean" else 1)
        self.classifier = nn.Linear(width, config.num_labels) if config.num_labels else nn.Identity()
        taught = config.num_labels if config.distillation_token else None
        self.distillation_classifier = nn.Linear(config.hidden_size, taught) if taught else None
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **options: Any) -> ClassifierOutput:
        """labels: b whole numbers, or b labels of shares that need not be whole; see `loss_function`.

        options: those of `VisionTransformerModel.forward`, as for every head.
        """
        outputs = self.vit(pixel_values, pooled_only=True, return_dict=True, **options)
        logits, taught = calibrated(self.classifier(outputs.pooler_output), self.config), None
        if self.distillation_classifier is not None:
            taught = calibrated(self.distillation_classifier(outputs.last_hidden_state[:, 1]), self.config)
            logits = (logits + taught) / 2
        return ClassifierOutput(
            distillation_logits=taught,
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def __getattr__(name: str) -> Any:
    """The heads with a file of their own, which so travels with every model."""
    if name in ("VisionTransformerBackbone", "VisionTransformerForMaskedImageModeling"):
        from .modeling_vit_heads import VisionTransformerBackbone, VisionTransformerForMaskedImageModeling

        heads = (VisionTransformerBackbone, VisionTransformerForMaskedImageModeling)
        return next(head for head in heads if head.__name__ == name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


VisionTransformerConfig.register_for_auto_class()
VisionTransformerModel.register_for_auto_class("AutoModel")
VisionTransformerForImageClassification.register_for_auto_class("AutoModelForImageClassification")
