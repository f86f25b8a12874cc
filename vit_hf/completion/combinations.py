"""Which numbers and words of a configuration go together; each refusal says what would do."""

from typing import Any

from ..errors import UserError
from ..models.shapes import Size, grid_of, pair


def require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value <= 0:
            raise UserError(f"{name}={value} must be greater than 0.")


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


def require_size(config: Any, *names: str, sides: str = "one number of pixels, or [height, width]") -> None:
    """Each named field is one number, or a pair of them."""
    for name in names:
        size: Size = getattr(config, name)
        if not isinstance(size, int) and len(size) != 2:
            raise UserError(f"{name}={size} must be {sides}.")
        if min(pair(size)) <= 0:
            raise UserError(f"{name}={size} must be greater than 0.")


def check_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads")
    require_positive(config, "intermediate_size", "layer_norm_eps", "initializer_range", "rope_theta")
    require_rates(config)
    if config.num_register_tokens < 0:
        raise UserError(f"num_register_tokens={config.num_register_tokens} must be 0 or more.")


def check_patch_grid(config: Any) -> None:
    require_size(config, "image_size", "patch_size")
    grid_of(config.image_size, config.patch_size)


def check_heads(config: Any) -> None:
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


def check_patch_norm(config: Any) -> None:
    if config.dual_patch_norm and config.patch_embedding == "conv":
        raise UserError(
            "dual_patch_norm=True normalizes flattened patches, which patch_embedding='conv' never has; "
            "take patch_embedding='linear'."
        )


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


def check_pooling(config: Any) -> None:
    if config.pooling == "cls" and not config.class_token:
        raise UserError("pooling='cls' needs class_token=True; without it take pooling='mean' or 'attention'.")
    if config.pooling.startswith("attention") and config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"pooling={config.pooling!r} divides hidden_size={config.hidden_size} into heads, which "
            f"num_attention_heads={config.num_attention_heads} does not; take another number, or pooling='mean'."
        )


def check_distillation(config: Any) -> None:
    """Its token is a register beside the class token, normalized with all others."""
    plain = config.pooling == "cls" and config.final_norm == "tokens" and not config.add_pooling_layer
    if config.distillation_token and not (plain and config.num_register_tokens):
        raise UserError(
            "distillation_token=True makes the first register answer beside the class token; it takes pooling='cls', "
            "final_norm='tokens', add_pooling_layer=False and num_register_tokens=1 or more."
        )


def check_stages(config: Any) -> None:
    """Each stage has blocks, and heads that divide its width."""
    depths, heads = config.depths, config.num_heads
    if not depths or len(depths) != len(heads):
        raise UserError(
            f"depths={depths} and num_heads={heads} must name one number for each stage, so equally many and at least "
            "one."
        )
    if min(depths) <= 0 or min(heads) <= 0:
        raise UserError(f"depths={depths} and num_heads={heads} must all be greater than 0.")
    require_positive(config, "embed_dim")
    for stage, count in enumerate(heads):
        if (width := config.embed_dim * 2**stage) % count:
            raise UserError(
                f"Stage {stage + 1} is embed_dim={config.embed_dim} times {2**stage} wide, which num_heads={heads} "
                f"does not divide: {width} into {count}; take another number there, or embed_dim="
                f"{config.embed_dim + -config.embed_dim % count}."
            )


def check_swin_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "mlp_ratio", "layer_norm_eps", "initializer_range")
    require_rates(config)
    require_size(config, "image_size", "patch_size")
    require_size(config, "window_size", sides="one number of patches, or [rows, columns]")
    sizes = config.pretrained_window_sizes
    if sizes is not None and (len(sizes) != len(config.depths) or min(sizes) < 0):
        raise UserError(
            f"pretrained_window_sizes={sizes} must name one number of patches for each of {len(config.depths)} stages, "
            "0 where the window is the one it was learned with."
        )
    if sizes is not None and config.position_bias == "table":
        raise UserError(
            f"pretrained_window_sizes={sizes} are for position_bias='continuous'; tables of biases are resampled when "
            "window_size changes at load."
        )
    if int(config.mlp_ratio * config.embed_dim) < 1:
        raise UserError(f"mlp_ratio={config.mlp_ratio} of embed_dim={config.embed_dim} leaves no width; take more.")


def check_timesformer_numbers(config: Any) -> None:
    require_positive(config, "num_channels", "num_frames", "hidden_size", "num_hidden_layers", "num_attention_heads")
    require_positive(config, "intermediate_size", "layer_norm_eps", "initializer_range")
    require_rates(config)


def check_space_and_time(config: Any) -> None:
    kind = config.attention_type
    if kind == "joint_space_time" and config.position_embedding == "rotary":
        raise UserError(
            "position_embedding='rotary' turns tokens by place or by frame, which attention_type='joint_space_time' "
            "does not hold apart; take position_embedding='learned', or attention_type='divided_space_time'."
        )
    if kind != "divided_space_time" and config.class_attention == "all":
        raise UserError(
            f"class_attention='all' is a form of 'divided_space_time'; leave it out with attention_type={kind!r}."
        )
