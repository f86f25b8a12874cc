"""Heat maps of what speaks for an answer: one call for every family and method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UserError, unknown_name
from .attention_maps import attention, relevance, rollout
from .gradient_maps import grad_cam, integrated_gradients, occlusion
from .passes import evaluating, probabilities_of, refuse_headless


class Method(NamedTuple):
    """compute: model, b (t) c h w and targets b, and its own options -> b (t) h w. means: what its heat says."""

    compute: Callable[..., Tensor]
    means: str
    options: tuple[str, ...] = ()


METHODS: Mapping[str, Method] = {
    "relevance": Method(relevance, "attention of all layers that helps the label"),
    "grad_cam": Method(grad_cam, "features of a late layer that help the label", ("layer",)),
    "rollout": Method(rollout, "attention of all layers, whatever the label"),
    "attention": Method(attention, "attention of one layer, whatever the label", ("layer", "head")),
    "integrated_gradients": Method(integrated_gradients, "pixels that help the label", ("steps",)),
    "occlusion": Method(occlusion, "patches without which the label is less probable", ("side", "batch")),
}
DEFAULT_METHOD = "relevance"
FEATURES = "features"  # a method of the command that gives colors, and no heat


@dataclass(frozen=True)
class Explanation:
    """maps: b (t) h w, from 0 up, of each patch, or of integrated gradients of each pixel.

    targets, probabilities: b, the explained label of each image, and what the model gives it: of a regression no
    probability but the number. method: of METHODS.
    """

    maps: Tensor
    targets: Tensor
    probabilities: Tensor
    method: str

    def heat(self, size: tuple[int, int]) -> Tensor:
        """-> b (t) h w of `size`, from 0 to 1 in each image or clip."""
        images = self.maps.flatten(0, -3)[:, None] if self.maps.ndim == 4 else self.maps[:, None]
        sizes = {"size": size, "mode": "bilinear", "align_corners": False}
        grown = functional.interpolate(images, **sizes)[:, 0].unflatten(0, self.maps.shape[:-2])
        over = tuple(range(1, grown.ndim))
        grown = grown - grown.amin(over, keepdim=True)
        return grown / grown.amax(over, keepdim=True).clamp(min=torch.finfo(grown.dtype).tiny)


def explain(
    model: Any,
    pixel_values: Tensor,
    *,
    method: str = DEFAULT_METHOD,
    target: int | str | Tensor | None = None,
    **options: Any,
) -> Explanation:
    """b (t) c h w, as the model's processor gives them -> where in them lies what speaks for an answer.

    model: a classifier of this package, loaded with it or with the code beside its weights; it is left as it was.
    method: of METHODS. target: a label by name or number, one for all or a number for each image; None: the most
    probable one, of a regression the first. options: of the method: `layer` (of attention a number, of grad_cam a
    module's name), `head`, `steps` of integrated gradients, `side` in patches and `batch` of occlusion.

    Raises: UserError for a method, label, layer, head or option that does not exist, and for models without labels.
    """
    if method == FEATURES:
        raise UserError(
            f"The method {FEATURES!r} gives colors and no heat; in Python they are "
            "vit_hf.explanation.inside.in_three_colors(last_features(model, pixel_values))."
        )
    if method not in METHODS:
        raise UserError(unknown_name("method", method, [*METHODS, FEATURES]))
    for name in options:
        if name not in METHODS[method].options:
            takes = " and ".join(METHODS[method].options) or "none"
            raise UserError(f"The method {method!r} has no option {name!r}; it takes {takes}.")
    refuse_headless(model)
    pixel_values = pixel_values.to(model.device)
    with evaluating(model), torch.no_grad():
        probabilities = probabilities_of(model(pixel_values).logits, model.config.problem_type)
    targets = targets_of(target, probabilities, model.config)
    maps = METHODS[method].compute(model, pixel_values, targets, **options)
    return Explanation(
        maps=maps.detach().float().cpu(),
        targets=targets.cpu(),
        probabilities=probabilities.gather(1, targets[:, None])[:, 0].cpu(),
        method=method,
    )


def targets_of(target: int | str | Tensor | None, probabilities: Tensor, config: Any) -> Tensor:
    """-> b. Raises: UserError for labels that the model does not know."""
    if target is None and config.problem_type != "regression":
        return probabilities.argmax(-1)
    target = 0 if target is None else target
    if isinstance(target, str):
        numbers = {name: number for number, name in config.id2label.items()}
        if target not in numbers:
            raise UserError(unknown_name("label", target, numbers))
        target = numbers[target]
    chosen = torch.as_tensor(target, device=probabilities.device)
    if chosen.ndim and chosen.shape != probabilities.shape[:1]:
        raise UserError(f"{len(chosen)} labels are given for {len(probabilities)} images; give one, or one for each.")
    chosen = chosen.expand(len(probabilities))
    if chosen.dtype not in (torch.int32, torch.int64) or not bool(((chosen >= 0) & (chosen < config.num_labels)).all()):
        raise UserError(f"There is no label {target}; the model has {config.num_labels}, 0 to {config.num_labels - 1}.")
    return chosen.long()
