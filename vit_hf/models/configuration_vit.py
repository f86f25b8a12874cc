"""Everything that one may say about a Vision Transformer."""

from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin
from transformers.configuration_utils import strict  # pyright: ignore[reportPrivateImportUsage]

from .configuration_base import CheckedConfig, errors_as_sentences
from .shapes import (
    FinalNorm,
    HiddenAct,
    PartialPatches,
    PatchEmbedding,
    Pooling,
    PositionEmbedding,
    PositionEmbeddingInit,
    Size,
    grid_of,
    pair,
)

AUTO_MAP = {
    "AutoConfig": "configuration_vit.VisionTransformerConfig",
    "AutoModel": "modeling_vit.VisionTransformerModel",
    "AutoModelForImageClassification": "modeling_vit.VisionTransformerForImageClassification",
    "AutoModelForMaskedImageModeling": "modeling_vit_heads.VisionTransformerForMaskedImageModeling",
    "AutoBackbone": "modeling_vit_heads.VisionTransformerBackbone",
}


@errors_as_sentences
@strict
class VisionTransformerConfig(CheckedConfig, BackboneConfigMixin, PreTrainedConfig):
    """The numbers and words of a Vision Transformer (arXiv:2010.11929). Sizes are in pixels.

    image_size, patch_size: one number or [height, width]. Images of other sizes work at run time too.
    num_channels: of an image: 3 for colors, 1 for gray.
    head_dim: width of a head; None means hidden_size / num_attention_heads.
    intermediate_size: width within the feed-forward.
    hidden_act: the activation within the feed-forward.
    qkv_bias: whether the projections to queries, keys and values have one.
    qk_norm: LayerNorm of queries and keys, head by head.
    hidden_dropout_prob, attention_probs_dropout_prob, embedding_dropout_prob: share of numbers that training sets to
        zero: after each linear map of a layer, of the attention, and of the tokens before the first layer.
    layer_norm_eps: what keeps a LayerNorm from dividing by zero.
    initializer_range: standard deviation of new weights.
    patch_embedding: "linear" (flatten a patch, then Linear) or "conv" (a strided Conv2d).
    patch_bias: whether the patch embedding has one.
    partial_patches: of sizes that are no multiple of the patch, "refuse" them, or "cut" the rest at the right and at
        the bottom, as a strided convolution does (SigLIP's 384 pixels in patches of 14).
    dual_patch_norm: LayerNorm before and after the patch embedding (arXiv:2302.01327); with "linear" only.
    pre_norm: LayerNorm of the tokens before the first layer, as in CLIP (arXiv:2103.00020).
    position_embedding: "learned" (a parameter), "embedding" (an nn.Embedding table), "sincos_2d" (fixed waves),
        "rotary" (queries and keys are turned, by row and column), "relative_bias" (added to the attention scores)
        or "none".
    position_embedding_init: "trunc_normal" (std .02) or "normal" (std 1), of what is learned of the positions.
    rope_theta: base of the wavelengths of "rotary", which run from one half of the image up to nearly this many.
    class_token: a learned token before the patches, which attention fills.
    num_register_tokens: learned tokens more, which nothing is read from (arXiv:2309.16588).
    pooling: "cls" (the class token), "mean" (of the patches), "cls_mean" (both, beside each other), "mean_all" (of all
        tokens), "attention" (a learned query of all tokens) or "attention_patches".
    final_norm: LayerNorm of all "tokens" before they are pooled, only of what was "pooled", or "none".
    add_pooling_layer: Linear and tanh after pooling, as in BERT.
    distillation_token: the first register learns from a teacher, by a head of its own (arXiv:2012.12877).
    layer_scale_init_value: start of LayerScale (arXiv:2103.17239); None leaves it out.
    drop_path_rate: stochastic depth of the last layer; it grows linearly from 0 at the first.
    label_smoothing: share of the target that the loss spreads over all labels.
    temperature: by which a classifier divides its logits, as validation chose it (arXiv:1706.04599).
    target_mean, target_std: of each number that a regression predicts, over the images that it was trained on; the
        classifier says how many of these standard deviations it is from that mean. None: the number itself.
    reshape_hidden_states: whether a backbone gives maps, or the tokens of its layers as they are.
    out_features, out_indices: the layers a backbone returns ("stem", "stage1", ...).

    Raises: UserError, with what would do, for any value or combination that no model can be built from.
    """

    model_type = "vit_hf"
    keys_to_ignore_at_inference = ["distillation_logits"]  # which transformers' Trainer would take for more logits

    image_size: Size = 224
    patch_size: Size = 16
    num_channels: int = 3
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    head_dim: int | None = None
    intermediate_size: int = 3072
    hidden_act: HiddenAct = "gelu"
    qkv_bias: bool = True
    qk_norm: bool = False
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    embedding_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.0
    layer_scale_init_value: float | int | None = None
    layer_norm_eps: float | int = 1e-6
    initializer_range: float | int = 0.02

    patch_embedding: PatchEmbedding = "linear"
    patch_bias: bool = True
    partial_patches: PartialPatches = "refuse"
    dual_patch_norm: bool = False
    position_embedding: PositionEmbedding = "learned"
    position_embedding_init: PositionEmbeddingInit = "trunc_normal"
    rope_theta: float | int = 100.0
    pre_norm: bool = False
    class_token: bool = True
    num_register_tokens: int = 0
    pooling: Pooling = "cls"
    final_norm: FinalNorm = "tokens"
    add_pooling_layer: bool = False
    distillation_token: bool = False
    reshape_hidden_states: bool = True
    label_smoothing: float | int = 0.0
    temperature: float | int = 1.0
    target_mean: list[float | int] | tuple[float | int, ...] | None = None
    target_std: list[float | int] | tuple[float | int, ...] | None = None

    def __post_init__(self, out_features=None, out_indices=None, stage_names=None, **kwargs):
        super().__post_init__(**kwargs)
        # A saved list of stages is another spelling of num_hidden_layers, and is made anew.
        self.stage_names = ["stem", *(f"stage{layer + 1}" for layer in range(self.num_hidden_layers))]
        self.set_output_features_output_indices(out_features=out_features, out_indices=out_indices)
        # Code is never taken from another repository.
        self.auto_map = {auto: code.split("--")[-1] for auto, code in getattr(self, "auto_map", {}).items()} | AUTO_MAP

    @property
    def attention_head_size(self) -> int:
        """Width of one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the patches: the class token and the registers."""
        return int(self.class_token) + self.num_register_tokens

    @property
    def encoder_stride(self) -> int:
        """Pixels along a side of a token, by the name that masked images have in transformers' configurations."""
        return pair(self.patch_size)[0]

    @encoder_stride.setter
    def encoder_stride(self, stride: int) -> None:
        if stride != self.encoder_stride:
            raise ValueError(f"encoder_stride={stride} is not patch_size={self.patch_size}, by which a decoder paints.")

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(rows, columns) of patches in an image of the configured size."""
        return self.grid_of(self.image_size)

    def grid_of(self, image_size: Size) -> tuple[int, int]:
        """(rows, columns) of patches in an image of so many pixels. Raises: UserError where it is not cut into them."""
        return grid_of(image_size, self.patch_size, self.partial_patches)
