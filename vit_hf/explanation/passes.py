"""A model's pass over images, recorded so that it can be gone back through step by step: of attention and gradients no
more than one layer is held at a time. The model is given back as it was, whatever it runs on, also where its code came
with its weights, whose classes are known by their names."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..errors import UserError
from ..families.base import is_a
from ..fewer_tokens.put_on import token_for_each_patch
from ..models.positions import Grid
from ..models.shapes import grid_of
from ..models.window_blocks import halved

BLOCK, MERGING, ATTENTION = "Block", "PatchMerging", "Attention"


class LayerCall(NamedTuple):
    """A block, or the merging of patches between two stages, and what it was called with.

    tokens: b n d that entered, without gradient. context, named: the rest.
    """

    module: nn.Module
    tokens: Tensor
    context: tuple[Any, ...]
    named: dict[str, Any]


class AttentionCall(NamedTuple):
    """What one attention did within a step.

    arguments: its call's, by name, tokens included. weights: groups heads queries keys, as it groups tokens.
    of_class: b heads 1 n, where a class token looks at all tokens by itself.
    """

    module: Any
    arguments: dict[str, Any]
    weights: Tensor
    of_class: Tensor | None


class Recording(NamedTuple):
    """steps: from the first to the last. last: b n d that left the last one, on which the others depend.

    read: b n d as the head reads them, behind the norm of tokens where there is one. logits: b labels.
    """

    steps: Sequence[LayerCall]
    last: Tensor
    read: Tensor
    logits: Tensor


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it the model drops nothing out, and computes in the precision of its weights; then it is as it was."""
    training = [module for module in model.modules() if module.training]
    # Accelerate puts mixed precision around this one call, and layers that are called alone would be without it.
    whole, own = model.forward, model.__dict__.get("_original_forward")
    try:
        model.eval()
        if own is not None:
            model.forward = own
        yield
    finally:
        if own is not None:
            model.forward = whole
        for module in training:
            module.training = True


@contextmanager
def hooked_on(handles: Iterator[RemovableHandle]) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def steps_of(model: nn.Module) -> list[nn.Module]:
    """Blocks and mergings in the order in which they are called. Raises: UserError where there are none."""
    steps = [module for module in model.modules() if is_a(module, BLOCK, MERGING)]
    if not steps:
        raise UserError(
            f"{type(model).__name__} has no blocks of this package; bring the model over with `vit-hf convert` first."
        )
    return steps


@torch.no_grad()
def logits_behind(model: nn.Module, module: nn.Module, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
    """-> what a module gives, as a leaf, and the logits b labels that depend on it; before it no graph is made."""
    leaves: list[Tensor] = []

    def begin_graph(module: nn.Module, given: Any, output: Any) -> Any:
        found = output[0] if isinstance(output, tuple) else output
        leaf = found.detach().requires_grad_()
        leaves.append(leaf)
        torch.set_grad_enabled(True)  # until the surrounding no_grad ends
        return (leaf, *output[1:]) if isinstance(output, tuple) else leaf

    with evaluating(model), token_for_each_patch(model), hooked_on(iter([module.register_forward_hook(begin_graph)])):
        logits = model(pixel_values).logits
    if not leaves:
        raise UserError(f"The layer {type(module).__name__} takes no part in what the model makes of these images.")
    return leaves[-1], logits


def record(model: Any, pixel_values: Tensor) -> Recording:
    """The pass of b (t) c h w through a classifier of this package. Raises: UserError for other models."""
    refuse_headless(model)
    modules, steps, read = steps_of(model), list[LayerCall](), list[Tensor]()

    def keep(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        steps.append(LayerCall(module, given[0].detach(), given[1:], named))

    def keep_read(module: nn.Module, given: Any, output: Tensor) -> None:
        if output.ndim == 3:  # and not of what is pooled
            read.append(output)

    def handles() -> Iterator[RemovableHandle]:
        for module in modules:
            yield module.register_forward_pre_hook(keep, with_kwargs=True)
        if isinstance(norm := getattr(model.base_model, "norm", None), nn.Module):
            yield norm.register_forward_hook(keep_read)

    with hooked_on(handles()):
        last, logits = logits_behind(model, modules[-1], pixel_values)
    return Recording(steps, last, read[-1] if read else last, logits)


def refuse_headless(model: Any) -> None:
    if not getattr(model, "classifier", None) or not model.config.num_labels:
        raise UserError(
            f"{type(model).__name__} has no classifier, so there is no answer to explain; load it with "
            "AutoModelForImageClassification, or train one on it with `vit-hf train`."
        )


def probabilities_of(logits: Tensor, problem_type: str | None) -> Tensor:
    """b labels -> b labels, as a prediction says them; of a regression the numbers themselves"""
    logits = logits.float()
    if problem_type == "regression":
        return logits
    return logits.sigmoid() if problem_type == "multi_label_classification" else logits.softmax(-1)


def gradients_of(logits: Tensor, targets: Tensor, tokens: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """b labels, b, several times b n d -> as often b n d: of the targets' logits with respect to tokens"""
    return torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), tokens)


def looks_in(step: LayerCall, tokens: Tensor) -> tuple[Tensor, list[AttentionCall]]:
    """b n d -> b n d: the step once more, with all that its attentions do, in their order."""
    found: list[AttentionCall] = []
    attentions = [module for module in step.module.modules() if is_a(module, ATTENTION)]

    def ask(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = inspect.signature(module.forward).bind(*given, **named)
        bound.arguments["output_attentions"] = True
        return bound.args, bound.kwargs

    def keep(module: Any, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
        arguments = inspect.signature(module.forward).bind(*given, **named).arguments
        mixed, weights, *rest = output
        of_class = None
        if getattr(module, "class_sees_all", False) and mixed.shape[1] == arguments["tokens"].shape[1]:
            first, of_class = class_among_all(module, arguments)
            mixed = torch.cat([first, mixed[:, 1:]], dim=1)
        found.append(AttentionCall(module, arguments, weights, of_class))
        return mixed, weights, *rest

    def handles() -> Iterator[RemovableHandle]:
        for module in attentions:
            yield module.register_forward_pre_hook(ask, with_kwargs=True)
            yield module.register_forward_hook(keep, with_kwargs=True)

    with hooked_on(handles()):
        left = step.module(tokens, *step.context, **step.named)
    return left[0] if isinstance(left, tuple) else left, found


def class_among_all(module: Any, arguments: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """-> b 1 d, b heads 1 n: what a class token finds that looks at all tokens, and how"""
    plain: Callable[..., Any] = next(kind for kind in type(module).__mro__ if kind.__name__ == ATTENTION).forward
    clip = arguments["clip"]
    return plain(module, arguments["tokens"], clip.grid, clip.over_all, output_attentions=True, num_queries=1)


@torch.no_grad()
def attentions_of(step: LayerCall) -> list[AttentionCall]:
    """What the attentions of a step do."""
    return looks_in(step, step.tokens)[1]


def go_back(
    step: LayerCall, gradient: Tensor
) -> tuple[Tensor, list[AttentionCall], list[tuple[Tensor, Tensor | None]]]:
    """b n d -> b n d: the gradient with respect to what entered a step from that of what left it; what its attentions
    do; and the gradients with respect to their weights."""
    tokens = step.tokens.clone().requires_grad_()
    with torch.enable_grad():
        left, looks = looks_in(step, tokens)
        wanted = [weights for one in looks for weights in (one.weights, one.of_class) if weights is not None]
        # Of a class token that looks by itself, the groups' weights of what was replaced have a gradient of 0.
        first, *found = torch.autograd.grad(left, [tokens, *wanted], gradient)
    found = iter(found)
    gradients = [(next(found), None if one.of_class is None else next(found)) for one in looks]
    return first, looks, gradients


class TokenLayout(NamedTuple):
    """Where tokens lie: `prefix` of them nowhere, then those of each frame, row by row. frames: (t,), of images ()."""

    prefix: int
    frames: tuple[int, ...]
    grid: Grid

    def place(self, values: Tensor) -> Tensor:
        """b (prefix t h w) ... -> b (t) h w ..."""
        return values[:, self.prefix :].reshape(-1, *self.frames, *self.grid, *values.shape[2:])


def patch_grid(model: Any, pixel_values: Tensor) -> Grid:
    """(rows, columns) of patches, as the model or its configuration cuts an image into them."""
    if hasattr(base := getattr(model, "base_model", model), "grid_of"):
        return base.grid_of(pixel_values)
    if hasattr(model.config, "grid_of"):
        return model.config.grid_of(pixel_values.shape[-2:])
    return grid_of(pixel_values.shape[-2:], model.config.patch_size)


def layout_of(model: nn.Module, pixel_values: Tensor, tokens: Tensor) -> TokenLayout:
    """b (t) c h w, b n d -> where these tokens of the images lie; in a model that merges patches, of the stage that has
    so many. Raises: UserError where so many lie in no grid."""
    grid, count = patch_grid(model, pixel_values), tokens.shape[1]
    frames = tuple(pixel_values.shape[1:-3])
    if any(is_a(module, MERGING) for module in model.modules()):
        while grid[0] * grid[1] > count:
            grid = halved(grid)
    together = prod(frames) if tokens.shape[0] == pixel_values.shape[0] else 1
    prefix = count - together * grid[0] * grid[1]
    if prefix < 0 or tokens.ndim != 3:
        raise UserError(
            f"A layer that gives {tuple(tokens.shape)} has no place for each patch; name one whose output is "
            "(images, tokens, width), such as a block or a norm within."
        )
    return TokenLayout(prefix, frames, grid)
