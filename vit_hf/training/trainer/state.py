"""Whatever else a run remembers, such as averaged weights, by name: kept as safetensors and JSON, no pickles."""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_callback import ExportableState, TrainerCallback

from ...errors import UserError
from .sharding import sharded_like, whole

FOLDER = "states"


@runtime_checkable
class Stateful(Protocol):
    """As in torch.distributed.checkpoint; a callback of the Trainer is kept in its checkpoints by having these two."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, and values that JSON can say, by name. Every process is asked, as for a sharded tensor it must."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Called after `on_train_begin`, once model and optimizer are the checkpoint's. Tensors come sharded as those
        that `state_dict` gives, but from the CPU.
        """
        ...


class Exported:
    """transformers' own kind of stateful callback, such as early stopping, as ours."""

    def __init__(self, callback: ExportableState):
        self.callback = callback

    def state_dict(self) -> dict[str, Any]:
        return self.callback.state()["attributes"]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self.callback, name, value)


def stateful_callbacks(callbacks: Iterable[TrainerCallback]) -> dict[str, Stateful]:
    """By the names of their classes, the second of a name with a 2 behind it."""
    found: dict[str, Stateful] = {}
    for callback in callbacks:
        stateful = Exported(callback) if isinstance(callback, ExportableState) else callback
        if isinstance(stateful, Stateful):
            name = type(callback).__name__
            count = sum(other.rstrip("0123456789") == name for other in found)
            found[f"{name}{count + 1}" if count else name] = stateful
    return found


def save_states(states: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """states/name.safetensors and states/name.json"""
    for name, state in states.items():
        (folder / FOLDER).mkdir(exist_ok=True)
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / FOLDER / f"{name}.safetensors")
        values = {key: value for key, value in state.items() if key not in tensors}
        (folder / FOLDER / f"{name}.json").write_text(json.dumps(values) + "\n", encoding="utf-8")


def whole_states(stateful: Mapping[str, Stateful]) -> dict[str, dict[str, Any]]:
    """Whole tensors, also where each process holds a shard."""
    return {
        name: {
            key: whole(value) if isinstance(value, torch.Tensor) else value for key, value in one.state_dict().items()
        }
        for name, one in stateful.items()
    }


def load_states(stateful: Mapping[str, Stateful], folder: Path, *, anyway: bool = False) -> None:
    """Raises: UserError where the checkpoint and the run do not remember the same things, unless told `anyway`."""
    saved = {path.stem for path in (folder / FOLDER).glob("*.json")}
    if saved != set(stateful) and not anyway:
        raise UserError(
            f"{folder} remembers {', '.join(sorted(saved)) or 'nothing'}, and this run has "
            f"{', '.join(sorted(stateful)) or 'nothing'} to remember; make them the same, or resume anyway, which "
            "starts the others anew."
        )
    for name in sorted(saved & set(stateful)):
        values = json.loads((folder / FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        now = stateful[name].state_dict()
        tensors = load_file(folder / FOLDER / f"{name}.safetensors")
        shards = {key: sharded_like(tensor, now.get(key, tensor)) for key, tensor in tensors.items()}
        stateful[name].load_state_dict({**shards, **values})


def random_state(device: torch.device) -> dict[str, Any]:
    """Of Python, NumPy and torch, on the CPU and on the process's own device."""
    kind, key, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - whose state is saved, is not ours to choose
    state = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(key, dtype=np.int64)), *rest),
        "cpu": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state[device.type] = torch.get_device_module(device).get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """The inverse; a device of another kind than was saved keeps the numbers it has."""
    random.setstate(state["python"])
    kind, key, *rest = state["numpy"]
    np.random.set_state((kind, key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu" and device.type in state:
        torch.get_device_module(device).set_rng_state(state[device.type], device)
