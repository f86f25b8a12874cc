"""Muon: matrices learn by their momentum made orthogonal, and what else there is by AdamW."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from .sharding import sharded_like, whole

# Of five steps of Newton and Schulz, each x <- a x + (b xxᵀ + c (xxᵀ)²) x; together they are steep at 0, and then flat.
# Source: leloykun.github.io/ponder/muon-opt-coeffs.
COEFFICIENTS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
PRECISION = torch.bfloat16  # of these steps, which need no more


class Muon(Optimizer):
    """All matrices of one shape take their step together, so that a GPU, for which one is small, need not wait for the
    processor that starts its work. timm's `Muon` finds the same, one matrix after the other.

    A step is as large as one of AdamW (arXiv:2502.16982, section 2.2), whose rates serve therefore.
    Source: kellerjordan.github.io/posts/muon.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-7,
    ):
        numbers = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(params, numbers)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            matrices: dict[tuple, list[Tensor]] = defaultdict(list)
            others: list[Tensor] = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                alike = matrices[parameter.shape, parameter.dtype, parameter.device] if is_matrix(parameter) else others
                alike.append(parameter)
            for alike in matrices.values():
                self.step_matrices(alike, group)
            if others:
                self.step_others(others, group)
        return loss

    def step_matrices(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        """k times m n; what has more axes, such as a convolution's kernel, is a matrix by its first."""
        momenta = [self.state_of(matrix, "momentum_buffer")["momentum_buffer"] for matrix in matrices]
        for momentum, gradient in zip(momenta, all_gradients(matrices), strict=True):
            momentum.lerp_(gradient, 1 - group["momentum"])
        steps = orthogonal(torch.stack([whole(momentum).flatten(1) for momentum in momenta])).to(momenta[0].dtype)
        length = 0.2 * max(steps.shape[-2:]) ** 0.5
        for matrix, step in zip(matrices, steps, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(sharded_like(step.view(matrix.shape), matrix), alpha=-group["lr"] * length)

    def step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        names = ("exp_avg", "exp_avg_sq", "step")
        states = [self.state_of(parameter, *names) for parameter in parameters]
        means, squares, steps = ([state[name] for state in states] for name in names)
        adamw(
            parameters,
            all_gradients(parameters),
            means,
            squares,
            [],
            steps,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def state_of(self, parameter: Tensor, *names: str) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state.update({name: torch.zeros(()) if name == "step" else torch.zeros_like(parameter) for name in names})
        return state


def all_gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def is_matrix(parameter: Tensor) -> bool:
    """Whether its first axis against all others is one with enough rows to be made orthogonal: no position embedding
    1 n d, no kernel of a single channel, and none that is all length. Source: timm's choice."""
    if parameter.ndim < 2 or 1 in parameter.shape[:2]:
        return False
    sides = sorted((parameter.shape[0], parameter.numel() // parameter.shape[0]))
    return sides[0] >= 4 and sides[1] <= 128 * sides[0]


def orthogonal(matrices: Tensor) -> Tensor:
    """k m n -> k m n: of each, all singular values become about 1, between 0.7 and 1.3, and its vectors stay."""
    upright = matrices.shape[-2] > matrices.shape[-1]
    found = (matrices.mT if upright else matrices).to(PRECISION)
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for a, b, c in COEFFICIENTS:
        square = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(square, square, square, beta=b, alpha=c), found, beta=a)
    return found.mT if upright else found
