"""Everything that one may say about a TimeSformer."""

from typing import Literal

from transformers import PreTrainedConfig
from transformers.configuration_utils import strict  # pyright: ignore[reportPrivateImportUsage]

from .configuration_base import CheckedConfig, errors_as_sentences
from .shapes import HiddenAct, PatchEmbedding, PositionEmbeddingInit, Size, grid_of

AttentionType = Literal["divided_space_time", "joint_space_time", "space_only"]
ClassAttention = Literal["frames", "all"]
ClipPositionEmbedding = Literal["learned", "embedding", "rotary", "none"]

AUTO_MAP = {
    "AutoConfig": "configuration_timesformer.TimeSformerConfig",
    "AutoModel": "modeling_timesformer.TimeSformerModel",
    "AutoModelForVideoClassification": "modeling_timesformer.TimeSformerForVideoClassification",
}


@errors_as_sentences
@strict
class TimeSformerConfig(CheckedConfig, PreTrainedConfig):
    """The numbers and words of a TimeSformer (arXiv:2102.05095). Sizes of images and patches are in pixels.

    image_size, patch_size: one number or [height, width]. Frames of other sizes work at run time too.
    num_channels: of an image: 3 for colors, 1 for gray.
    num_frames: that positions are learned for. Clips of other lengths work at run time too: each frame then takes the
        nearest learned one, as in the original.
    attention_type: "divided_space_time" (of each place over time, then of each frame), "joint_space_time" (of all
        tokens) or "space_only" (of each frame; the mean of all frames is normalized and classified).
    class_attention: what the class token looks at in "divided_space_time": each of the "frames", of which it takes the
        mean, and nothing over time, as in the original; or "all" tokens at once, which also look back at it, as in
        lucidrains/TimeSformer-pytorch.
    temporal_projection: a Linear after attention over time, which begins at zero.
    gated_feed_forward: half of the inner width, which is doubled, gates the other (arXiv:2002.05202).
    head_dim: width of a head; None means hidden_size / num_attention_heads.
    intermediate_size: width within the feed-forward.
    hidden_act: the activation within the feed-forward.
    qkv_bias: whether the projections to queries, keys and values have one.
    qk_norm: LayerNorm of queries and keys, head by head.
    hidden_dropout_prob, attention_probs_dropout_prob, embedding_dropout_prob: share of numbers that training sets to
        zero: after each linear map of a layer, of the attention, and of the tokens before the first layer.
    layer_norm_eps: what keeps a LayerNorm from dividing by zero.
    initializer_range: standard deviation of new weights.
    patch_embedding: "conv" (a strided Conv2d) or "linear" (flatten a patch, then Linear).
    position_embedding: "learned" (a parameter for places, another for frames), "embedding" (one nn.Embedding table of
        all places in all frames), "rotary" (queries and keys are turned, by row and column, and by frame) or "none".
    position_embedding_init: "trunc_normal" (std .02) or "normal" (std 1), of the class token and of places.
    layer_scale_init_value: start of LayerScale (arXiv:2103.17239) of space and feed-forward; None leaves it out.
    drop_path_rate: stochastic depth of the last layer; it grows linearly from 0 at the first.
    label_smoothing: share of the target that the loss spreads over all labels.
    temperature: by which a classifier divides its logits, as validation chose it (arXiv:1706.04599).
    target_mean, target_std: of each number that a regression predicts, over the images that it was trained on; the
        classifier says how many of these standard deviations it is from that mean. None: the number itself.

    Raises: UserError, with what would do, for any value or combination that no model can be built from.
    """

    model_type = "timesformer_hf"

    image_size: Size = 224
    patch_size: Size = 16
    num_channels: int = 3
    num_frames: int = 8
    attention_type: AttentionType = "divided_space_time"
    class_attention: ClassAttention = "frames"
    temporal_projection: bool = True
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    head_dim: int | None = None
    intermediate_size: int = 3072
    gated_feed_forward: bool = False
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

    patch_embedding: PatchEmbedding = "conv"
    position_embedding: ClipPositionEmbedding = "learned"
    position_embedding_init: PositionEmbeddingInit = "trunc_normal"
    label_smoothing: float | int = 0.0
    temperature: float | int = 1.0
    target_mean: list[float | int] | tuple[float | int, ...] | None = None
    target_std: list[float | int] | tuple[float | int, ...] | None = None

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        # Heads with files of their own enter themselves when saved. Code is never taken from another repository.
        self.auto_map = {auto: code.split("--")[-1] for auto, code in getattr(self, "auto_map", {}).items()} | AUTO_MAP

    @property
    def attention_head_size(self) -> int:
        """Width of one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(rows, columns) of patches in a frame of the configured size."""
        return grid_of(self.image_size, self.patch_size)
