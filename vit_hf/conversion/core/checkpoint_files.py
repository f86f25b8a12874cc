"""Any checkpoint as a mapping of tensors, read one by one; nothing in it is ever run."""

import logging
import re
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError, first_few
from ...files import places_of_tensors
from .weights import SafeTensors

logger = logging.getLogger(__name__)

# What folders of weights are called, the first that is there; an index lists the shards of several files.
OF_A_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Where training programs put a model's weights beside their optimizer, the best first.
WRAPPERS = ("model_ema", "state_dict_ema", "teacher", "model", "state_dict", "model_state", "student", "module")
# What they put before a model's own names, the one to keep first where several models lie side by side.
PREFIXES = ("teacher.", "student.", "module.", "_orig_mod.", "model.", "encoder.", "backbone.")


class Tensors(Mapping[str, Tensor]):
    """Names, and for each a function that reads its tensor when it is asked for."""

    def __init__(self, readers: Mapping[str, Callable[[], Tensor]]):
        self.readers = readers

    def __getitem__(self, name: str) -> Tensor:
        return self.readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)


def open_checkpoint(source: str | Path, *, part: str | None = None) -> Mapping[str, Tensor]:
    """The weights in a file, or in a folder of one model, in the dtypes they were saved in.

    source: .safetensors, .npz, .pth, .pt, .pyth, .bin, .ckpt, or a folder with such a file, or shards and their index.
    part: which of several state dicts in one file, as "student"; None takes the first of `WRAPPERS`.

    Raises: UserError, with what would do, for anything that is no checkpoint, or is damaged, or holds code.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        path = file_in(path)
    if not path.is_file():
        raise UserError(f"There is no file or folder {source}.")
    if path.name.endswith(".index.json"):
        return read_shards(path, part)
    read = READERS.get(path.suffix)
    if read is None:
        raise UserError(f"{path} is no checkpoint: its name ends in none of {', '.join(READERS)}.")
    if is_pointer(path):
        raise UserError(f"{path} is only a pointer of Git LFS to the weights; fetch them with `git lfs pull`.")
    return read(path, part)


def is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(19) == b"version https://git"


def file_in(folder: Path) -> Path:
    """The file that holds a folder's weights, or the index of its shards."""
    for name in OF_A_FOLDER:
        if (folder / name).is_file():
            return folder / name
    found = sorted(file for file in folder.iterdir() if file.suffix in READERS)
    if len(found) == 1:
        return found[0]
    inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
    problem = f"holds {len(found)} checkpoints; name one" if found else "holds no weights"
    raise UserError(f"The folder {folder} {problem} (in it: {inside}).")


def read_shards(index: Path, part: str | None) -> Mapping[str, Tensor]:
    places = places_of_tensors(index)
    shards = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name or not (index.parent / name).is_file():
            raise UserError(f"{index} names a shard {name}, which does not lie beside it; copy or download it.")
        shards[name] = open_checkpoint(index.parent / name, part=part)
    for key, name in places.items():
        if key not in shards[name]:
            raise UserError(f"{index} places {key} in {name}, where it is not; copy or download them again.")
    return Tensors({key: lambda key=key, name=name: shards[name][key] for key, name in places.items()})


def read_safetensors(path: Path, part: str | None) -> Mapping[str, Tensor]:
    return SafeTensors(path)


def read_npz(path: Path, part: str | None) -> Mapping[str, Tensor]:
    if not is_zipfile(path):
        raise UserError(damaged(path, BadZipFile("it has no list of its arrays")))
    try:
        file: Any = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise UserError(damaged(path, error)) from error
    return Tensors({name: lambda name=name: array_of(path, file, name) for name in file.files})


def array_of(path: Path, file: Any, name: str) -> Tensor:
    try:
        array = file[name]
    except (BadZipFile, OSError, EOFError) as error:
        raise UserError(damaged(path, error)) from error
    except ValueError as error:
        raise UserError(f"{path} holds Python objects under {name}, which could run code; {SAFE_WAY}") from error
    if array.dtype.str.endswith("V2"):  # how numpy writes bfloat16
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise UserError(f"{path} holds under {name} no numbers, but {array.dtype}; it holds no weights.") from error


SAFE_WAY = (
    "it is not opened. Where you trust its source, open it apart from this, save the tensors alone with "
    "safetensors.torch.save_file, and convert that file."
)


def read_torch(path: Path, part: str | None) -> Mapping[str, Tensor]:
    try:
        # The arguments of a training, which lie beside many weights, are a plain namespace.
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            content = load_mapped(path)
    except UnpicklingError as error:
        if called := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise UserError(f"{path} is a pickle that would run code ({called[1]}); {SAFE_WAY}") from error
        raise UserError(damaged(path, error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(damaged(path, error)) from error
    return unwrapped(path, content, part)


def load_mapped(path: Path) -> Any:
    """Weights stay in the file until they are used; files of before PyTorch 1.6 do not allow that."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
    return torch.load(path, map_location="cpu", weights_only=True)


def unwrapped(path: Path, content: Any, part: str | None) -> dict[str, Tensor]:
    """The state dict in what a training program saved."""
    trail: list[str] = []
    seen: list[Any] = []
    while isinstance(content, Mapping) and not any(content is one for one in seen):  # it may lie within itself
        seen.append(content)
        inside = [name for name in WRAPPERS if isinstance(content.get(name), Mapping)]
        if part is not None and part not in trail:
            if not isinstance(content.get(part), Mapping):
                raise UserError(f"{path} has no {part!r}; it holds {first_few(content)}.")
            inside = [part]
        if not inside:
            break
        if len(inside) > 1:
            logger.warning("%s: %r is taken, %s left; `part` chooses.", path, inside[0], first_few(inside[1:]))
        trail.append(inside[0])
        content = content[inside[0]]
    tensors = (
        {name: value for name, value in dict(content).items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise UserError(
            f"{path} holds no weights: it is {described(content)}. Save a model's state_dict(), alone or under 'model'."
        )
    if strange := [name for name in tensors if not isinstance(name, str)]:
        raise UserError(
            f"{path} names tensors by what is no text ({first_few(map(repr, strange))}), which no model does. Save a "
            "model's state_dict(), alone or under 'model'."
        )
    return tensors


def described(content: Any) -> str:
    return (
        f"a dictionary of {first_few(content) or 'nothing'}"
        if isinstance(content, Mapping)
        else f"a {type(content).__name__}"
    )


def damaged(path: Path, error: Exception) -> str:
    reason = str(error).split("\n")[0].strip() or type(error).__name__
    return (
        f"{path} cannot be read ({reason}): it is truncated, damaged, or no {path.suffix} file. "
        "Copy or download it again."
    )


READERS = {
    ".safetensors": read_safetensors,
    ".npz": read_npz,
    ".pth": read_torch,
    ".pt": read_torch,
    ".pyth": read_torch,
    ".bin": read_torch,
    ".ckpt": read_torch,
}


def under_prefix(state: Mapping[str, Tensor], anchor: str) -> tuple[Mapping[str, Tensor], list[str]] | None:
    """What of a state dict belongs to the model that has a key `anchor`, under its own names, and the keys that do not.

    None where there is no such model, under any chain of `PREFIXES`.
    """
    chains = [key[: -len(anchor)] for key in state if key.endswith(anchor)]
    known = {chain: places for chain in chains if (places := prefix_places(chain)) is not None}
    if not known:
        return None
    prefix = min(known, key=lambda chain: known[chain])
    own = {key: key[len(prefix) :] for key in state if key.startswith(prefix)}
    named = Tensors({name: lambda key=key: state[key] for key, name in own.items()})
    return named, [key for key in state if key not in own]


def prefix_places(chain: str) -> tuple[int, ...] | None:
    """Where each word of a chain such as "module.encoder." stands in `PREFIXES`; None where one is not there."""
    *words, rest = chain.split(".")
    if rest:
        return None
    places = []
    for word in words:
        if f"{word}." not in PREFIXES:
            return None
        places.append(PREFIXES.index(f"{word}."))
    return tuple(places)
