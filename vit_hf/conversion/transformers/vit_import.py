"""transformers' own Vision Transformers as ours."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError
from ...families.base import State
from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from ...models.modeling_vit_heads import VisionTransformerForMaskedImageModeling
from ..core.infer_config import partial_patches_of
from ..core.parity import Outputs, Runnable
from ..core.rules import Table, constant, dropped, listed, under, weight_and_bias
from ..core.weights import fill
from . import vit_rules as rules
from .vit_config import WORDS

MODELS_BY_TASK = {
    "tokens": VisionTransformerModel,
    "classifier": VisionTransformerForImageClassification,
    "masked_image_modeling": VisionTransformerForMaskedImageModeling,
}
# How the names of their classes end, and which of ours it is.
TASK_OF_CLASS = {
    "ForImageClassification": "classifier",
    "ForImageClassificationWithTeacher": "classifier",
    "ForMaskedImageModeling": "masked_image_modeling",
    "ForPreTraining": "tokens",
    "ModelWithProjection": "tokens",
    "Model": "tokens",
}
# What their classes call the encoder on which a head sits.
TRUNKS = ("vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vision_model")
# What their classifiers go past.
UNREAD = {
    "SiglipForImageClassification": "vision_model.head",
    "CLIPForImageClassification": "vision_model.post_layernorm",
}
TABLES: dict[str, Callable[[VisionTransformerConfig], Table]] = {
    "vit": rules.vit,
    "deit": rules.deit,
    "vit_mae": rules.vit,
    "vit_msn": rules.vit,
    "dinov2": rules.dinov2,
    "dinov2_with_registers": rules.dinov2,
    "dinov3_vit": rules.dinov3,
    "beit": rules.beit,
    "clip_vision_model": rules.clip,
    "siglip_vision_model": rules.siglip,
    "siglip": rules.siglip,
}


def our_task(theirs: Any) -> str:
    """Which of our classes a live model is. Raises: UserError for heads that we have no like of."""
    name, (prefix, trunk) = type(theirs).__name__, trunk_of(theirs)
    ending = next((ending for ending in TASK_OF_CLASS if name.endswith(ending)), None)
    if ending is None:
        encoder = f"{type(trunk).__name__}.from_pretrained(...)" if prefix else "the model that it belongs to"
        raise UserError(f"The head of {name} has no like among ours; convert the encoder alone: {encoder}.")
    return "tokens" if name.startswith("Beit") and ending == "ForMaskedImageModeling" else TASK_OF_CLASS[ending]


def trunk_of(theirs: Any) -> tuple[str, Any]:
    """-> the prefix of the encoder's keys, and the encoder."""
    for name in TRUNKS:
        if isinstance(module := getattr(theirs, name, None), nn.Module):
            return f"{name}.", module
    return "", theirs


def takes(theirs: Any) -> bool:
    return trunk_of(theirs)[1].config.model_type in WORDS


def to_ours(theirs: Any, state: State) -> tuple[Any, list[str]]:
    """-> our model, and what is left out."""
    task, (prefix, trunk) = our_task(theirs), trunk_of(theirs)
    words, table = WORDS[trunk.config.model_type](trunk.config), []
    words["partial_patches"] = partial_patches_of(words["image_size"], words["patch_size"])
    if task == "classifier":
        words |= labels_of(theirs.config) | pooled_words(theirs, state)
        table = head_table(theirs, words)
    elif isinstance(getattr(trunk, "pooler", None), nn.Module) and hasattr(trunk.pooler, "dense"):
        require_tanh(trunk.config)
        words["add_pooling_layer"] = True
    config = VisionTransformerConfig(**words)
    if task == "masked_image_modeling":
        table = rules.decoder(config)
    inner = trunk_table(trunk, config)
    table = [*under(inner, theirs=prefix, ours="" if task == "tokens" else "vit."), *table]
    if type(theirs).__name__ == "BeitForMaskedImageModeling":
        table += weight_and_bias("layernorm", "norm")
    beside, notes = left_beside(theirs, state, prefix, table)
    with torch.device("meta"):
        ours = MODELS_BY_TASK[task](config)
    fill(ours, state, [*table, *beside], config.num_hidden_layers)
    return ours, notes


def trunk_table(trunk: Any, config: VisionTransformerConfig) -> Table:
    """The rules for an encoder, whose own config says which biases it has."""
    theirs = trunk.config
    if theirs.model_type == "beit":
        return rules.beit(config, shared=theirs.use_shared_relative_position_bias)
    if theirs.model_type != "dinov3_vit":
        return TABLES[theirs.model_type](config)
    layer, width, inner = "layers.{layer}", config.hidden_size, config.intermediate_size
    table = rules.dinov3(config, key_bias=theirs.key_bias)
    if not theirs.proj_bias:
        table.append(constant(f"{layer}.attention.output.bias", torch.zeros(width)))
    if not theirs.mlp_bias:
        table.append(constant(f"{layer}.feed_forward.inner.bias", torch.zeros(inner)))
        table.append(constant(f"{layer}.feed_forward.outer.bias", torch.zeros(width)))
    return table


def labels_of(config: Any) -> dict[str, Any]:
    return {"id2label": config.id2label, "problem_type": config.problem_type}


def require_tanh(config: Any) -> None:
    if config.pooler_act != "tanh" or config.pooler_output_size != config.hidden_size:
        raise UserError(
            f"pooler_act={config.pooler_act!r} and pooler_output_size={config.pooler_output_size} have no form in our "
            "words, whose pooler is a tanh of the width of the model; load it with add_pooling_layer=False."
        )


def pooled_words(theirs: Any, state: State) -> dict[str, Any]:
    """What their classifier looks at, where that is not what their encoder pools."""
    family = type(theirs).__name__
    if family.endswith("WithTeacher"):
        return {"distillation_token": True}
    if family.startswith("CLIP"):
        return {"pooling": "mean", "final_norm": "none"}
    if family.startswith("Siglip"):
        return {"pooling": "mean"}
    if family.startswith("Dinov2") and "classifier.weight" in state:
        of_class, of_mean = state["classifier.weight"].chunk(2, dim=1)
        if of_class.any() and of_mean.any():
            return {"pooling": "cls_mean"}
        return {"pooling": "mean" if of_mean.any() else "cls"}
    return {}


def head_table(theirs: Any, words: dict[str, Any]) -> Table:
    name = type(theirs).__name__
    if name.endswith("WithTeacher"):
        taught = weight_and_bias("distillation_classifier", "distillation_classifier")
        return [*weight_and_bias("cls_classifier", "classifier"), *taught]
    if name.startswith("Dinov2"):
        return rules.classifier_of_both(words["pooling"])
    return weight_and_bias("classifier", "classifier")


def left_beside(theirs: Any, state: State, prefix: str, table: Table) -> tuple[Table, list[str]]:
    """-> rules that drop what no part of our model stands for, and a line for each."""
    name, covered = type(theirs).__name__, {key for rule in table for key in rule.theirs}
    beside: dict[str, list[str]] = {}
    for key in state:
        if key.startswith(UNREAD.get(name, "-")) or not (key.startswith(prefix) or key in covered):
            beside.setdefault(key.split(".")[0] if not key.startswith(prefix) else UNREAD[name], []).append(key)
    notes = [f"{part} is left out ({listed(keys)}); {name} makes no features with it" for part, keys in beside.items()]
    return [dropped(key, "it makes no features") for keys in beside.values() for key in keys], notes


def runnable(model: Any) -> Runnable:
    trunk = trunk_of(model)[1]
    classifies = "ForImageClassification" in type(model).__name__
    encoder = getattr(trunk, "encoder", getattr(trunk, "model", trunk))
    blocks = encoder.layer if hasattr(encoder, "layer") else encoder.layers

    def run(pixel_values: Tensor) -> Outputs:
        outputs = trunk(pixel_values, **undisturbed(trunk, pixel_values))
        pooled = getattr(outputs, "pooler_output", None)
        return Outputs(outputs.last_hidden_state, model(pixel_values).logits if classifies else pooled)

    return Runnable(model, list(blocks), run)


def undisturbed(trunk: Any, pixel_values: Tensor) -> dict[str, Tensor]:
    """What keeps MAE from hiding and shuffling patches."""
    if trunk.config.model_type != "vit_mae":
        return {}
    trunk.config.mask_ratio = 0.0
    patches = trunk.embeddings.patch_embeddings.num_patches
    return {"noise": torch.arange(patches, device=pixel_values.device).expand(len(pixel_values), -1)}
