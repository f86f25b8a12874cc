"""Weights in files, of which a tensor is read only when it is asked for; and models that are built around them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...errors import UserError
from ...files import places_of_tensors
from .rules import Table, translate


class SafeTensors(Mapping[str, Tensor]):
    """The tensors of one file, or of the shards that an index lists: views of the file, read where they are used.

    Raises: UserError for a file that is truncated or damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        self.files = files_of(path)
        self.open_files = {file: opened(file) for file in set(self.files.values())}

    def __getitem__(self, key: str) -> Tensor:
        return self.open_files[self.files[key]].get_tensor(key)

    def __contains__(self, key) -> bool:
        return key in self.files

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def files_of(path: Path) -> dict[str, Path]:
    """The file of each tensor."""
    if path.suffix == ".json":
        shards = places_of_tensors(path)
        if missing := sorted({name for name in shards.values() if not (path.parent / name).is_file()}):
            raise UserError(f"{path} lists {missing[0]}, which is not beside it; copy or download all the shards.")
        return {key: path.parent / name for key, name in shards.items()}
    with opened(path) as file:
        return dict.fromkeys(file.keys(), path)


def opened(path: Path):
    try:
        return safe_open(str(path), framework="pt")
    except SafetensorError as error:
        raise UserError(
            f"{path} cannot be read ({error}): the file is truncated, damaged or no safetensors file. "
            "Copy or download it again."
        ) from error


def shapes_of(model: nn.Module) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in model.state_dict().items()}


def folded_heads(state: Mapping[str, Tensor], config: Any) -> Mapping[str, Tensor]:
    """The weights of ours for a library that knows no temperature and no units of targets: the heads' rows and biases
    are divided by the one, or multiplied by the standard deviations, and the means are added to the biases."""
    temperature, std = getattr(config, "temperature", 1), getattr(config, "target_std", None)
    if temperature == 1 and std is None:
        return state
    heads = [key for key in state if key.startswith(("classifier.", "distillation_classifier."))]
    folded = {key: state[key].double() / temperature for key in heads}
    for key, values in folded.items() if std is not None else ():
        if key.endswith(".bias"):
            folded[key] = values * values.new_tensor(std) + values.new_tensor(config.target_mean)
        else:
            folded[key] = values * values.new_tensor(std)[:, None]
    return {**state, **{key: values.to(state[key].dtype) for key, values in folded.items()}}


def fill(model: nn.Module, state: Mapping[str, Tensor], table: Table, layers: int) -> None:
    """Put translated weights into a model that was built on the meta device, and make it ready to use.

    The dictionary of a live model is copied; what another mapping reads from a file is not copied again.
    """
    tensors = translate(state, table, layers, shapes=shapes_of(model), share=not isinstance(state, dict))
    model.load_state_dict(tensors, assign=True)
    model.eval()
