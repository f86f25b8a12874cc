"""TimeSformer (arXiv:2102.05095), and its head for classification."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from .attention import Attention
from .blocks import Block, FeedForward, drop_path_rates
from .clips import Clip, FrameTable, TimeSformerEmbeddings, check_clips, rotary_clip, rotary_frame, seen_frames
from .configuration_timesformer import TimeSformerConfig
from .divided import CLIP_ATTENTIONS, DividedBlock, GatedFeedForward, PlaceAttention, TimeProjection
from .fast_paths import needed_queries
from .modeling_base import ClassificationLoss, VisionPreTrainedModel, calibrated, padding_mask
from .patches import dtype_of
from .shapes import grid_of

try:  # in the package: clip models that begin as models of images, and that merge what inference needs no more
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.completion.inflate import InflatedModel  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise  # a circle of imports, which must not pass for a machine without the package

    class InflatedModel:
        """Without the package a clip model begins with its own weights."""


@dataclass
class ClipModelOutput(BaseModelOutputWithPooling):
    """Beside the attentions of space, or of all tokens, those of time: (b n) heads t t of each layer."""

    temporal_attentions: tuple[Tensor, ...] | None = None


@dataclass
class ClipClassifierOutput(ImageClassifierOutput):
    """As `ClipModelOutput`."""

    temporal_attentions: tuple[Tensor, ...] | None = None


def build_clip_block(config: TimeSformerConfig, drop_path: float) -> Block:
    """One block of the numbers in a config."""
    numbers = {
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "head_width": config.attention_head_size,
        "bias": config.qkv_bias,
        "dropout": config.attention_probs_dropout_prob,
        "output_dropout": config.hidden_dropout_prob,
        "norm_eps": config.layer_norm_eps if config.qk_norm else None,
    }
    attention = CLIP_ATTENTIONS[config.attention_type](config, **numbers)
    build_feed_forward = GatedFeedForward if config.gated_feed_forward else FeedForward
    feed_forward = build_feed_forward(
        width=config.hidden_size,
        inner=config.intermediate_size,
        activation=config.hidden_act,
        dropout=config.hidden_dropout_prob,
    )
    options: dict[str, Any] = {"width": config.hidden_size, "eps": config.layer_norm_eps, "drop_path": drop_path}
    options["layer_scale"] = config.layer_scale_init_value
    if config.attention_type != "divided_space_time":
        return Block(attention, feed_forward, **options)
    temporal = PlaceAttention(config, **numbers)
    return DividedBlock(attention, feed_forward, temporal=temporal, projection=config.temporal_projection, **options)


class TimeSformerPreTrainedModel(InflatedModel, VisionPreTrainedModel):
    config: TimeSformerConfig
    config_class = TimeSformerConfig
    base_model_prefix = "timesformer"
    input_modalities = ["video"]
    _no_split_modules = ["TimeSformerEmbeddings", "Block", "DividedBlock"]
    _can_record_outputs = {
        "hidden_states": Block,
        "attentions": OutputRecorder(Attention, index=1, layer_name="attention"),
        "temporal_attentions": OutputRecorder(Attention, index=1, layer_name="temporal_attention"),
    }
    _input_embed_layer = "patches"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Time begins as if it were not there: rows of frames, and what attention over time adds, are zero."""
        super()._init_weights(module)
        if isinstance(module, FrameTable):
            init.zeros_(module.table)
        elif isinstance(module, TimeProjection):
            init.zeros_(module.weight)


class TimeSformerModel(TimeSformerPreTrainedModel):
    """b t c (h p) (w p) -> tokens b n d and that of the class b d."""

    def __init__(self, config: TimeSformerConfig):
        super().__init__(config)
        self.embeddings = TimeSformerEmbeddings(config)
        rates = drop_path_rates(config.drop_path_rate, config.num_hidden_layers)
        self.layers = nn.ModuleList(build_clip_block(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor,
        frame_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        interpolate_pos_encoding: bool | None = None,
        head_mask: None = None,
        check_finite: bool = False,
        pooled_only: bool = False,
        return_dict: bool | None = None,
    ) -> ClipModelOutput:
        """b t c (h p) (w p) -> last_hidden_state b (1 t h w) d, or of "space_only" b (1 h w) d, and pooler_output b d.

        On request, of each layer: hidden_states; attentions: of space (b t) heads (1 n) (1 n), of "joint_space_time"
        b heads (1 t n) (1 t n); temporal_attentions: (b n) heads t t.
        frame_mask: b t, False or 0 for frames that only fill a short clip up: what they show changes nothing. They
            count where frames outnumber learned positions.
        check_finite: refuse NaN and infinite pixels, which costs a look at each.
        pooled_only: of the last layer compute the class token alone, where nothing else is asked for; then
            last_hidden_state is b 1 d.

        Raises: UserError for clips of the wrong rank, channels, size or dtype.
        """
        check_clips(pixel_values, self.config.num_channels, finite=check_finite)
        asked = self.asked(output_attentions, output_hidden_states, head_mask)
        return self.encode(
            pixel_values.to(dtype_of(self.embeddings.patches.projection)),  # pyright: ignore[reportArgumentType]
            seen_frames(frame_mask, pixel_values),
            alone=pooled_only and not any(asked),
            output_attentions=asked.attentions,
            output_temporal_attentions=asked.attentions and self.config.attention_type == "divided_space_time",
            output_hidden_states=asked.hidden_states,
            return_dict=self.config.return_dict if return_dict is None else return_dict,
        )

    @capture_outputs(tie_last_hidden_states=False)
    def encode(self, pixel_values, seen, *, alone: bool, output_attentions: bool, **recorded: Any) -> ClipModelOutput:
        """b t c (h p) (w p), b t -> see `forward`. alone: whether nobody looks at more than the class token."""
        clip = self.clip_of(pixel_values, seen, written_out=output_attentions)
        tokens = self.embeddings(pixel_values, clip)  # b (1 t n) d
        for layer, queries in zip(self.layers, needed_queries(self.layers, 1 if alone else None), strict=True):
            tokens = layer(tokens, clip, output_attentions, queries)  # b (1 t n) d
        tokens = self.norm(self.embeddings.merge_frames(tokens, clip))
        return ClipModelOutput(last_hidden_state=tokens, pooler_output=tokens[:, 0])

    def clip_of(self, pixel_values: Tensor, seen: Tensor | None, *, written_out: bool) -> Clip:
        """b t c h w, b t -> what the layers are told of these clips."""
        config, frames = self.config, pixel_values.shape[1]
        grid = grid_of(pixel_values.shape[-2:], config.patch_size)
        divided, rotary = config.attention_type == "divided_space_time", config.position_embedding == "rotary"
        prefix, width = int(config.class_attention == "all"), config.attention_head_size
        in_space = rotary_frame(grid, width, like=pixel_values) if rotary else None
        in_time = rotary_clip(frames, width, prefix=prefix, like=pixel_values) if rotary and divided else None
        over_time = over_all = None
        if seen is not None:
            patches, pad = grid[0] * grid[1], nn.functional.pad
            time, everything = seen.repeat_interleave(patches, dim=0), seen.repeat_interleave(patches, dim=1)
            time, everything = pad(time, (prefix, 0), value=True), pad(everything, (1, 0), value=True)
            over_time = self.mask(time, pixel_values, written_out) if divided else None
            over_all = None if self.embeddings.apart else self.mask(everything, pixel_values, written_out)
        return Clip(frames, grid, seen, over_time, over_all, in_space, in_time)

    def mask(self, seen: Tensor, like: Tensor, written_out: bool):
        """b n -> the form that the attention backend takes."""
        return padding_mask(self.config, like.new_empty(*seen.shape, 1), seen, written_out=written_out)


class TimeSformerForVideoClassification(ClassificationLoss, TimeSformerPreTrainedModel):
    """b t c (h p) (w p) -> logits b labels; without labels (num_labels=0) the class token b d."""

    def __init__(self, config: TimeSformerConfig):
        super().__init__(config)
        self.timesformer = TimeSformerModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels) if config.num_labels else nn.Identity()
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        frame_mask: Tensor | None = None,
        **options: Any,
    ) -> ClipClassifierOutput:
        """labels: b whole numbers, or b labels of shares that need not be whole; see `loss_function`.

        frame_mask, options: those of `TimeSformerModel.forward`, as for every head. The mask has a name here, for an
        export cannot leave the sizes of unnamed arguments open.
        """
        outputs = self.timesformer(pixel_values, frame_mask, pooled_only=True, return_dict=True, **options)
        logits = calibrated(self.classifier(outputs.pooler_output), self.config)
        return ClipClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            temporal_attentions=outputs.temporal_attentions,
        )


TimeSformerConfig.register_for_auto_class()
TimeSformerModel.register_for_auto_class("AutoModel")
TimeSformerForVideoClassification.register_for_auto_class("AutoModelForVideoClassification")
