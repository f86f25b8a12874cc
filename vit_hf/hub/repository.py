"""Which files of a folder make a repository: those that belong to the model by name, and nothing else."""

import re
from collections.abc import Iterable
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from transformers.dynamic_module_utils import get_relative_import_files

from .. import models
from ..completion.configurations import VERSION_NOTE
from ..errors import UserError
from ..families import find_family
from ..files import read_json, write_json
from ..version import __version__

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
INDEX, PROCESSOR = f"{WEIGHTS}.index.json", "preprocessor_config.json"
# Beside the model, where they are.
RECORDS = ("recipe.yaml", "metrics.json", "parity.json")
OF_A_CHECKPOINT = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def repository_files(folder: Path, *, card: bool = True, finished: bool = True) -> list[str]:
    """The paths, inside the folder, of all that is published.

    card: whether a README.md must be there. finished: whether a checkpoint of a training is refused.

    Raises: UserError for a folder that is no model, has no card, or is a checkpoint of a training under way.
    """
    if finished:
        refuse_checkpoint(folder)
    refuse_no_model(folder)
    if card and not (folder / CARD).is_file():
        raise UserError(
            f"{folder} has no card ({CARD}), and a model that nobody can judge is not published; a training by "
            "`vit-hf train` writes one."
        )
    names = [CONFIG, *weight_files(folder), *code_files(folder)]
    names += [name for name in (PROCESSOR, *RECORDS) if (folder / name).is_file()]
    if card:
        names += [CARD, *pictures_of(folder)]
    refuse_links_outside(folder, names)
    return sorted(set(names))


def refuse_links_outside(folder: Path, names: Iterable[str]) -> None:
    """Raises: UserError for a symbolic link to a file elsewhere, which whoever made the folder may have chosen."""
    for name in names:
        if not (target := (folder / name).resolve()).is_relative_to(folder.resolve()):
            raise UserError(
                f"{name} in {folder} is a link to {target}, outside of the folder, and is not published; if it belongs "
                "to the model, put a copy in the place of the link."
            )


def refuse_checkpoint(folder: Path) -> None:
    for name in OF_A_CHECKPOINT:
        if (folder / name).is_file():
            raise UserError(
                f"{folder} is a checkpoint in the middle of a training ({name} lies in it); publish the output folder "
                "of the training, once it has ended."
            )


def refuse_no_model(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} is no model: it has no {CONFIG}. Give the output folder of a training.")


def weight_files(folder: Path) -> list[str]:
    """model.safetensors, or an index and the shards that it names. A pickle is no substitute."""
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if not (folder / INDEX).is_file():
        raise UserError(
            f"{folder} has no {WEIGHTS}. Weights in a pickle are not published, because a pickle can run any code "
            "when it is read; save the model with save_pretrained."
        )
    shards = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise UserError(f"{INDEX} names {shard}, which does not lie in {folder}; save the model again.")
    return [INDEX, *shards]


def code_files(folder: Path) -> list[str]:
    """Of the code in the folder, what its classes are found in and what that imports."""
    found: set[str] = set()
    for name in (CONFIG, PROCESSOR):
        code = read_json(folder / name).get("auto_map", {}) if (folder / name).is_file() else {}
        for place in code.values():
            if "--" in place:
                raise UserError(
                    f"{name} takes its code from another repository ({place}), which may change or vanish; load the "
                    "model with vit_hf installed and save it again."
                )
            file = folder / f"{place.rpartition('.')[0]}.py"
            if not file.is_file():
                raise UserError(f"{name} names code in {file.name}, which does not lie in {folder}; save it again.")
            found |= {file.name, *(Path(path).name for path in get_relative_import_files(file))}
    return sorted(found)


def refuse_strange_code(folder: Path) -> None:
    """Raises: UserError where the code is not that of the installed packages, vit_hf and that of the model's family:
    what is verified here with them would not be what strangers run."""
    config = read_json(folder / CONFIG)
    family = find_family(config.get("model_type", ""))
    places = [Path(models.__file__ or "").parent, *([] if family is None else [family.code])]
    differing = []
    for name in code_files(folder):
        installed = [(place / name).read_bytes() for place in places if (place / name).is_file()]
        differing += [] if (folder / name).read_bytes() in installed else [name]
    if differing:
        wrote = config.get(VERSION_NOTE, "an older version")
        beside = "" if family is None or family.package[0] == "vit_hf" else f", nor of {family.package[0]}"
        raise UserError(
            f"The code in {folder} is not that of the installed vit_hf {__version__}{beside}: {', '.join(differing)} "
            f"differ{'s' if len(differing) == 1 else ''}; {wrote} wrote it. Save the model again with this version "
            "(from_pretrained, then save_pretrained), or install the one that wrote it."
        )


def pictures_of(folder: Path) -> list[str]:
    """Those that the card shows. Raises: UserError for one that is not there."""
    shown = PICTURE.findall((folder / CARD).read_text(encoding="utf-8"))
    names = [name for name in shown if "://" not in name]
    for name in names:
        if not (folder / name).is_file() or not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{CARD} shows {name}, which does not lie in {folder}.")
    return names


def split_weights(file: Path, into: Path, limit: int) -> list[str]:
    """-> the names of an index and of the shards that it lists, in the folder `into`; none where `limit` bytes suffice.

    A tensor that is larger than the limit has a shard of its own.
    """
    if file.stat().st_size <= limit:
        return []
    with safe_open(file, framework="pt") as weights:
        groups: list[list[str]] = [[]]
        sizes: list[int] = [0]
        for key in weights.keys():  # noqa: SIM118 (no dictionary)
            size = tensor_bytes(weights, key)
            if groups[-1] and sizes[-1] + size > limit:
                groups.append([])
                sizes.append(0)
            groups[-1].append(key)
            sizes[-1] += size
        stem = WEIGHTS.removesuffix(".safetensors")
        places = {}
        for number, keys in enumerate(groups, start=1):
            name = f"{stem}-{number:05d}-of-{len(groups):05d}.safetensors"
            save_file({key: weights.get_tensor(key) for key in keys}, into / name, metadata={"format": "pt"})
            places |= dict.fromkeys(keys, name)
    index = {"metadata": {"total_size": sum(sizes)}, "weight_map": dict(sorted(places.items()))}
    write_json(into / INDEX, index)
    return [INDEX, *sorted(set(places.values()))]


def tensor_bytes(weights, key: str) -> int:
    """Read from a view of the file, which costs no memory."""
    tensor = weights.get_tensor(key)
    return tensor.numel() * tensor.element_size()
