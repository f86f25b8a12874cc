"""The words that a configuration may say; each is built in the file that is named after it."""

from typing import Literal

PatchEmbedding = Literal["linear", "conv"]
PositionEmbedding = Literal["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"]
PositionEmbeddingInit = Literal["trunc_normal", "normal"]
Pooling = Literal["cls", "mean", "mean_all", "attention", "attention_patches"]
FinalNorm = Literal["tokens", "pooled", "none"]
HiddenAct = Literal["gelu", "gelu_pytorch_tanh", "gelu_new", "quick_gelu", "relu", "silu", "swish", "mish", "tanh"]
