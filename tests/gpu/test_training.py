"""Averages of weights, fused optimizers and recomputed activations on a device."""

from pathlib import Path

import pytest
import torch
from gpu.runs import model_to_train, trainer_for
from gpu.small_models import FAMILIES, gradients, inputs_of, model_of, off_by_most

from vit_hf.training.ema import MovingAverage

STEPS = 6


def noise_like(tensor: torch.Tensor, seed: int) -> torch.Tensor:
    """Drawn on the CPU, and so the same on every device."""
    drawn = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(tensor.device, tensor.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_an_average_of_weights_is_the_one_of_the_cpu(device: torch.device, dtype: torch.dtype):
    averages = []
    for place in (torch.device("cpu"), device):
        model = model_of("vit").to(place, dtype)
        average = MovingAverage(model, decay=0.99)
        for step in range(STEPS):
            with torch.no_grad():
                for number, parameter in enumerate(model.parameters()):
                    parameter.copy_(noise_like(parameter, 1000 * step + number))
            average.update(model)
        averages.append(average.average)
    expected, found = averages
    assert all(tensor.device.type == device.type for tensor in found.values())
    apart = max((found[name].cpu() - tensor).abs().max().item() for name, tensor in expected.items())
    assert apart < 1e-6, f"averages are {apart:.2e} apart"


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_fused_adamw_makes_the_steps_of_the_plain_one(device: torch.device, tmp_path: Path, max_grad_norm: float):
    """Of the Trainer's own groups; gradients are given, since Adam makes a whole step of what is only rounding."""
    weights = []
    for word in ("adamw_torch", "adamw_torch_fused"):
        trainer = trainer_for("vit", tmp_path, optim=word, weight_decay=0.05, bf16=False, use_cpu=device.type == "cpu")
        model, optimizer = trainer.model, trainer.create_optimizer()
        assert all(bool(group["fused"]) == (word == "adamw_torch_fused") for group in optimizer.param_groups), word
        for step in range(STEPS):
            for number, parameter in enumerate(model.parameters()):
                parameter.grad = noise_like(parameter, 1000 * step + number)
            if max_grad_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
            optimizer.step()
        weights.append({name: parameter.detach().cpu() for name, parameter in model.named_parameters()})
    plain, fused = weights
    apart = max((fused[name] - tensor).abs().max().item() for name, tensor in plain.items())
    moved = max((tensor - start).abs().max().item() for tensor, start in zip(plain.values(), starting(), strict=True))
    assert moved > 1e-3
    assert apart < 1e-6, f"weights are {apart:.2e} apart, which moved by {moved:.2e}"


def starting() -> list[torch.Tensor]:
    """The weights with which `trainer_for` begins."""
    from transformers import set_seed

    set_seed(0)
    return [parameter.detach() for parameter in model_to_train("vit").parameters()]


@pytest.mark.parametrize("kind", FAMILIES)
def test_recomputed_activations_give_the_same_loss_and_gradients(device: torch.device, kind: str):
    model, found = model_of(kind, device, drop_path_rate=0.3).train(), []
    inputs = inputs_of(model, 8, device=device)
    for recomputing in (False, True):
        if recomputing:
            # transformers renamed it.
            new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
            getattr(model, new if hasattr(model, new) else old)()
        torch.manual_seed(3)
        loss = model(**inputs).loss.item()
        torch.manual_seed(3)
        found.append({"loss": torch.tensor(loss), **gradients(model, inputs)})
    plain, recomputed = found
    largest = max(tensor.abs().max().item() for name, tensor in plain.items() if name != "loss")
    for name, tensor in plain.items():
        if name == "loss":
            off = off_by_most(recomputed[name], tensor)
        else:
            off = (recomputed[name] - tensor).abs().max().item() / largest
        assert off < 1e-5, f"{kind}: {name} is off by {off:.2e}"
