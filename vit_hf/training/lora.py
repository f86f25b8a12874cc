"""LoRA (arXiv:2106.09685) through PEFT: narrow matrices that learn beside frozen ones."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn

from ..errors import UserError
from .optimizer import head_parameters
from .recipe.optimization import LoraSettings


def target_linears(model: nn.Module, ends: list[str] | None) -> list[str]:
    """The full names of the Linears in the layers, or of those whose names end as said.

    Raises: UserError for an end that no Linear has.
    """
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if ends is None:
        return [name for name in linears if "layers" in name.split(".")]
    for end in ends:
        if not any(f".{name}".endswith(f".{end}") for name in linears):
            kinds = sorted({".".join(name.split(".")[-2:]) for name in linears})
            raise UserError(f"optimization.lora.targets: no Linear is called {end!r}; there are {', '.join(kinds)}.")
    return [name for name in linears if any(f".{name}".endswith(f".{end}") for end in ends)]


def add_adapters(model: nn.Module, settings: LoraSettings) -> None:
    """Into the model itself, which stays what it is to everyone else; the head learns as a whole."""
    if find_spec("peft") is None:
        raise UserError("optimization.lora needs PEFT: pip install peft.")
    peft = import_module("peft")
    head = head_parameters(model)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=target_linears(model, settings.targets),
    )
    peft.inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if name in head:
            parameter.requires_grad_(True)


def merge_adapters(model: nn.Module) -> None:
    """Add each product of narrow matrices to the matrix beside it: the same function, and a plain model again."""
    layer = import_module("peft.tuners.tuners_utils").BaseTunerLayer
    module: Any
    for name, module in list(model.named_modules()):
        if isinstance(module, layer):
            module.merge(safe_merge=True)
            owner, _, own_name = name.rpartition(".")
            setattr(model.get_submodule(owner), own_name, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    model.requires_grad_(True)
