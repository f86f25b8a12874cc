"""Our words in the configurations of transformers' own models, so that a repository loads without any code of ours."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ...errors import UserError
from ...models.configuration_vit import VisionTransformerConfig
from ...models.shapes import pair

Arguments = dict[str, Any]


class VitTarget(NamedTuple):
    """A model of transformers that can be the same function as ours.

    classes: the class for each task of ours.
    says: for each field of ours that it does not leave free, the values that it can represent.
    arguments: our config -> its arguments.
    further: our config -> complaints about numbers that it cannot represent.
    """

    classes: dict[str, str]
    says: dict[str, tuple[Any, ...]]
    arguments: Callable[[VisionTransformerConfig], Arguments]
    further: Callable[[VisionTransformerConfig], Iterator[str]] = lambda config: iter(())


# What all of them lack, and what all but those of texts and images have.
PLAIN = {
    "dual_patch_norm": (False,),
    "qk_norm": (False,),
    "patch_bias": (True,),
    "pre_norm": (False,),
    "class_token": (True,),
    "num_register_tokens": (0,),
    "layer_scale_init_value": (None,),
    "add_pooling_layer": (False,),
    "distillation_token": (False,),
    "position_embedding": ("learned", "embedding", "sincos_2d", "none"),
    "pooling": ("cls",),
    "final_norm": ("tokens",),
}
ANY = (Ellipsis,)


def shared(config: VisionTransformerConfig) -> Arguments:
    own_width = config.hidden_size // config.num_attention_heads
    other_width = {} if config.attention_head_size == own_width else {"head_dim": config.attention_head_size}
    return {
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "num_channels": config.num_channels,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "hidden_act": config.hidden_act,
        "layer_norm_eps": float(config.layer_norm_eps),
        "initializer_range": float(config.initializer_range),
        **other_width,
    }


def their_dropouts(config: VisionTransformerConfig) -> Arguments:
    return {
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": config.attention_probs_dropout_prob,
    }


def vit_arguments(config: VisionTransformerConfig) -> Arguments:
    return {
        **shared(config),
        **their_dropouts(config),
        "intermediate_size": config.intermediate_size,
        "qkv_bias": config.qkv_bias,
        "encoder_stride": pair(config.patch_size)[0],
    }


def dinov2_arguments(config: VisionTransformerConfig) -> Arguments:
    registers = {"num_register_tokens": config.num_register_tokens} if config.num_register_tokens else {}
    return {
        **shared(config),
        **their_dropouts(config),
        **registers,
        "mlp_ratio": config.intermediate_size // config.hidden_size,
        "qkv_bias": config.qkv_bias,
        "layerscale_value": scale(config),
        "drop_path_rate": config.drop_path_rate,
    }


def dinov3_arguments(config: VisionTransformerConfig) -> Arguments:
    return {
        **shared(config),
        "intermediate_size": config.intermediate_size,
        "attention_dropout": config.attention_probs_dropout_prob,
        "query_bias": config.qkv_bias,
        "key_bias": config.qkv_bias,
        "value_bias": config.qkv_bias,
        "layerscale_value": scale(config),
        "drop_path_rate": config.drop_path_rate,
        "num_register_tokens": config.num_register_tokens,
        "rope_theta": float(config.rope_theta),
    }


def beit_arguments(config: VisionTransformerConfig) -> Arguments:
    return {
        **shared(config),
        **their_dropouts(config),
        "intermediate_size": config.intermediate_size,
        "use_relative_position_bias": True,
        "layer_scale_init_value": float(config.layer_scale_init_value or 0.0),
        "drop_path_rate": config.drop_path_rate,
        "use_mean_pooling": config.pooling == "mean",
    }


def tower_arguments(config: VisionTransformerConfig) -> Arguments:
    return {
        **shared(config),
        "intermediate_size": config.intermediate_size,
        "attention_dropout": config.attention_probs_dropout_prob,
    }


def siglip_arguments(config: VisionTransformerConfig) -> Arguments:
    return {**tower_arguments(config), "vision_use_head": config.pooling == "attention"}


def siglip_classifier_arguments(config: VisionTransformerConfig) -> Arguments:
    """Of both towers, of which the classifier builds one alone."""
    return {"vision_config": siglip_arguments(config)}


def scale(config: VisionTransformerConfig) -> float:
    """Without LayerScale of ours, ones of theirs."""
    return 1.0 if config.layer_scale_init_value is None else float(config.layer_scale_init_value)


def square(config: VisionTransformerConfig) -> Iterator[str]:
    for name in ("image_size", "patch_size"):
        if len(set(pair(getattr(config, name)))) > 1:
            yield f"{name}={getattr(config, name)} (it takes squares)"


def plain_heads(config: VisionTransformerConfig) -> Iterator[str]:
    if config.attention_head_size * config.num_attention_heads != config.hidden_size:
        yield f"head_dim={config.head_dim} (it takes hidden_size / num_attention_heads)"


def beit_form(config: VisionTransformerConfig) -> Iterator[str]:
    """BEiT norms the mean of the patches, or all tokens before it takes the class token."""
    yield from square(config)
    if config.final_norm != {"mean": "pooled", "cls": "tokens"}.get(config.pooling):
        yield f"final_norm={config.final_norm!r} beside pooling={config.pooling!r}"


def whole_ratio(config: VisionTransformerConfig) -> Iterator[str]:
    if config.intermediate_size % config.hidden_size:
        yield f"intermediate_size={config.intermediate_size} (it takes multiples of hidden_size)"


def square_with_plain_heads(config: VisionTransformerConfig) -> Iterator[str]:
    yield from square(config)
    yield from plain_heads(config)


VIT_CLASSES = {
    "tokens": "ViTModel",
    "classifier": "ViTForImageClassification",
    "masked_image_modeling": "ViTForMaskedImageModeling",
}
DEIT_CLASSES = {name: vit.replace("ViT", "DeiT") for name, vit in VIT_CLASSES.items()}
DINOV2_CLASSES = {"tokens": "Dinov2Model", "classifier": "Dinov2ForImageClassification"}
REGISTER_CLASSES = {name: dino.replace("Dinov2", "Dinov2WithRegisters") for name, dino in DINOV2_CLASSES.items()}
DINO_SAYS = PLAIN | {"layer_scale_init_value": ANY, "pooling": ("cls", "mean", "cls_mean")}

# The first that fits is taken.
VIT_TARGETS = {
    "vit": VitTarget(VIT_CLASSES, PLAIN | {"add_pooling_layer": (False, True)}, vit_arguments),
    "deit": VitTarget(
        DEIT_CLASSES,
        PLAIN
        | {
            "num_register_tokens": (1,),
            "position_embedding": ("learned",),
            "add_pooling_layer": (False, True),
            "distillation_token": (False, True),
        },
        vit_arguments,
    ),
    "dinov2": VitTarget(DINOV2_CLASSES, DINO_SAYS, dinov2_arguments, whole_ratio),
    "dinov2_with_registers": VitTarget(
        REGISTER_CLASSES, DINO_SAYS | {"num_register_tokens": ANY}, dinov2_arguments, whole_ratio
    ),
    "dinov3_vit": VitTarget(
        {"tokens": "DINOv3ViTModel"},
        PLAIN | {"position_embedding": ("rotary",), "num_register_tokens": ANY, "layer_scale_init_value": ANY},
        dinov3_arguments,
        plain_heads,
    ),
    "beit": VitTarget(
        {"tokens": "BeitModel", "classifier": "BeitForImageClassification"},
        PLAIN
        | {
            "position_embedding": ("relative_bias",),
            "layer_scale_init_value": ANY,
            "pooling": ("cls", "mean"),
            "final_norm": ("tokens", "pooled"),
        },
        beit_arguments,
        beit_form,
    ),
    "clip_vision_model": VitTarget(
        {"tokens": "CLIPVisionModel"},
        PLAIN | {"pre_norm": (True,), "patch_bias": (False,), "final_norm": ("pooled",)},
        tower_arguments,
        square_with_plain_heads,
    ),
    "siglip_vision_model": VitTarget(
        {"tokens": "SiglipVisionModel"},
        PLAIN | {"class_token": (False,), "pooling": ("attention",)},
        siglip_arguments,
        square_with_plain_heads,
    ),
    "siglip": VitTarget(
        {"classifier": "SiglipForImageClassification"},
        PLAIN | {"class_token": (False,), "pooling": ("mean",)},
        siglip_classifier_arguments,
        square_with_plain_heads,
    ),
}


def target_of(config: VisionTransformerConfig, task: str) -> str:
    """The name of the first target that is the same function.

    Raises: UserError that names the fields, and their values, that the nearest cannot represent.
    """
    complaints = {
        name: (list(wrong_words(config, target, task)), list(wrong_sizes(config, target, task)))
        for name, target in VIT_TARGETS.items()
    }
    nearest = min(complaints, key=lambda name: tuple(len(found) for found in complaints[name]))
    words, sizes = complaints[nearest]
    if words or sizes:
        raise UserError(
            f"transformers itself has no model that can represent {'; '.join(words + sizes)}. The nearest is "
            f"{nearest!r}. The model can be published as it is, with its code."
        )
    return nearest


def wrong_words(config: VisionTransformerConfig, target: VitTarget, task: str) -> Iterator[str]:
    for name, values in target.says.items():
        found = getattr(config, name)
        if values != ANY and found not in values and not idle(config, name, task, target):
            yield f"{name}={found!r} (it takes {' or '.join(repr(value) for value in values)})"


def wrong_sizes(config: VisionTransformerConfig, target: VitTarget, task: str) -> Iterator[str]:
    """Numbers, and words that do not go together."""
    if task not in target.classes:
        yield f"a model for {task!r}"
    if task == "classifier" and config.add_pooling_layer:
        yield "add_pooling_layer=True with a classifier on it"
    if task == "masked_image_modeling":
        yield from square(config)
    yield from target.further(config)


def idle(config: VisionTransformerConfig, name: str, task: str, target: VitTarget) -> bool:
    """Whether a word makes no difference: nothing is pooled, or the norm of one token is that of all."""
    if name == "distillation_token":
        return task != "classifier"
    if task == "masked_image_modeling":
        return name in ("pooling", "final_norm", "add_pooling_layer")
    one_token = config.pooling == "cls" and config.final_norm == "pooled" and target.says["final_norm"] == ("tokens",)
    return name == "final_norm" and task == "classifier" and one_token
