"""An exponential moving average of all weights and buffers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from ..errors import UserError


class MovingAverage(TrainerCallback):
    """The average of everything in a model's state: average = decay * average + (1 - decay) * weights.

    The update n (0, 1, ...) takes min(decay, (1 + n) / (10 + n)) where it warms up, so that the first weights,
    which are random, are soon forgotten. Whole numbers are copied. Weights in half precision are averaged in float32.
    As a callback of a Trainer it is updated once for each step of the optimizer, however many batches that took.
    """

    def __init__(self, model: nn.Module, *, decay: float, warm_up: bool = True):
        self.decay = decay
        self.warm_up = warm_up
        self.start_from(model)

    def start_from(self, model: nn.Module) -> None:
        self.updates = 0
        self.average = {name: wide(tensor).clone() for name, tensor in model.state_dict().items()}

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if model is not None:
            self.start_from(model)  # which may be sharded by now; what a checkpoint remembers comes after this

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        if model is not None:
            self.update(model)

    def next_decay(self) -> float:
        return min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warm_up else self.decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        share = 1 - self.next_decay()
        state = model.state_dict()
        fractions = [name for name, tensor in self.average.items() if tensor.is_floating_point()]
        sharded = [name for name in fractions if isinstance(self.average[name], DTensor)]
        # One kernel for all tensors of a kind; a loop over them costs more than a tiny model's step.
        for names in filter(None, (sharded, [name for name in fractions if name not in sharded])):
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                [self.average[name] for name in names], [wide(state[name]) for name in names], share
            )
        for name in self.average.keys() - set(fractions):
            self.average[name].copy_(state[name])
        self.updates += 1

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        for name, tensor in model.state_dict().items():
            tensor.copy_(self.average[name])

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Within it the model has the averaged weights; afterwards its own, bit for bit."""
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.copy_to(model)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in model.state_dict().items():
                    tensor.copy_(own[name])

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"updates": self.updates, **self.average}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Raises: UserError unless the state is that of the same model."""
        names = set(state) - {"updates"}
        if names != set(self.average):
            strange = sorted(names ^ set(self.average))
            raise UserError(
                f"The saved average belongs to another model: {', '.join(strange[:4])} are in one of the two only."
            )
        self.updates = int(state["updates"])
        for name, tensor in self.average.items():
            tensor.copy_(torch.as_tensor(state[name]))


def wide(tensor: Tensor) -> Tensor:
    """At least float32, in which a share of 1e-4 still moves the average."""
    return tensor.detach().float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.detach()
