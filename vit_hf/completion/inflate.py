"""A model of clips that begins as a model of images, and one that ends with fewer layers."""

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models.divided import DividedBlock, TimeProjection

# Of an image model's configuration: what both say alike, and what must be said for a clip model to be the same.
COPIED_FIELDS = (
    "image_size",
    "patch_size",
    "num_channels",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "head_dim",
    "intermediate_size",
    "hidden_act",
    "qkv_bias",
    "qk_norm",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "embedding_dropout_prob",
    "drop_path_rate",
    "layer_scale_init_value",
    "layer_norm_eps",
    "initializer_range",
    "patch_embedding",
    "position_embedding",
    "label_smoothing",
    "id2label",
    "label2id",
)
NEEDED: dict[str, tuple[Any, ...]] = {
    "position_embedding": ("learned", "embedding", "none"),
    "class_token": (True,),
    "pooling": ("cls",),
    "num_register_tokens": (0,),
    "patch_bias": (True,),
    "dual_patch_norm": (False,),
    "pre_norm": (False,),
    "add_pooling_layer": (False,),
}


def fields_of_images(config: Any) -> dict[str, Any]:
    """The fields of our configuration that an image model's says. Raises: UserError for what has no form in clips."""
    if config.model_type != "vit_hf":
        raise UserError(f"A model of images is a VisionTransformer here, not {config.model_type!r}; convert it first.")
    for name, values in NEEDED.items():
        if (found := getattr(config, name)) not in values:
            like = " or ".join(repr(value) for value in values)
            raise UserError(f"The image model has {name}={found!r}, which has no form in clips; it takes {like}.")
    if config.final_norm == "none":
        raise UserError("The image model has final_norm='none', which has no form in clips; it takes 'tokens'.")
    return {name: getattr(config, name) for name in COPIED_FIELDS}


def weights_of_images(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """An image model's weights for clips: attention over time begins as that over space, as in the original.

    A table of places is repeated for all frames. state: of the image model's trunk; config: of the clip model.
    """
    state = dict(state)
    if config.attention_type == "divided_space_time":
        for key in [key for key in state if ".attention." in key or ".attention_norm." in key]:
            over_time = key.replace(".attention_norm.", ".temporal_norm.").replace(
                ".attention.", ".temporal_attention."
            )
            state[over_time] = state[key]
    table = "embeddings.positions.table.weight"
    if table in state and config.attention_type != "space_only":
        first, places = state[table][:1], state.pop(table)[1:]
        state["embeddings.clip_positions.table.weight"] = torch.cat([first, places.repeat(config.num_frames, 1)])
    return state


@torch.no_grad()
def merge_projection(block: nn.Module) -> None:
    """Two Linears after attention over time become one, the same function but for rounding."""
    if isinstance(block, DividedBlock) and isinstance(block.temporal_projection, TimeProjection):
        output, projection = block.temporal_attention.output, block.temporal_projection
        weight, exact = projection.weight.double(), output.weight.double()
        output.bias.copy_(weight @ output.bias.double() + projection.bias.double())
        output.weight.copy_(weight @ exact)
        block.temporal_projection = nn.Identity()


class InflatedModel:
    """What TimeSformers inherit in the package."""

    @classmethod
    def from_image_model(cls: Any, vit: Any, *, num_frames: int = 8, **fields: Any):
        """A clip model of a `VisionTransformer...`'s weights, with its head where both have one of the same labels.

        Of a clip that stands still it makes what the image model makes of the image; but for "joint_space_time", where
        the class token sees the image's patches once for each frame. fields: of our configuration, beside those of vit.

        Raises: UserError for image models that have no form in clips.
        """
        config = cls.config_class(**{**fields_of_images(vit.config), "num_frames": num_frames, **fields})
        model: Any = cls(config).to(vit.device, vit.dtype)
        weights = weights_of_images(vit.base_model.state_dict(), model.config)
        unused = model.base_model.load_state_dict(weights, strict=False).unexpected_keys
        if unused:
            raise UserError(f"{unused[:4]} of the image model have no place in a clip model.")
        if hasattr(model, "classifier") and hasattr(vit, "classifier") and model.config.id2label == vit.config.id2label:
            model.classifier.load_state_dict(vit.classifier.state_dict())
            for name in ("temperature", "target_mean", "target_std"):
                setattr(model.config, name, getattr(vit.config, name))
        return model.train(vit.training)

    def merge_temporal_projections(self: Any) -> Any:
        """For inference: the two Linears after attention over time become one, which is 1 / 17 of the work less.

        The same function but for rounding and for dropout between the two; returns the model itself.
        """
        for module in self.modules():
            merge_projection(module)
        self.config.temporal_projection = False
        return self
