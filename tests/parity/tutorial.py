"""The Vision Transformer that the tutorial builds piece by piece, in plain torch and einops.

Its pieces as they were taught in April 2022, when vit-pytorch had no norm around the patches, one class token
whatever the pooling, and the norm in the head. Written from its description; nothing here knows vit_hf.
"""

import torch
from einops import rearrange, repeat
from einops.layers.torch import Rearrange
from torch import Tensor, nn


def pair(size):
    return size if isinstance(size, tuple) else (size, size)


class LinearPatches(nn.Module):
    """ViT's: flatten each patch by row, column and channel, then one Linear."""

    def __init__(self, channels: int, patch_size, dim: int):
        super().__init__()
        height, width = pair(patch_size)
        self.flatten = Rearrange("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=height, p2=width)
        self.project = nn.Linear(height * width * channels, dim)

    def forward(self, image: Tensor) -> Tensor:
        return self.project(self.flatten(image))


class ConvPatches(nn.Module):
    """Swin's: a convolution whose stride is its kernel."""

    def __init__(self, channels: int, patch_size, dim: int):
        super().__init__()
        self.project = nn.Conv2d(channels, dim, kernel_size=pair(patch_size), stride=pair(patch_size))

    def forward(self, image: Tensor) -> Tensor:
        return self.project(image).flatten(2).transpose(1, 2)


class NormalPositions(nn.Module):
    """ViT's: a parameter from N(0, 1)."""

    def __init__(self, count: int, dim: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, count, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table


class TruncatedPositions(nn.Module):
    """Swin's: a parameter of zeros, then a truncated normal of std .02."""

    def __init__(self, count: int, dim: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, count, dim))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table


class EmbeddedPositions(nn.Module):
    """TimeSformer's: an nn.Embedding, looked up at 0, 1, 2, ..."""

    def __init__(self, count: int, dim: int):
        super().__init__()
        self.table = nn.Embedding(count, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table(torch.arange(tokens.shape[1]))


class PreNorm(nn.Module):
    def __init__(self, dim: int, function: nn.Module):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.function = function

    def forward(self, tokens: Tensor) -> Tensor:
        return self.function(self.norm(tokens))


class FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int, dropout: float):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, dim_head: int, dropout: float):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.scale = heads, dim_head**-0.5
        self.attend = nn.Softmax(dim=-1)
        self.dropout = nn.Dropout(dropout)
        self.to_qkv = nn.Linear(dim, inner * 3, bias=False)
        projects = not (heads == 1 and dim_head == dim)
        self.to_out = nn.Sequential(nn.Linear(inner, dim), nn.Dropout(dropout)) if projects else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (rearrange(part, "b n (h d) -> b h n d", h=self.heads) for part in self.to_qkv(tokens).chunk(3, -1))
        weights = self.dropout(self.attend(q @ k.transpose(-1, -2) * self.scale))
        return self.to_out(rearrange(weights @ v, "b h n d -> b n (h d)"))


class Encoder(nn.Module):
    """No norm follows the last layer."""

    def __init__(self, dim: int, depth: int, heads: int, dim_head: int, mlp_dim: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNorm(dim, Attention(dim, heads, dim_head, dropout)),
                    PreNorm(dim, FeedForward(dim, mlp_dim, dropout)),
                ]
            )
            for _ in range(depth)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        for attention, feed_forward in self.layers:
            tokens = attention(tokens) + tokens
            tokens = feed_forward(tokens) + tokens
        return tokens


class ViT(nn.Module):
    def __init__(
        self,
        *,
        image_size,
        patch_size,
        num_classes: int,
        dim: int,
        depth: int,
        heads: int,
        mlp_dim: int,
        pool: str = "cls",
        channels: int = 3,
        dim_head: int = 64,
        dropout: float = 0.0,
        emb_dropout: float = 0.0,
        patches: type[nn.Module] = LinearPatches,
        positions: type[nn.Module] = NormalPositions,
    ):
        super().__init__()
        if pool not in ("cls", "mean"):
            raise ValueError(f"pool={pool!r} must be 'cls' or 'mean'.")
        (height, width), (down, across) = pair(image_size), pair(patch_size)
        self.pool = pool
        self.patches = patches(channels, patch_size, dim)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.positions = positions((height // down) * (width // across) + 1, dim)
        self.dropout = nn.Dropout(emb_dropout)
        self.encoder = Encoder(dim, depth, heads, dim_head, mlp_dim, dropout)
        self.to_latent = nn.Identity()
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, num_classes))

    def tokens(self, image: Tensor) -> Tensor:
        tokens = self.patches(image)
        first = repeat(self.cls_token, "1 1 d -> b 1 d", b=image.shape[0])
        tokens = self.positions(torch.cat([first, tokens], dim=1))
        return self.encoder(self.dropout(tokens))

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.tokens(image)
        pooled = tokens.mean(dim=1) if self.pool == "mean" else tokens[:, 0]
        return self.mlp_head(self.to_latent(pooled))


class SwinEnds(nn.Module):
    """The encoder between the two ends that the tutorial takes from Swin.

    Convolved patches with positions and no class token before it; after it Swin's norm of all tokens, adaptive
    average pooling over them, and a Linear, or nothing where there are no classes.
    """

    def __init__(
        self,
        *,
        image_size,
        patch_size,
        num_classes: int,
        dim: int,
        depth: int,
        heads: int,
        mlp_dim: int,
        dim_head: int = 64,
        positions: type[nn.Module] = TruncatedPositions,
    ):
        super().__init__()
        (height, width), (down, across) = pair(image_size), pair(patch_size)
        self.patches = ConvPatches(3, patch_size, dim)
        self.positions = positions((height // down) * (width // across), dim)
        self.encoder = Encoder(dim, depth, heads, dim_head, mlp_dim, dropout=0.0)
        self.norm = nn.LayerNorm(dim)
        self.avgpool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(dim, num_classes) if num_classes > 0 else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.norm(self.encoder(self.positions(self.patches(image))))
        return self.head(self.avgpool(tokens.transpose(1, 2)).flatten(1))
