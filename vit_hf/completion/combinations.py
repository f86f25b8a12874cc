"""Which numbers of a configuration go together, as far as families share them; each refusal says what would do."""

import math
from typing import Any

from ..errors import UserError
from ..models.shapes import Size, grid_of, pair


def require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise UserError(f"{name}={value} must be greater than 0{', and finite' * (not math.isfinite(value))}.")


def require_share(config: Any, *names: str) -> None:
    """Each named field lies in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise UserError(f"{name}={value} must be at least 0 and less than 1.")


def require_rates(config: Any) -> None:
    """What every family drops and smooths in training."""
    require_share(config, "hidden_dropout_prob", "attention_probs_dropout_prob", "embedding_dropout_prob")
    require_share(config, "drop_path_rate", "label_smoothing")


def check_layer_scale(config: Any) -> None:
    value = config.layer_scale_init_value
    if value is not None and not math.isfinite(value):
        raise UserError(f"layer_scale_init_value={value} must be finite, or None for no LayerScale.")


def check_temperature(config: Any) -> None:
    if not 0 < config.temperature < math.inf:
        raise UserError(f"temperature={config.temperature} must be greater than 0, and no infinity.")
    if config.temperature != 1 and config.problem_type == "regression":
        raise UserError(
            f"temperature={config.temperature} divides the logits of classes, and problem_type='regression' has none; "
            "leave it at 1."
        )


def check_target_units(config: Any) -> None:
    mean, std = config.target_mean, config.target_std
    if mean is None and std is None:
        return
    if mean is None or std is None or not len(mean) == len(std) == config.num_labels:
        raise UserError(
            f"target_mean={mean} and target_std={std} must have a number for each of the {config.num_labels} labels, "
            "or both be None."
        )
    if not all(map(math.isfinite, [*mean, *std])) or min(std) <= 0:
        raise UserError(f"target_mean={mean} must be finite, and target_std={std} also greater than 0.")
    if config.problem_type not in (None, "regression"):
        raise UserError(
            f"target_std={std} is of numbers to predict, and problem_type={config.problem_type!r} has none; leave it "
            "and target_mean at None."
        )


def require_size(config: Any, *names: str, sides: str = "one number of pixels, or [height, width]") -> None:
    """Each named field is one number, or a pair of them."""
    for name in names:
        size: Size = getattr(config, name)
        if not isinstance(size, int) and len(size) != 2:
            raise UserError(f"{name}={size} must be {sides}.")
        if min(pair(size)) <= 0:
            raise UserError(f"{name}={size} must be greater than 0.")


def check_patch_grid(config: Any) -> None:
    require_size(config, "image_size", "patch_size")
    try:
        grid_of(config.image_size, config.patch_size, getattr(config, "partial_patches", "refuse"))
    except UserError as error:
        sizes = f"image_size={config.image_size} is no grid of patch_size={config.patch_size}"
        raise UserError(f"{sizes}: {error}") from error


def check_heads(config: Any) -> None:
    require_positive(config, "hidden_size", "num_attention_heads")
    width, heads = config.hidden_size, config.num_attention_heads
    if config.head_dim is None and width % heads:
        fitting = [count for count in range(1, width + 1) if width % count == 0]
        nearest = min(fitting, key=lambda count: abs(count - heads))
        raise UserError(
            f"hidden_size={width} does not divide into num_attention_heads={heads}; "
            f"take {nearest} heads, or name a head_dim."
        )
    if config.head_dim is not None and config.head_dim <= 0:
        raise UserError(f"head_dim={config.head_dim} must be greater than 0, or None for hidden_size / heads.")


def check_positions(config: Any) -> None:
    if config.position_embedding == "sincos_2d" and config.hidden_size % 4:
        raise UserError(
            f"position_embedding='sincos_2d' needs a hidden_size that 4 divides, for sine and cosine of rows and "
            f"columns; {config.hidden_size} is not, {config.hidden_size + -config.hidden_size % 4} is."
        )
    if config.position_embedding == "rotary" and config.attention_head_size % 4:
        width = config.attention_head_size
        raise UserError(
            f"position_embedding='rotary' turns pairs by row and by column, so 4 must divide the width of a head; "
            f"{width} is not, head_dim={width + -width % 4} is."
        )
    if config.position_embedding_init == "normal" and config.position_embedding in (
        "sincos_2d",
        "rotary",
        "none",
    ):
        raise UserError(
            f"position_embedding={config.position_embedding!r} learns nothing that position_embedding_init='normal' "
            "could initialize; leave it at 'trunc_normal'."
        )
