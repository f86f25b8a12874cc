"""What the models of all families share: how weights begin, and checks of images."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.masking_utils import create_bidirectional_mask

from .attention import ATTENTION_FUNCTIONS
from .blocks import LayerScale
from .pooling import AttentionPool
from .positions import LearnedPositions, RelativeBias
from .shapes import UserError
from .target_units import errors_in_std, in_units

try:  # in the package: weights that adapt, a sentence for every mistake, a card on every push
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.completion.loading import AdaptingModel  # pyright: ignore[reportAssignmentType]
    from vit_hf.completion.loss_function import ClassificationLoss  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise  # a circle of imports, which must not pass for a machine without the package

    class AdaptingModel:
        """Without the package weights are loaded by transformers alone."""

    class ClassificationLoss:
        """The same loss without the package's checks of labels."""

        def loss_function(self, labels: Tensor, logits: Tensor, config) -> Tensor:
            if config.target_std is not None:
                return errors_in_std(logits, labels.reshape(logits.shape), config.target_std).square().mean()
            if config.num_labels != 1 and config.problem_type in (None, "single_label_classification"):
                return nn.functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            return super().loss_function(labels, logits, config)  # pyright: ignore[reportAttributeAccessIssue]


class Asked(NamedTuple):
    """Which outputs of every layer are wanted."""

    attentions: bool
    hidden_states: bool


class VisionPreTrainedModel(AdaptingModel, PreTrainedModel):
    """Flags that transformers reads, and how weights begin."""

    main_input_name = "pixel_values"
    input_modalities = ["image"]
    supports_gradient_checkpointing = True
    # The heads average over the batch themselves.
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    def asked(self, output_attentions: bool | None, output_hidden_states: bool | None, head_mask: None) -> "Asked":
        """What a call asks for, or where it does not say the configuration.

        Raises: UserError for a head_mask, which code for transformers' models names, and leaves out.
        """
        if head_mask is not None:
            raise UserError("head_mask hides no heads in these models; leave it out, or give None.")
        return Asked(
            bool(self.config.output_attentions if output_attentions is None else output_attentions),
            bool(self.config.output_hidden_states if output_hidden_states is None else output_hidden_states),
        )

    def __init__(self, config, *inputs, **kwargs):
        # A field may have been assigned after the configuration was checked.
        config.validate()
        super().__init__(config, *inputs, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Truncated normal of std `initializer_range` for matrices and tokens, zeros for biases, ones for norms.

        Positions and the class token are from N(0, 1) where `position_embedding_init` says so, as in the tutorial.
        """
        draw = partial(init.trunc_normal_, std=self.config.initializer_range)
        draw_positions = init.normal_ if self.config.position_embedding_init == "normal" else draw
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            draw(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, (LearnedPositions, RelativeBias)):
            draw_positions(module.table)
        elif isinstance(module, nn.Embedding):  # transformers passes over its owner, which has no weights itself
            draw_positions(module.weight)
        elif isinstance(module, LayerScale):
            init.constant_(module.scale, module.start)
        elif isinstance(module, AttentionPool):
            draw(module.query)
        for name, drawn in (("class_token", draw_positions), ("register_tokens", draw), ("mask_token", draw)):
            if isinstance(token := getattr(module, name, None), nn.Parameter):
                drawn(token)


def calibrated(logits: Tensor, config) -> Tensor:
    """b labels -> b labels, divided by the temperature, or of a regression in the units of its targets; features of a
    model without labels stay as they are."""
    if not config.num_labels:
        return logits
    return in_units(logits / config.temperature if config.temperature != 1 else logits, config)


def check_pixels(pixel_values: Tensor, channels: int, *, finite: bool = False) -> None:
    """Raises: UserError unless these are images b c h w of floats; with `finite`, also for NaN and infinities."""
    if pixel_values is None:
        raise UserError("pixel_values are missing: give images as a float tensor of shape (batch, channels, h, w).")
    shape = tuple(pixel_values.shape)
    if len(shape) != 4:
        hint = "; add the batch with pixel_values[None]" if len(shape) == 3 else ""
        raise UserError(f"pixel_values of shape {shape} are not (batch, channels, height, width){hint}.")
    if shape[1] != channels:
        raise UserError(
            f"pixel_values of shape {shape} have {shape[1]} channels, the model takes {channels}; convert the images, "
            f"or load the model with num_channels={shape[1]}."
        )
    if not pixel_values.is_floating_point():
        raise UserError(
            f"pixel_values are {pixel_values.dtype}; the model takes floats as the image processor makes them, "
            "rescaled and normalized."
        )
    if finite and not bool(torch.isfinite(pixel_values).all()):
        bad = [row for row, image in enumerate(pixel_values) if not bool(torch.isfinite(image).all())]
        raise UserError(f"Images {bad[:10]} of the batch hold NaN or infinite pixels; look at how they were made.")


def masked_pixel_loss(reconstruction: Tensor, pixel_values: Tensor, mask: Tensor) -> Tensor:
    """b c h w, b c h w, b 1 h w -> one number: mean absolute error of the masked pixels.

    Source: SimMIM (arXiv:2111.09886), released code, whose 1e-5 keeps an empty mask finite.
    """
    error = nn.functional.l1_loss(reconstruction, pixel_values.to(reconstruction.dtype), reduction="none")
    mask = mask.to(error.dtype)
    return (error * mask).sum() / (mask.sum() + 1e-5) / pixel_values.shape[1]


def seen_tokens(attention_mask: Tensor | None, tokens: Tensor, prefix: int) -> Tensor | None:
    """b (h w) or b n -> b n, boolean: the `prefix` tokens, class token and registers, are always seen."""
    if attention_mask is None:
        return None
    images, count = tokens.shape[:2]
    seen = attention_mask.to(tokens.device, torch.bool)
    if seen.shape == (images, count - prefix):
        seen = nn.functional.pad(seen, (prefix, 0), value=True)
    if seen.shape != (images, count):
        those = f"the {count} tokens nor the {count - prefix} patches"
        raise UserError(f"attention_mask of shape {tuple(attention_mask.shape)} fits neither {those}.")
    return seen


def padding_mask(config, tokens: Tensor, seen: Tensor | None, *, written_out: bool):
    """b n -> the form that the attention backend takes: an additive b 1 1 n for the plain ones, else their own."""
    if seen is None:
        return None
    if written_out or config._attn_implementation in (None, *ATTENTION_FUNCTIONS):
        seen = seen[:, None, None, :]
        return torch.zeros_like(seen, dtype=tokens.dtype).masked_fill(~seen, torch.finfo(tokens.dtype).min)
    return create_bidirectional_mask(config=config, inputs_embeds=tokens, attention_mask=seen)
