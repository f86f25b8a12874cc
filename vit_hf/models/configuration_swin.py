"""Everything that one may say about a Swin Transformer."""

from typing import Literal

from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin
from transformers.configuration_utils import strict  # pyright: ignore[reportPrivateImportUsage]

from .configuration_base import CheckedConfig, errors_as_sentences
from .shapes import HiddenAct, PatchEmbedding, PositionEmbeddingInit, Size, pair

BlockOrder = Literal["pre_norm", "post_norm"]
WindowAttentionKind = Literal["dot_product", "cosine"]
PositionBias = Literal["table", "continuous"]

AUTO_MAP = {
    "AutoConfig": "configuration_swin.SwinTransformerConfig",
    "AutoModel": "modeling_swin.SwinTransformerModel",
    "AutoModelForImageClassification": "modeling_swin.SwinTransformerForImageClassification",
    "AutoBackbone": "modeling_swin.SwinTransformerBackbone",
}


@errors_as_sentences
@strict
class SwinTransformerConfig(CheckedConfig, BackboneConfigMixin, PreTrainedConfig):
    """The numbers and words of a Swin Transformer (arXiv:2103.14030). Sizes of images and patches are in pixels.

    image_size, patch_size: one number or [height, width]. Images of any other size work at run time too, with zeros
        below and to the right of them where patches or windows do not divide them.
    num_channels: of an image: 3 for colors, 1 for gray.
    embed_dim: width of the first stage; each stage is twice as wide as the one before it, on half its rows and columns.
    depths, num_heads: blocks, and heads of attention, of each stage.
    window_size: patches along a side of a window, or [rows, columns]. Every second block shifts its windows by half.
    mlp_ratio: width within the feed-forward over that of the stage.
    hidden_act: the activation within the feed-forward.
    qkv_bias: whether the projections to queries, keys and values have one.
    hidden_dropout_prob, attention_probs_dropout_prob, embedding_dropout_prob: share of numbers that training sets to
        zero: after each linear map of a layer, of the attention, and of the tokens before the first layer.
    layer_norm_eps: what keeps a LayerNorm from dividing by zero.
    initializer_range: standard deviation of new weights.
    patch_embedding: "conv" (a strided Conv2d) or "linear" (flatten a patch, then Linear).
    patch_norm: LayerNorm after the patch embedding.
    ape: absolute positions, learned, are added to the patches.
    position_embedding_init: "trunc_normal" (std .02) or "normal" (std 1), of absolute positions and biases.
    block: "pre_norm", or "post_norm" of Swin V2 (arXiv:2111.09883): norms after branches, and after patches are merged.
    attention: "dot_product", or "cosine" of Swin V2, of which each head learns the scale; keys then have no bias.
    position_bias: "table", a number for each step within a window, or "continuous" of Swin V2, which a small MLP makes.
    pretrained_window_sizes: of each stage, by which continuous biases measure steps; 0 or None for the window itself.
    mask_padding: whether what pads windows is hidden from attention. The original lets it be seen.
    drop_path_rate: stochastic depth of the last block; it grows linearly from 0 at the first.
    label_smoothing: share of the target that the loss spreads over all labels.
    temperature: by which a classifier divides its logits, as validation chose it (arXiv:1706.04599).
    target_mean, target_std: of each number that a regression predicts, over the images that it was trained on; the
        classifier says how many of these standard deviations it is from that mean. None: the number itself.
    out_features, out_indices: the stages a backbone returns ("stem", "stage1", ...).

    Raises: UserError, with what would do, for any value or combination that no model can be built from.
    """

    model_type = "swin_hf"
    attribute_map = {"num_attention_heads": "num_heads"}

    image_size: Size = 224
    patch_size: Size = 4
    num_channels: int = 3
    embed_dim: int = 96
    depths: list[int] | tuple[int, ...] = (2, 2, 6, 2)
    num_heads: list[int] | tuple[int, ...] = (3, 6, 12, 24)
    window_size: Size = 7
    mlp_ratio: float | int = 4.0
    hidden_act: HiddenAct = "gelu"
    qkv_bias: bool = True
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    embedding_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.1
    layer_norm_eps: float | int = 1e-5
    initializer_range: float | int = 0.02

    patch_embedding: PatchEmbedding = "conv"
    patch_norm: bool = True
    ape: bool = False
    position_embedding_init: PositionEmbeddingInit = "trunc_normal"
    block: BlockOrder = "pre_norm"
    attention: WindowAttentionKind = "dot_product"
    position_bias: PositionBias = "table"
    pretrained_window_sizes: list[int] | tuple[int, ...] | None = None
    mask_padding: bool = False
    label_smoothing: float | int = 0.0
    temperature: float | int = 1.0
    target_mean: list[float | int] | tuple[float | int, ...] | None = None
    target_std: list[float | int] | tuple[float | int, ...] | None = None

    def __post_init__(self, out_features=None, out_indices=None, stage_names=None, **kwargs):
        super().__post_init__(**kwargs)
        self.depths, self.num_heads = list(self.depths), list(self.num_heads)
        if self.pretrained_window_sizes is not None:
            self.pretrained_window_sizes = list(self.pretrained_window_sizes)
        # A saved list of stages is another spelling of depths, and is made anew.
        self.stage_names = ["stem", *(f"stage{stage + 1}" for stage in range(len(self.depths)))]
        self.set_output_features_output_indices(out_features=out_features, out_indices=out_indices)
        # Heads with files of their own enter themselves when saved. Code is never taken from another repository.
        self.auto_map = {auto: code.split("--")[-1] for auto, code in getattr(self, "auto_map", {}).items()} | AUTO_MAP

    @property
    def num_hidden_layers(self) -> int:
        """Stages."""
        return len(self.depths)

    @property
    def hidden_size(self) -> int:
        """Width of the last stage."""
        return self.embed_dim * 2 ** (len(self.depths) - 1)

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(rows, columns) of patches in an image of the configured size, padded where they do not divide it."""
        (height, width), (down, across) = pair(self.image_size), pair(self.patch_size)
        return -(-height // down), -(-width // across)
