"""What layers hold, whatever the answer: features in color, the filters of the patches, which positions are alike, and
how far each head looks."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..families.base import is_a
from ..models.positions import Grid
from ..models.shapes import pair
from .passes import MERGING, AttentionCall, attentions_of, layout_of, patch_grid, record

OVER_TIME = "PlaceAttention"  # between the patches of one place
SHOWN_LAYERS = 6
SHOWN_FILTERS = 28  # as in the paper's figure 7


def features(model: Any, pixel_values: Tensor) -> dict[str, Tensor]:
    """b (t) c h w -> by the block's number, of up to six blocks from the first to the last, or the last of each stage,
    what leaves them: b (t) h w 3, from 0 to 1, as `in_three_colors`."""
    recording = record(model, pixel_values)
    behind = [*(call.tokens for call in recording.steps[1:]), recording.last.detach()]
    merges = [is_a(call.module, MERGING) for call in recording.steps]
    blocks = [place for place, merging in enumerate(merges) if not merging]
    if any(merges):
        shown = [place for place in blocks if [*merges, True][place + 1]]
    else:
        evenly = torch.linspace(0, len(blocks) - 1, min(SHOWN_LAYERS, len(blocks)))
        shown = [blocks[number] for number in evenly.round().int().tolist()]
    return {
        f"block {blocks.index(place) + 1}": in_three_colors(of_patches(model, pixel_values, behind[place])).cpu()
        for place in shown
    }


def last_features(model: Any, pixel_values: Tensor) -> Tensor:
    """b (t) c h w -> b (t) h w d: what leaves the last block for each patch."""
    return of_patches(model, pixel_values, record(model, pixel_values).last.detach())


def of_patches(model: Any, pixel_values: Tensor, tokens: Tensor) -> Tensor:
    """b (t) c h w, b (prefix t h w) d -> b (t) h w d"""
    return layout_of(model, pixel_values, tokens).place(tokens.float())


def in_three_colors(tokens: Tensor) -> Tensor:
    """b ... d -> b ... 3, from 0 to 1: along the three directions in which the tokens of all images differ most."""
    flat = tokens.flatten(0, -2)
    flat = flat - flat.mean(0)
    _, _, directions = torch.linalg.svd(flat, full_matrices=False)
    along = flat @ directions[:3].T
    along = torch.nn.functional.pad(along, (0, 3 - along.shape[1]))
    low, high = along.quantile(0.01, dim=0), along.quantile(0.99, dim=0)
    share = (along - low) / (high - low).clamp(min=torch.finfo(along.dtype).tiny)
    return share.clamp(0, 1).unflatten(0, tokens.shape[:-1])


def filters(model: Any) -> Tensor:
    """-> k c p p, each from 0 to 1: the main directions of what patches are weighed by.

    Source: arXiv:2010.11929, fig. 7 (left).
    """
    weight = model.base_model.embeddings.patches.projection.weight.detach().float().cpu()
    if weight.ndim == 2:
        height, width = pair(model.config.patch_size)
        weight = rearrange(weight, "d (p1 p2 c) -> d c p1 p2", p1=height, p2=width)
    flat = weight.flatten(1)
    _, _, directions = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    main = directions[:SHOWN_FILTERS]
    low, high = main.amin(1, keepdim=True), main.amax(1, keepdim=True)
    return ((main - low) / (high - low)).unflatten(1, weight.shape[1:])


@torch.no_grad()
def position_similarity(model: Any) -> Tensor | None:
    """-> h w h w: for each patch the cosine of its position with that of every other; None where nothing is added to
    tokens for their places. Source: arXiv:2010.11929, fig. 7 (center)."""
    positions = model.base_model.embeddings.positions
    grid, prefix = positions.grid, positions.prefix
    nothing = next(model.parameters()).new_zeros(1, prefix + grid[0] * grid[1], positions.width)
    rows = positions(nothing, grid)[0, prefix:].float()
    if not bool(rows.any()):
        return None
    rows = nn.functional.normalize(rows, dim=-1)
    return (rows @ rows.T).unflatten(0, grid).unflatten(-1, grid).cpu()


def attention_distance(model: Any, pixel_values: Tensor) -> list[Tensor]:
    """b (t) c h w -> for each block, heads: how many pixels lie in the mean between a patch and what it looks at, in
    its frame or window. Source: arXiv:2010.11929, fig. 7 (right)."""
    recording = record(model, pixel_values)
    height, width = pair(model.config.patch_size)
    found, scale = [], 1
    for call in recording.steps:
        if is_a(call.module, MERGING):
            scale *= 2
            continue
        looked = attentions_of(call)[-1]
        grid = grid_looked_at(looked, patch_grid(model, pixel_values))
        found.append(mean_distance(looked.weights, grid, (height * scale, width * scale)).cpu())
    return found


def time_attention(model: Any, pixel_values: Tensor) -> Tensor:
    """b t c h w -> layers t: how much the patches of all frames look, in the mean of heads and places, at those of each
    frame; a row is 1 in all where attention does not prefer the class token. Without attention over time, 0 t."""
    found = []
    for call in record(model, pixel_values).steps:
        for looked in attentions_of(call):
            if is_a(looked.module, OVER_TIME):
                frames = looked.arguments["clip"].frames
                found.append(looked.weights[..., -frames:, -frames:].float().mean((0, 1, 2)).cpu())
    return torch.stack(found) if found else torch.zeros(0, *pixel_values.shape[1:2])


def grid_looked_at(looked: AttentionCall, whole: Grid) -> Grid:
    """The grid that the last tokens of a group form: of a window, or of the image."""
    windows = looked.arguments.get("windows")
    return whole if windows is None else windows.shape


def mean_distance(weights: Tensor, grid: Grid, patch: Grid) -> Tensor:
    """groups heads n n, of which the last h w tokens are patches (or t times as many) -> heads"""
    rows, columns = grid
    frames = max(1, weights.shape[-1] // (rows * columns)) if weights.shape[-1] >= rows * columns else 1
    weights = weights[..., -frames * rows * columns :, -frames * rows * columns :].float()
    place = torch.cartesian_prod(torch.arange(rows) * patch[0], torch.arange(columns) * patch[1]).float()
    apart = torch.cdist(place, place).to(weights.device).repeat(frames, frames)
    among = weights.sum((-2, -1)).clamp(min=torch.finfo(torch.float32).tiny)
    return ((weights * apart).sum((-2, -1)) / among).mean(0)
