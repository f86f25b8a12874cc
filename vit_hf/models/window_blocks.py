"""What a stage of a Swin Transformer is built of: blocks by the words of its config, and the merging of patches."""

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Block, FeedForward
from .positions import Grid
from .shapes import pair
from .window_attention import WindowAttention
from .window_attention_v2 import ContinuousBias, CosineAttention, PostNormBlock
from .windows import WindowBias, fixed


def halved(grid: Grid) -> Grid:
    """The grid after patches were merged."""
    return (grid[0] + 1) // 2, (grid[1] + 1) // 2


class Merge(nn.Module):
    """b (h 2 w 2) d -> b (h w) (2 d): squares of four tokens become one; zeros complete an odd side.

    They are normalized before, or after in the manner of Swin V2.
    """

    def __init__(self, width: int, eps: float, *, post_norm: bool):
        super().__init__()
        self.norm = nn.LayerNorm(2 * width if post_norm else 4 * width, eps=eps)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.post_norm = post_norm

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        below, right = (2 * half - side for half, side in zip(halved(grid), grid, strict=True))
        tokens = tokens.unflatten(1, grid)
        if not fixed(*grid) or below or right:
            tokens = functional.pad(tokens, (0, 0, 0, right, 0, below))
        squares = rearrange(tokens, "b (h r) (w c) d -> b (h w) (c r d)", r=2, c=2)
        return self.norm(self.reduction(squares)) if self.post_norm else self.reduction(self.norm(squares))


BLOCKS = {"pre_norm": Block, "post_norm": PostNormBlock}
ATTENTIONS = {"dot_product": WindowAttention, "cosine": CosineAttention}
BIASES = {
    "table": lambda config, heads, stage: WindowBias(pair(config.window_size), heads),
    "continuous": lambda config, heads, stage: ContinuousBias(heads, learned_span(config, stage)),
}


def learned_span(config, stage: int) -> Grid | None:
    """The window that a stage's continuous biases were learned with, where it is another than that of the config."""
    sizes = config.pretrained_window_sizes
    return (sizes[stage], sizes[stage]) if sizes and sizes[stage] else None


def build_block(config, stage: int, drop_path: float) -> Block:
    """One block of a stage, as the config says in `block`, `attention` and `position_bias`."""
    width, heads = config.embed_dim * 2**stage, config.num_heads[stage]
    attention = ATTENTIONS[config.attention](
        config,
        width=width,
        heads=heads,
        head_width=width // heads,
        bias=config.qkv_bias,
        dropout=config.attention_probs_dropout_prob,
        output_dropout=config.hidden_dropout_prob,
        relative_bias=BIASES[config.position_bias](config, heads, stage),
    )
    feed_forward = FeedForward(
        width=width,
        inner=int(width * config.mlp_ratio),
        activation=config.hidden_act,
        dropout=config.hidden_dropout_prob,
    )
    return BLOCKS[config.block](attention, feed_forward, width=width, eps=config.layer_norm_eps, drop_path=drop_path)
