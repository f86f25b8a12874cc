"""Between tensors of which each process holds a shard (FSDP2) and the whole ones that a checkpoint keeps."""

from collections.abc import Collection
from typing import Any, cast

from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from ...errors import UserError
from ...families import family_of_model


def layers_to_shard(model: nn.Module) -> list[str] | None:
    """The classes of which each module becomes a shard: those of the model that may not be split, without what holds
    the patches; of a family that names none, its layers'.

    Accelerate shards the patches by themselves, cannot shard a weight twice, and refuses a class that it does not find.
    None for a model that names no class, and is of no family.
    """
    undivided: Collection[str] | None = getattr(model, "_no_split_modules", None)
    if not undivided:
        family = family_of_model(model)
        layers = [] if family is None else family.layer_names(model)
        return sorted({type(model.get_submodule(name)).__name__ for name in layers}) or None
    patches = cast(Any, model).get_input_embeddings()
    there = {type(module).__name__ for module in model.modules()}
    holders = {type(module).__name__ for module in model.modules() if patches in module.modules()}
    return sorted(there.intersection(undivided) - holders)


def shard_by_layers(plugin: Any, model: nn.Module) -> None:
    """Tell Accelerate's plugin of FSDP which layers to shard, unless its configuration says so."""
    if plugin.transformer_cls_names_to_wrap is None:
        plugin.transformer_cls_names_to_wrap = layers_to_shard(model)


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or all shards of it together, for which every process has to call."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, example: Tensor) -> Tensor:
    """This process's shard, where the example is one."""
    if not isinstance(example, DTensor):
        return tensor
    return distribute_tensor(tensor.to(example.device), example.device_mesh, example.placements)


def whole_state(state: dict[str, Any]) -> dict[str, Any]:
    """The state of an optimizer as a single process would have it."""
    tensors = {
        index: {name: whole(value) if isinstance(value, Tensor) else value for name, value in own.items()}
        for index, own in state["state"].items()
    }
    return {**state, "state": tensors}


def sharded_state(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The inverse: each tensor that is as large as its parameter becomes the shard that goes with it.

    Raises: UserError where the optimizer steps other parameters than were saved.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    counts = [len(group["params"]) for group in state["param_groups"]]
    if counts != (now := [len(group["params"]) for group in optimizer.param_groups]):
        raise UserError(f"The optimizer was saved with groups of {counts} parameters, and now has groups of {now}.")
    tensors = {
        index: {
            name: sharded_like(value, parameters[index])
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in own.items()
        }
        for index, own in state["state"].items()
    }
    return {**state, "state": tensors}
