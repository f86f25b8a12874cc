"""The Swin Transformer (arXiv:2103.14030), its head for classification, and its maps of features as a backbone."""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin, filter_output_hidden_states
from transformers.modeling_outputs import BackboneOutput, BaseModelOutputWithPooling, ImageClassifierOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from .attention import Attention, build_dropout
from .blocks import drop_path_rates
from .configuration_swin import SwinTransformerConfig
from .fast_windows import WindowTables, tables_of
from .modeling_base import ClassificationLoss, VisionPreTrainedModel, calibrated, check_pixels
from .patches import build_patches
from .pooling import MeanPool
from .positions import Grid, build_positions
from .shapes import UserError, pair
from .window_blocks import PatchMerging, PostNorm, UnitLength, build_window_block, halved
from .windows import fixed, in_image, windows_of


class SwinTransformerEmbeddings(nn.Module):
    """b c (h p) (w p) -> b (h w) d: a token for each patch, normalized, and with positions where the config says so."""

    def __init__(self, config: SwinTransformerConfig, *, use_mask_token: bool = False):
        super().__init__()
        width = config.embed_dim
        self.patch_size = pair(config.patch_size)
        self.patches = build_patches(
            config.patch_embedding, channels=config.num_channels, patch_size=config.patch_size, width=width
        )
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps) if config.patch_norm else nn.Identity()
        self.mask_token = nn.Parameter(torch.empty(1, 1, width)) if use_mask_token else None
        kind = "learned" if config.ape else "none"
        self.positions = build_positions(kind, grid=config.patch_grid, prefix=0, width=width)
        self.dropout = build_dropout(config.embedding_dropout_prob)

    def forward(self, pixel_values: Tensor, grid: Grid, bool_masked_pos: Tensor | None = None) -> Tensor:
        tokens = self.norm(self.patches(self.pad(pixel_values, grid)))  # b n d
        if bool_masked_pos is not None:
            if self.mask_token is None:
                raise UserError("bool_masked_pos needs a mask token, which only the model for masked images has.")
            tokens = torch.where(bool_masked_pos.bool()[..., None], self.mask_token.to(tokens.dtype), tokens)
        return self.dropout(self.positions(tokens, grid))  # b n d

    def pad(self, pixel_values: Tensor, grid: Grid) -> Tensor:
        """b c h w -> b c (h p) (w p): zeros below and to the right, up to whole patches."""
        height, width = pixel_values.shape[-2:]
        right, below = grid[1] * self.patch_size[1] - width, grid[0] * self.patch_size[0] - height
        if fixed(*grid) and not (right or below):
            return pixel_values
        return functional.pad(pixel_values, (0, right, 0, below))


class Stage(nn.Module):
    """b (h w) d -> b (h w) d: blocks with windows in their places and shifted, in turn; all but the first stage merge
    patches before: b (h 2 w 2) d -> b (h w) (2 d)."""

    def __init__(self, config: SwinTransformerConfig, number: int, rates: list[float], *, clamped: bool):
        super().__init__()
        self.heads = config.num_heads[number]
        self.window, self.clamped, self.mask_padding = pair(config.window_size), clamped, config.mask_padding
        width, post_norm = config.embed_dim * 2**number, config.block == "post_norm"
        self.merge = PatchMerging(width // 2, config.layer_norm_eps, post_norm=post_norm) if number else None
        self.layers = nn.ModuleList(build_window_block(config, number, rate) for rate in rates)

    def forward(self, tokens: Tensor, grid: Grid, output_attentions: bool = False) -> tuple[Tensor, Grid]:
        """-> the tokens, and the grid that they form"""
        if self.merge is not None:
            tokens, grid = self.merge(tokens, grid), halved(grid)
        for layer, windows in zip(self.layers, self.arrangements(grid, tokens), strict=True):
            tokens = layer(tokens, windows, output_attentions=output_attentions)
        return tokens, grid

    def arrangements(self, grid: Grid, like: Tensor) -> list[WindowTables]:
        """The windows of each block, for tokens of the dtype and device of `like`."""
        settings = {"clamped": self.clamped, "mask_padding": self.mask_padding}
        both = [windows_of(grid, self.window, shifted=shifted, **settings) for shifted in (False, True)]
        tables = [tables_of(windows, self.heads, like) for windows in both]
        return [tables[number % 2] for number in range(len(self.layers))]


class SwinTransformerPreTrainedModel(VisionPreTrainedModel):
    config: SwinTransformerConfig
    config_class = SwinTransformerConfig
    base_model_prefix = "swin"
    _no_split_modules = ["SwinTransformerEmbeddings", "PatchMerging", "Block", "PostNormBlock"]
    _can_record_outputs = {"hidden_states": Stage, "attentions": Attention}
    _input_embed_layer = "patches"
    # Their kernels take no bias.
    _supports_flash_attn = False
    _supports_flex_attn = False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As in other families; of Swin V2 norms after branches begin as zero, and scales of cosines at 10."""
        super()._init_weights(module)
        if isinstance(module, PostNorm):
            init.zeros_(module.weight)
        elif isinstance(module, UnitLength) and module.scale is not None:
            init.constant_(module.scale, math.log(10))


class SwinTransformerModel(SwinTransformerPreTrainedModel):
    """b c (h p) (w p) -> tokens b n d of the last stage and their mean b d; with `pool` off, tokens not normalized.

    clamped: whether windows are cut down to a stage that is no larger, and then not shifted. The original's code for
    classification does so; that for detection fills them up and shifts them.
    """

    def __init__(
        self, config: SwinTransformerConfig, *, pool: bool = True, clamped: bool = True, use_mask_token: bool = False
    ):
        super().__init__(config)
        self.embeddings = SwinTransformerEmbeddings(config, use_mask_token=use_mask_token)
        rates = iter(drop_path_rates(config.drop_path_rate, sum(config.depths)))
        stages = ([next(rates) for _ in range(depth)] for depth in config.depths)
        self.stages = nn.ModuleList(
            Stage(config, number, rates, clamped=clamped) for number, rates in enumerate(stages)
        )
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if pool else None
        self.pool = MeanPool(skip=0) if pool else None
        self.post_init()

    def grid_of(self, pixel_values: Tensor) -> Grid:
        """b c h w -> (rows, columns) of patches, begun ones included."""
        height, width = pixel_values.shape[-2:]
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage] (it holds this size fast)
            height, width = int(height), int(width)
        down, across = self.embeddings.patch_size
        return (height + down - 1) // down, (width + across - 1) // across

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: Tensor,
        bool_masked_pos: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        interpolate_pos_encoding: bool | None = None,
        head_mask: None = None,
        check_finite: bool = False,
    ) -> BaseModelOutputWithPooling:
        """b c h w, of any size -> last_hidden_state b n d, pooler_output b d.

        On request, hidden_states: the patches and what each stage makes of them; attentions: of each block, for each
        window, (b w) heads m m. `placed_attentions` puts the latter in the places of the image.
        bool_masked_pos: b (h w), True for patches that the mask token takes the place of.
        interpolate_pos_encoding: as transformers' code says it; any size is taken anyway.
        check_finite: refuse NaN and infinite pixels, which costs a look at each.

        Raises: UserError for images of the wrong rank, channels or dtype, and for a head_mask.
        """
        check_pixels(pixel_values, self.config.num_channels, finite=check_finite)
        grid, asked = self.grid_of(pixel_values), self.asked(output_attentions, output_hidden_states, head_mask)
        tokens = self.embeddings(pixel_values, grid, bool_masked_pos)  # b n d
        for stage in self.stages:
            tokens, grid = stage(tokens, grid, asked.attentions)  # b n d
        if self.norm is None or self.pool is None:
            return BaseModelOutputWithPooling(last_hidden_state=tokens)
        tokens = self.norm(tokens)
        return BaseModelOutputWithPooling(last_hidden_state=tokens, pooler_output=self.pool(tokens))

    @torch.no_grad()
    def placed_attentions(self, attentions: tuple[Tensor, ...], pixel_values: Tensor) -> list[Tensor]:
        """(b w) heads m m of each block -> b heads n n: from every token of the block's grid to every other, in the
        order of the image, rows first; 0 between tokens of different windows."""
        grid, maps, found = self.grid_of(pixel_values), iter(attentions), []
        stages: Any = self.stages
        for stage in stages:
            grid = grid if stage.merge is None else halved(grid)
            found += [in_image(next(maps), one.windows) for one in stage.arrangements(grid, attentions[0])]
        return found


class SwinTransformerForImageClassification(ClassificationLoss, SwinTransformerPreTrainedModel):
    """b c h w -> logits b labels; without labels (num_labels=0) the pooled features b d."""

    def __init__(self, config: SwinTransformerConfig):
        super().__init__(config)
        self.swin = SwinTransformerModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels) if config.num_labels else nn.Identity()
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **options: Any) -> ImageClassifierOutput:
        """labels: b whole numbers, or b labels of shares that need not be whole; see `loss_function`.

        options: those of `SwinTransformerModel.forward`, as for every head.
        """
        outputs = self.swin(pixel_values, return_dict=True, **options)
        logits = calibrated(self.classifier(outputs.pooler_output), self.config)
        return ImageClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class SwinTransformerBackbone(BackboneMixin, SwinTransformerPreTrainedModel):
    """b c h w -> one feature map b d h w for each stage in `config.out_features`, each with a norm of its own."""

    # Of a classifier, whose last stage has a norm of its own.
    _keys_to_ignore_on_load_unexpected = [r"^swin\.norm\."]

    def __init__(self, config: SwinTransformerConfig):
        super().__init__(config)
        widths = [config.embed_dim * 2**stage for stage in range(len(config.depths))]
        self.num_features = [config.embed_dim, *widths]
        self.swin = SwinTransformerModel(config, pool=False, clamped=False)
        names = zip(config.stage_names, self.num_features, strict=True)
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(width, eps=config.layer_norm_eps) for name, width in names if name in self.out_features}
        )
        self.post_init()

    @can_return_tuple
    @filter_output_hidden_states
    def forward(self, pixel_values: Tensor, **options: Any) -> BackboneOutput:
        outputs = self.swin(pixel_values, return_dict=True, **options)
        grids = [self.swin.grid_of(pixel_values)] * 2
        for _ in self.config.depths[1:]:
            grids.append(halved(grids[-1]))
        feature_maps = tuple(
            rearrange(self.norms[name](tokens), "b (h w) d -> b d h w", h=grid[0]).contiguous()
            for name, tokens, grid in zip(self.stage_names, outputs.hidden_states, grids, strict=True)
            if name in self.norms
        )
        return BackboneOutput(
            feature_maps=feature_maps,  # pyright: ignore[reportArgumentType] (one map for each stage, not one)
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


SwinTransformerConfig.register_for_auto_class()
SwinTransformerModel.register_for_auto_class("AutoModel")
SwinTransformerForImageClassification.register_for_auto_class("AutoModelForImageClassification")
SwinTransformerBackbone.register_for_auto_class("AutoBackbone")
