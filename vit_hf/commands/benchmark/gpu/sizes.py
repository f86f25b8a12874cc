"""What is measured on a GPU: models of named sizes with their batches, and one of them as one library runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from ....families import FAMILIES
from ..measure import Mode
from ..operations import Benchmarked, Counted
from ..peers import OURS
from ..workloads import Call, Conditions, forward_pass, training_step

How = Literal["eager", "compiled", "graphs"]
PEERS = ("timm", "transformers")
# Static shapes, as the batches of a training are. Graphs: the whole call as one CUDA graph.
COMPILING: dict[How, dict[str, Any]] = {
    "eager": {},
    "compiled": {"dynamic": False},
    "graphs": {"dynamic": False, "mode": "reduce-overhead"},
}


@dataclass(frozen=True)
class Workload:
    """A model of a named size, and how many images (or clips) are in a call.

    batches: of inference, beside one. compared: that of them in which peers are compiled too. training: of a step.
    beside: whether peers are compiled at all, which takes long.
    """

    name: str
    family: str
    size: str
    batches: tuple[int, ...]
    compared: int
    training: int
    beside: bool = True
    fields: tuple[tuple[str, Any], ...] = ()  # in place of the named size's

    @property
    def benchmarked(self) -> Benchmarked:
        return FAMILIES[self.family].benchmark()

    @property
    def numbers(self) -> Counted:
        fields: Mapping[str, Any] = dict(self.fields) or FAMILIES[self.family].sizes()[self.size]
        return self.benchmarked.numbers(fields, None)

    @property
    def unit(self) -> str:
        return FAMILIES[self.family].modality.plural if self.family != "timesformer" else "clips"

    def libraries(self, mode: Mode) -> list[str]:
        """Ours first, perhaps in several forms, then the peers that are measured here."""
        left_out = () if mode == "inference" else self.benchmarked.for_inference
        known = [name for name in self.benchmarked.builders if name not in left_out]
        return [name for name in known if name.startswith(OURS)] + [name for name in PEERS if name in known]


USUAL_BATCHES = (64, 256, 1024)
GPU_WORKLOADS = {
    one.name: one
    for one in (
        Workload("vit-b", "vit", "b", USUAL_BATCHES, 256, 256),
        Workload("vit-s", "vit", "s", USUAL_BATCHES, 256, 256),
        Workload("swin-t", "swin", "t", USUAL_BATCHES, 256, 256),
        Workload("timesformer-b", "timesformer", "b", (8, 16), 16, 8),
        Workload("vit-l", "vit", "l", USUAL_BATCHES, 256, 64, beside=False),
        Workload("swinv2-t", "swin", "v2_t", USUAL_BATCHES, 256, 256, beside=False),
    )
}
TINY_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_size": 8,
    "image_size": 32,
}
TINY_SWIN = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "image_size": 32, "window_size": 4}
TINY_FIELDS: dict[str, dict[str, Any]] = {
    "vit-s": TINY_VIT,
    "vit-b": TINY_VIT | {"hidden_size": 48},
    "vit-l": TINY_VIT | {"hidden_size": 64},
    "swin-t": TINY_SWIN,
    "swinv2-t": TINY_SWIN | {"block": "post_norm", "attention": "cosine", "position_bias": "continuous"},
    "timesformer-b": {
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_frames": 2,
        "image_size": 32,
    },
}


def workload_of(name: str, *, tiny: bool = False, batch: int | None = None) -> Workload:
    """tiny: of the same kind, but done at once on a CPU. batch: in place of its own."""
    found = GPU_WORKLOADS[name]
    if tiny:
        fields = tuple(TINY_FIELDS[name].items())
        found = replace(found, batches=(2, 4), compared=4, training=2, fields=fields)
    if batch is not None:
        found = replace(found, batches=(batch,), compared=batch, training=batch)
    return found


@dataclass(frozen=True)
class Variant:
    """A model as one library runs it in one way. It can be sent to another process."""

    workload: Workload
    library: str
    mode: Mode
    how: How
    batch: int

    def __str__(self) -> str:
        return f"{self.workload.name} {self.mode} batch {self.batch}, {self.library} {self.how}"

    @property
    def seconds_to_compile(self) -> float:
        """About, where others compile at the same time."""
        return 40.0 if self.mode == "inference" else 60.0

    def build(self, device: torch.device) -> nn.Module:
        torch.manual_seed(0)
        with device:
            return self.workload.benchmarked.builders[self.library](self.workload.numbers)

    def call(self, model: nn.Module, pixels: torch.Tensor) -> Call:
        """The work on these images, in bfloat16. It waits for nothing."""
        conditions = Conditions(pixels.device, torch.bfloat16, self.how != "eager", COMPILING[self.how])
        work = forward_pass if self.mode == "inference" else training_step
        return work(model, pixels, conditions)

    def pixels(self, device: torch.device) -> torch.Tensor:
        return torch.randn(self.batch, *self.workload.numbers.shape, device=device)

    def run_once(self, device: torch.device) -> None:
        """Compile it, which the first call does."""
        self.call(self.build(device), self.pixels(device))()
