"""Checkpoints that are whole or not there: written aside, listed in a manifest, renamed, and checked before use."""

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ...errors import UserError
from ...files import ASIDE, aside_of, flush_to_disk, hash_of, remove_folder, written_aside

MANIFEST = "manifest.json"
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")

# What a full disk looks like, depending on who was writing: Python, torch or safetensors.
FAILED_WRITES = (OSError, RuntimeError, SafetensorError)


class CheckpointNotWritten(OSError):
    """The disk refused a checkpoint; those before it are as they were."""


def step_of(folder: Path) -> int:
    """checkpoint-120 -> 120, and -1 for every other name"""
    found = CHECKPOINT_NAME.fullmatch(folder.name)
    return int(found[1]) if found else -1


def checkpoints_in(root: Path) -> list[Path]:
    """By step, the newest last; whether they are whole is another question."""
    folders = [folder for folder in root.glob("checkpoint-*") if folder.is_dir() and step_of(folder) >= 0]
    return sorted(folders, key=step_of)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def write_manifest(folder: Path) -> None:
    """The size and the hash of every file; that it is there says that all the rest was written."""
    entries = {}
    for path in files_in(folder):
        flush_to_disk(path)
        entries[path.relative_to(folder).as_posix()] = {"size": path.stat().st_size, "sha256": hash_of(path)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"files": entries}, indent=1) + "\n", encoding="utf-8")
    flush_to_disk(manifest)


def fault_of(folder: Path) -> str | None:
    """Why a checkpoint cannot be used, or None where every byte is as it was written."""
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return f"it has no {MANIFEST}, which is written last"
    except (ValueError, KeyError, TypeError):
        return f"its {MANIFEST} is damaged"
    for name, entry in entries.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (size := path.stat().st_size) != entry["size"]:
            return f"{name} has {size:,} bytes instead of {entry['size']:,}"
        if hash_of(path) != entry["sha256"]:
            return f"{name} has other bytes than were written"
    return None


def newest_complete(root: Path) -> Path | None:
    """The checkpoint to go on from. Each one that is passed over gets a line."""
    for folder in reversed(checkpoints_in(root)):
        fault = fault_of(folder)
        if fault is None:
            return folder
        print(f"Passing over {folder}: {fault}.", flush=True)
    return None


def refuse_damaged_checkpoint(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"There is no checkpoint {folder}; give a folder such as outputs/mine/checkpoint-100.")
    if fault := fault_of(folder):
        raise UserError(f"{folder} cannot be resumed from: {fault}. Name an earlier checkpoint, or none.")


def remove_leftovers(root: Path) -> None:
    """What a killed process left of a checkpoint that it was writing or removing."""
    for folder in root.glob(f"{ASIDE}checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_checkpoints(root: Path) -> None:
    """All of them, the newest last, so that a removal that is cut short leaves the end of that run."""
    for folder in checkpoints_in(root):
        remove_folder(folder)


@contextmanager
def checkpoint_aside(folder: Path, *, writes: bool = True) -> Iterator[Path]:
    """A folder to write into, which gets its manifest and its name only once everything is in it.

    Every process of a distributed run may enter, for what they gather together; the one that `writes` does so.
    Raises: CheckpointNotWritten, with what is left to go on from, where the disk is full or fails otherwise.
    """
    if not writes:
        yield aside_of(folder)
        return
    try:
        with written_aside(folder, replace=True) as aside:
            yield aside
            write_manifest(aside)
    except FAILED_WRITES as error:
        raise CheckpointNotWritten(explain_failure(folder, error)) from error


def explain_failure(folder: Path, error: Exception) -> str:
    root = folder.parent
    free = shutil.disk_usage(root).free / 1e6 if root.is_dir() else 0
    before = newest_complete(root)
    kept = f"{before} is intact: make room, and continue with --resume" if before else "There is none before it"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{folder} could not be written ({reason}; {free:,.1f} MB are free there). {kept}."


def remove_outdated(root: Path, step: int, limit: int | None, best: Collection[Path] = ()) -> None:
    """Keep the newest `limit` checkpoints up to `step`; the best counts among them and is never removed.

    With a limit of 1 and an older best, two stay, as in transformers. Those after `step` are of another run, which
    this one has not overtaken yet.
    """
    if not limit or limit < 1:
        return
    ours = [folder for folder in checkpoints_in(root) if step_of(folder) <= step]
    kept = {folder.resolve() for folder in best} | {ours[-1].resolve()} if ours else set()
    for folder in reversed(ours):
        if len(kept) < limit:
            kept.add(folder.resolve())
    for folder in ours:
        if folder.resolve() not in kept:
            remove_folder(folder)


# No weight depends on these. The batch is compared as a whole, however processes and accumulation divide it.
FREE = (
    "card.*",
    "data.keep_in_memory",
    "data.cache*",
    "data.check_images",
    "training.output_dir",
    "training.resume_from_checkpoint",
    "training.logging_*",
    "training.save_*",
    "training.report_to",
    "training.run_name",
    "training.project",
    "training.disable_tqdm",
    "training.log_level*",
    "training.push_to_hub",
    "training.hub_*",
    "training.load_best_model_at_end",
    "training.per_device_*",
    "training.gradient_accumulation_steps",
    "training.dataloader_num_workers",
    "training.dataloader_pin_memory",
    "training.dataloader_prefetch_factor",
    "training.dataloader_persistent_workers",
)


def flat(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """{"training": {"seed": 0}} -> {"training.seed": 0}"""
    found = {}
    for name, value in content.items():
        place = f"{path}.{name}" if path else name
        found.update(flat(value, place) if isinstance(value, Mapping) and value else {place: value})
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...] = FREE) -> list[str]:
    """A line for every field that matters and is not what it was."""
    old, new = flat(before), flat(now)
    return [
        f"{name} was {old.get(name, 'not set')!r} and is {new.get(name, 'not set')!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not any(fnmatch(name, pattern) for pattern in free)
    ]
