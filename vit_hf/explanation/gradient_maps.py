"""Heat maps that need no attention: of activations and gradients at a layer, of gradients along a path, and of what
happens when a part of the image is hidden."""

from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError, require_library, unknown_name
from ..families.base import is_a
from ..models.shapes import pair
from .passes import (
    BLOCK,
    evaluating,
    gradients_of,
    layout_of,
    logits_behind,
    patch_grid,
    probabilities_of,
    refuse_headless,
    steps_of,
)


def default_layer(model: nn.Module) -> str:
    """What enters the last attention, behind which a class token alone may be read; where attention is within windows
    what enters the last feed-forward layer, which has seen the windows' neighbors."""
    steps_of(model)  # which refuses models without any
    last, block = [(name, module) for name, module in model.named_modules() if is_a(module, BLOCK)][-1]
    in_windows = is_a(block.get_submodule("attention"), "WindowAttention")
    return f"{last}.feed_forward_norm" if in_windows else f"{last}.attention_norm"


def grad_cam(model: Any, pixel_values: Tensor, targets: Tensor, *, layer: str | None = None) -> Tensor:
    """b (t) c h w, b -> b (t) h w: what a layer gives for each patch, its features weighed by the mean gradient of the
    target's logit with respect to them, where that is positive.

    layer: a module's name; None: `default_layer`. Source: arXiv:1610.02391, eq. 1 and 2.
    """
    refuse_headless(model)
    module = find_layer(model, layer or default_layer(model))
    tokens, logits = logits_behind(model, module, pixel_values)
    layout = layout_of(model, pixel_values, tokens)
    (gradient,) = gradients_of(logits, targets, [tokens])
    tokens, gradient = tokens.detach().float(), gradient.float()
    if tokens.shape[0] != pixel_values.shape[0]:  # of frames that know nothing of each other
        weights = gradient[:, layout.prefix :].unflatten(0, (len(pixel_values), -1)).mean((1, 2))[:, None]
        weights = weights.repeat_interleave(len(tokens) // len(pixel_values), 0)
    else:
        weights = gradient[:, layout.prefix :].mean(1, keepdim=True)  # b 1 d
    return layout.place((tokens * weights).sum(-1).clamp(min=0))


def find_layer(model: nn.Module, name: str) -> nn.Module:
    names = dict(model.named_modules())
    if not name or name not in names:
        raise UserError(unknown_name("layer", name, [known for known in names if known]))
    return names[name]


def integrated_gradients(model: Any, pixel_values: Tensor, targets: Tensor, *, steps: int = 32) -> Tensor:
    """b (t) c h w, b -> b (t) h w of pixels: gradients along the way from the mean color, times how far it is.

    Source: arXiv:1703.01365, by Captum. Raises: UserError where that is not installed.
    """
    refuse_headless(model)
    attribution: Any = require_library("captum.attr", "captum")
    with evaluating(model):
        compute = attribution.IntegratedGradients(lambda pixels: model(pixels).logits)
        found = compute.attribute(pixel_values, target=targets, n_steps=steps, internal_batch_size=len(pixel_values))
    return found.detach().float().sum(-3).clamp(min=0)


@torch.no_grad()
def occlusion(model: Any, pixel_values: Tensor, targets: Tensor, *, side: int = 3, batch: int = 64) -> Tensor:
    """b (t) c h w, b -> b (t) h w: how far the target's probability falls where a square of `side` patches around each
    patch has the mean color, in all frames or one.

    Source: arXiv:1311.2901, section 4.2. It runs the model once for every patch.
    """
    refuse_headless(model)
    (rows, columns), frames = patch_grid(model, pixel_values), pixel_values.shape[1:-3]
    places = [*product(range(prod(frames)), range(rows), range(columns))]
    found = pixel_values.new_zeros(len(pixel_values), len(places), dtype=torch.float32)
    patch = pair(model.config.patch_size)
    with evaluating(model):
        whole = probabilities_of(model(pixel_values).logits, model.config.problem_type)
        for image, target in enumerate(targets.tolist()):
            for start in range(0, len(places), batch):
                some = places[start : start + batch]
                hidden = torch.stack([hide(pixel_values[image], place, side, patch) for place in some])
                left = probabilities_of(model(hidden).logits, model.config.problem_type)[:, target]
                found[image, start : start + batch] = whole[image, target] - left
    return found.clamp(min=0).unflatten(1, (*frames, rows, columns))


def hide(pixels: Tensor, place: tuple[int, int, int], side: int, patch: tuple[int, int]) -> Tensor:
    """(t) c h w -> (t) c h w: the mean color, which is 0, in `side` x `side` patches around one of a frame"""
    frame, row, column = place
    height, width = patch
    before, behind = side // 2, side - side // 2
    hidden = pixels.clone()
    one = hidden.view(-1, *hidden.shape[-3:])[frame]
    rows = slice(max(row - before, 0) * height, (row + behind) * height)
    columns = slice(max(column - before, 0) * width, (column + behind) * width)
    one[:, rows, columns] = 0
    return hidden
