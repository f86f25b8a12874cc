"""Any checkpoint as a mapping of tensors, read one by one; nothing in it is ever run."""

import logging
import re
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path, PosixPath, PurePosixPath
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
# Names of what training programs save beside a model, by how they begin: moments of an optimizer look like weights.
BESIDE_A_MODEL = ("optim", "exp_avg", "momentum", "max_exp", "grad", "scaler", "sched", "rng", "loss", "metric")
# What they put before a model's own names.
PREFIXES = ("teacher.", "student.", "module.", "_orig_mod.", "model.", "encoder.", "backbone.")
# Under other names a model is one that has patches.
OF_PATCHES = ("patch_embed", "conv_proj.", "to_patch_embedding", "embedding/")
# Plain values beside weights, which pickles make by these functions; none of them runs anything of the file's.
PLAIN_VALUES = [
    Namespace,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    np.dtype,
    np.ndarray,
    *(
        (getattr(import_module("numpy._core.multiarray"), name), f"numpy.{core}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for core in ("core", "_core")
    ),
    *(
        (kind, f"{module}.{kind.__name__}")
        for kind in (PosixPath, PurePosixPath)
        for module in ("pathlib", "pathlib._local")
    ),
]


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

    source: .safetensors, .npz, .pth, .pth.tar, .pt, .pyth, .bin, .ckpt, or a folder with such a file, or shards and
        their index.
    part: which of several state dicts in one file, as "student" or "ema.model"; None takes the one that there is.

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
        with torch.serialization.safe_globals(PLAIN_VALUES), warnings.catch_warnings():
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


def unwrapped(path: Path, content: Any, part: str | None) -> Mapping[str, Tensor]:
    """The state dict in what a training program saved, wherever it lies there.

    Raises: UserError where there is none, and where there are several that differ.
    """
    refuse_nameless(path, content)
    found = dict(state_dicts(content))
    if part is not None:
        chosen = {name: state for name, state in found.items() if f"{name}.".startswith(f"{part}.")}
        flat = {key: value for key, value in found.get("", {}).items() if key.startswith(f"{part}.")}
        if not chosen and not flat:
            raise UserError(f"{path} has no {part!r}; it holds {first_few([*found] if any(found) else found[''])}.")
        found = chosen or {part: flat}
    if not found:
        raise UserError(
            f"{path} holds no weights: it is {described(content)}. Save a model's state_dict(), alone or under 'model'."
        )
    if known := {name: state for name, state in found.items() if is_known(state)}:
        found = known
    most = max(len(state) for state in found.values())
    rivals = {name: state for name, state in found.items() if 2 * len(state) > most}
    taken = next(iter(rivals))
    refuse_rivals(path, rivals)
    if len(found) > 1 or taken.count("."):
        left = [name for name in found if name != taken]
        logger.warning("%s: %r is taken%s.", path, taken, f", {first_few(left)} left" if left else "")
    return rivals[taken]


def refuse_nameless(path: Any, content: Any, within: tuple[Any, ...] = ()) -> None:
    """within: what it lies in, itself perhaps. Raises: UserError for tensors that are named by what is no text."""
    if not isinstance(content, Mapping) or any(content is one for one in within):
        return
    if strange := [name for name, value in content.items() if isinstance(value, Tensor) and not isinstance(name, str)]:
        raise UserError(
            f"{path} names tensors by what is no text ({first_few(map(repr, strange))}), which no model does. Save a "
            "model's state_dict(), alone or under 'model'."
        )
    if not dict(state_dicts(content)):  # beside a model such names are none of it
        for value in content.values():
            refuse_nameless(path, value, (*within, content))


def state_dicts(
    content: Any, trail: tuple[str, ...] = (), within: tuple[Any, ...] = ()
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The name by which it is reached, and the tensors, of each mapping of tensors but those beside a model.

    within: what it lies in, itself perhaps.
    """
    beside = any(word.lower().startswith(BESIDE_A_MODEL) for word in trail)
    if not isinstance(content, Mapping) or beside or any(content is one for one in within):
        return
    named = {name: value for name, value in dict(content).items() if isinstance(name, str)}
    if tensors := {name: value for name, value in named.items() if isinstance(value, Tensor)}:
        yield ".".join(trail), tensors
    for name, value in named.items():
        yield from state_dicts(value, (*trail, name), (*within, content))


def is_known(state: Mapping[str, Tensor]) -> bool:
    """Whether it has a key of any published file, or of vit-pytorch's."""
    from ...families import FAMILIES

    anchors = [files.anchor for family in FAMILIES.values() for files in family.original_files()]
    return any(key.endswith((*anchors, "to_qkv.weight", "embeddings.patches.projection.weight")) for key in state)


def refuse_rivals(path: Any, rivals: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raises: UserError where models are not all the same, tensor by tensor."""
    first, *others = rivals
    for other in others:
        if not same_tensors(rivals[first], rivals[other]):
            raise UserError(
                f"{path} holds several models, which differ: {', '.join(repr(name) for name in rivals)}. "
                f"Say which one, as in part={first!r} (convert: --say part={first})."
            )


def same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether both hold the same, whatever stands before all of the names of each."""
    if len(one) != len(other):
        return False
    pairs = zip(sorted(one), sorted(other), strict=True)
    return all(one[key].shape == other[name].shape and torch.equal(one[key], other[name]) for key, name in pairs)


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
    ".tar": read_torch,
    ".bin": read_torch,
    ".ckpt": read_torch,
}


def under_prefix(state: Mapping[str, Tensor], anchor: str) -> tuple[Mapping[str, Tensor], list[str]] | None:
    """What of a state dict belongs to the model that has a key `anchor`, under its own names, and the keys that do not.

    None where there is no such model, under any name or none. Raises: UserError where there are several that differ.
    """
    chains = [key[: -len(anchor)] for key in state if key.endswith(anchor)]
    models = {chain: own_part(state, chain) for chain in chains if is_prefix(chain, state)}
    if not models:
        return None
    refuse_rivals("The file", {chain.removesuffix("."): part for chain, part in models.items()})
    prefix = next(iter(models))
    return models[prefix], [key for key in state if not key.startswith(prefix)]


def own_part(state: Mapping[str, Tensor], chain: str) -> Mapping[str, Tensor]:
    own = {key: key[len(chain) :] for key in state if key.startswith(chain)}
    return Tensors({name: lambda key=key: state[key] for key, name in own.items()})


def is_prefix(chain: str, state: Mapping[str, Tensor]) -> bool:
    """Whether such a chain as "module.encoder." stands before the names of a whole model, and of no part of one."""
    words = chain.split(".")
    known = all(f"{word}." in PREFIXES for word in words[:-1])
    has_patches = any(key.startswith(tuple(f"{chain}{name}" for name in OF_PATCHES)) for key in state)
    return not words[-1] and (known or has_patches)
