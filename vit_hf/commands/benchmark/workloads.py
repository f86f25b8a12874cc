"""What is timed: a forward pass, or a whole step of training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

Call = Callable[[], None]


@dataclass(frozen=True)
class Conditions:
    """Where and how everything runs that is compared. options: of torch.compile."""

    device: torch.device
    dtype: torch.dtype
    compile: bool
    options: Mapping[str, Any] = field(default_factory=dict)

    def compiled(self, model: nn.Module) -> Callable[..., Any]:
        """The same function, compiled where that is asked for."""
        return torch.compile(model, **self.options) if self.compile else model

    def wait(self) -> None:
        """Until the device has done all it was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def waiting(self, call: Callable[[], object]) -> Call:
        def both() -> None:
            call()
            self.wait()

        return both

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        if self.device.type == "cuda":
            place = torch.cuda.get_device_name(self.device)
        else:
            place = f"CPU, {torch.get_num_threads()} threads"
        return f"{place}, {dtype}{', compiled' if self.compile else ''}"


def inference(model: nn.Module, pixels: torch.Tensor, conditions: Conditions) -> Call:
    return conditions.waiting(forward_pass(model, pixels, conditions))


def forward_pass(model: nn.Module, pixels: torch.Tensor, conditions: Conditions) -> Call:
    """b c h w -> logits, without gradients; weights and pixels in the conditions' dtype. It waits for nothing."""
    model = model.to(conditions.device, conditions.dtype).eval()
    pixels = pixels.to(conditions.device, conditions.dtype)
    forward = conditions.compiled(model)

    @torch.inference_mode()
    def call() -> None:
        forward(pixels)

    return call


def training(model: nn.Module, pixels: torch.Tensor, conditions: Conditions) -> Call:
    return conditions.waiting(training_step(model, pixels, conditions))


def training_step(model: nn.Module, pixels: torch.Tensor, conditions: Conditions) -> Call:
    """One step: forward, cross-entropy, backward, AdamW. Weights stay float32; products run in the dtype. It waits for
    nothing."""
    model = model.to(conditions.device).train()
    pixels = pixels.to(conditions.device)
    labels = torch.zeros(len(pixels), dtype=torch.int64, device=conditions.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = conditions.compiled(model)
    lower = conditions.dtype != torch.float32

    def call() -> None:
        with torch.autocast(conditions.device.type, conditions.dtype, enabled=lower):
            loss = functional.cross_entropy(forward(pixels), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


def peak_memory_of_call(call: Call, device: torch.device) -> int:
    """Bytes of tensors that one call holds at its fullest, beyond what was there before (weights, moments)."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    events: list[Any] = record.profiler.kineto_results.events()  # pyright: ignore[reportOptionalMemberAccess]
    return highest([(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"])


def highest(changes: list[tuple[int, int]]) -> int:
    """The most bytes that were held at a time, from (moment, bytes taken or given back) in any order."""
    held = most = 0
    for _, change in sorted(changes, key=lambda change: change[0]):
        held += change
        most = max(most, held)
    return most
