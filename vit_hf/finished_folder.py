"""The output folder of a run: what belongs to one run is written aside, and put in place together once it is whole."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from .errors import UserError
from .files import ASIDE, flush_to_disk
from .weight_hash import weight_files_of

RESULT = f"{ASIDE}result"  # where a run writes what it will leave
READY = ".finished-result"  # the same, once it is whole and on its way into place
LISTED, WEIGHTS_SAVED = ".files.json", ".weights-saved"
MOVED_LAST = "README.md"
# All that a run leaves in its folder but code; what an earlier one left of it gives way.
OF_A_RUN = (
    "config.json",
    "*preprocessor_config.json",
    "processor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "metrics.json",
    "recipe.yaml",
    "split.jsonl",
    MOVED_LAST,
    "training_curve.png",
    "confusion_matrix.png",
    "predictions.png",
    "mistakes.png",
    "explained.png",
    "label_scores.png",
    "predicted_and_true.png",
    "reconstructions.png",
    "confusions.html",
    "label_errors.csv",
    "label_errors.html",
    "examples",
)
OF_A_MODEL = ("config.json", "model*.safetensors", "adapter_model.safetensors", "pytorch_model*.bin")


def aside_of_run(folder: Path) -> Path:
    """Where a run writes what will lie in its `folder`."""
    return folder / RESULT


def models_in(folder: Path) -> list[str]:
    """The files that say that a model is there already, of whatever run."""
    return sorted({file.name for kind in OF_A_MODEL for file in folder.glob(kind)})


def is_finished(folder: Path) -> bool:
    return (folder / READY).is_dir() or bool(models_in(folder))


def refuse_finished(folder: Path, *, overwrite: bool = False, resume: str | bool | None = None) -> None:
    """Raises: UserError for a folder with a model in it, unless it may be overwritten, or the run goes on from one of
    the checkpoints beside it.
    """
    if overwrite or not is_finished(folder):
        return
    own = any(folder.glob("checkpoint-*")) and (
        resume is True or (bool(resume) and Path(str(resume)).resolve().parent == folder.resolve())
    )
    if own:
        return
    names = ", ".join(models_in(folder)[:2]) or READY
    ways = "choose another --training.output_dir, or say --overwrite to train anew in its place."
    if resume:
        ways = f"there is no checkpoint of it to go on from; {ways}"
    elif any(folder.glob("checkpoint-*")):
        ways = f"go on with it (--resume), {ways}"
    if (aside_of_run(folder) / WEIGHTS_SAVED).is_file():
        ways += f" The weights of a later run, which ended before its report, lie in {aside_of_run(folder)}."
    raise UserError(f"{folder} holds a finished model ({names}), which is not overwritten unasked: {ways}")


def begin_aside(folder: Path) -> Path:
    """An empty place for what a run will leave."""
    aside = aside_of_run(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def recover(folder: Path) -> None:
    """Finish what a process left undone that was killed: a whole result moves into place, and weights whose report was
    not finished too, where they stand in the place of nothing.
    """
    move_in(folder)
    if (aside_of_run(folder) / WEIGHTS_SAVED).is_file() and not is_finished(folder):
        put_in_place(folder)


@contextmanager
def weights_kept(folder: Path, *, writes: bool = True) -> Iterator[None]:
    """Around what is done once the weights are saved aside: if it fails, they come into place without the rest."""
    aside = aside_of_run(folder)
    if writes:
        (aside / WEIGHTS_SAVED).touch()
    try:
        yield
    except BaseException:
        if writes and (aside / WEIGHTS_SAVED).is_file():
            put_in_place(folder)
            print(f"The trained weights are in {folder}, without a card.", flush=True)
        raise


def put_in_place(folder: Path) -> None:
    """What lies aside comes into its folder: all of it even if the process is killed, once the next one looks.

    With weights, what an earlier run left and this one has not is removed; without, it stays.
    """
    aside = aside_of_run(folder)
    if not aside.is_dir():
        return
    for name in (WEIGHTS_SAVED, LISTED):
        (aside / name).unlink(missing_ok=True)
    names = sorted(path.name for path in aside.iterdir())
    for path in aside.rglob("*"):
        if path.is_file():
            flush_to_disk(path)
    (aside / LISTED).write_text(json.dumps({"files": names, "model": bool(weight_files_of(aside))}), encoding="utf-8")
    flush_to_disk(aside / LISTED)
    aside.replace(folder / READY)
    flush_to_disk(folder)
    move_in(folder)


def move_in(folder: Path) -> None:
    """A whole result into its place, by whichever process finds it; the card, by which it may be published, last."""
    whole = folder / READY
    if not (whole / LISTED).is_file():
        return
    content = json.loads((whole / LISTED).read_text(encoding="utf-8"))
    if content["model"]:
        if (whole / MOVED_LAST).exists() or MOVED_LAST not in content["files"]:
            remove(folder / MOVED_LAST)
        for path in folder.iterdir():
            if path.name not in content["files"] and any(fnmatch(path.name, kind) for kind in OF_A_RUN):
                remove(path)
    for name in sorted(content["files"], key=lambda name: name == MOVED_LAST):
        if (whole / name).is_dir():
            remove(folder / name)
        with suppress(FileNotFoundError):  # moved before
            (whole / name).replace(folder / name)
    flush_to_disk(folder)
    shutil.rmtree(whole, ignore_errors=True)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
