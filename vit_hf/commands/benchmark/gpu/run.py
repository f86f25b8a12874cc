"""The whole benchmark of a GPU: compile ahead, measure piece by piece, and write down what is there after each."""

import os
import platform
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ....errors import UserError
from ..peers import OURS, installed_version, libraries_beside
from .ahead import compile_ahead, environment, share_compiled_code, usable
from .feeds import TINY, Amounts, write_photos
from .pieces import Admission, Clock, Conduct, Found, Piece, in_order
from .samples import clear_up, guarded_piece
from .sizes import workload_of
from .tables import as_json, as_markdown, lines_of_piece

NAMED = (OURS, "torch", "transformers", "accelerate", "timm", "torchvision", "triton", "numpy", "pillow", "simplejpeg")
TRAINED = ("vit-s", "vit-b")  # with a Trainer
COMPILERS = 8


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def conduct_of(given: Namespace, photos: Path) -> Conduct:
    """Raises: UserError for a device that is not there."""
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here; try the command out with --device cpu --tiny --no-compile.")
    device = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
    amounts = TINY if given.tiny else replace(Amounts(), workers=min(16, cores()))
    return Conduct(
        device,
        given.compile,
        rounds=given.rounds or (2 if given.tiny else 9),
        at_least=0.0 if given.tiny else 0.05,
        amounts=amounts,
        product=128 if given.tiny else 8192,
        copy=2**20 if given.tiny else 2**30,
        photos=photos,
    )


def driver() -> str | None:
    """Its version, where the card's own tool tells it."""
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def description(given: Namespace, conduct: Conduct) -> dict[str, Any]:
    """Where and how everything was measured."""
    on_gpu = conduct.device.type == "cuda"
    card = torch.cuda.get_device_properties(conduct.device) if on_gpu else None
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "card": card.name if card else platform.processor() or "CPU",
        "memory": card.total_memory if card else None,
        "driver": driver() if on_gpu else None,
        "cuda": torch.version.cuda,
        "cores": cores(),
        "python": platform.python_version(),
        "versions": {name: installed_version(name) for name in NAMED},
        "settings": {
            "minutes": given.minutes,
            "parts": list(given.parts),
            "sizes": list(given.sizes),
            "batch": given.batch,
            "compile": given.compile,
            "tiny": given.tiny,
            "rounds": conduct.rounds,
            "seconds_of_a_sample": conduct.at_least,
        },
    }


def chosen_pieces(given: Namespace, conduct: Conduct) -> list[Piece]:
    def made(name: str):
        return workload_of(name, tiny=given.tiny, batch=given.batch)

    trained = [workload_of(name, tiny=given.tiny) for name in TRAINED if name in given.sizes]
    found = in_order(conduct, [made(name) for name in given.sizes], trained or [workload_of("vit-s", tiny=given.tiny)])
    return [piece for piece in found if piece.part in given.parts]


def write_results(given: Namespace, record: dict[str, Any]) -> None:
    """Whole, or not at all: who stops the benchmark keeps what the last piece left."""
    for path, text in ((given.json, as_json), (given.markdown, as_markdown)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.part")
            aside.write_text(text(record), encoding="utf-8")
            aside.replace(path)


@contextmanager
def folders(given: Namespace) -> Iterator[Path]:
    """A folder for photos, while compiled code is looked for in one folder by all processes."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory(prefix="vit_hf-gpu-", ignore_cleanup_errors=True)))
        compiled = given.compiled or root / "compiled"
        compiled.mkdir(parents=True, exist_ok=True)
        if given.compile:
            stack.enter_context(environment(TORCHINDUCTOR_CACHE_DIR=str(compiled.resolve())))
        yield root / "photos"


def needs_photos(pieces: list[Piece]) -> bool:
    return any(piece.part == "data" or piece.name.endswith("JPEGs") for piece in pieces)


def benchmark(given: Namespace) -> int:
    clock = Clock(given.minutes)
    with libraries_beside(given.peers), folders(given) as photos:
        conduct = conduct_of(given, photos)
        record: dict[str, Any] = {**description(given, conduct), "pieces": [], "not_run": [], "compiling": {}}
        pieces = chosen_pieces(given, conduct)
        if given.compile:
            share_compiled_code(conduct.device)
        if needs_photos(pieces):
            write_photos(photos, conduct.amounts)
            clock.say(f"{conduct.amounts.files} photos made")
        compilers = given.compilers or max(1, min(COMPILERS, cores() // 2))
        admission = Admission(pieces, clock, compilers)
        failed = compile_ahead(
            admission.tasks(), conduct.device, compilers=compilers, enough_time=admission.enough_time, say=clock.say
        )
        record["compiling"] = {str(task): why for task, why in failed.items() if why is not None}
        record["seconds_of_compiling"] = round(clock.passed, 1)
        clock.say(f"{len(failed)} things compiled; measuring begins")
        found = Found({task: None if usable(task, failed) else why for task, why in failed.items()})
        found.failed |= {task: "there was no time for it" for task in missing_tasks(admission.taken, failed)}
        for piece in pieces:
            if not admission.may_run(piece, failed):
                record["not_run"].append(piece.name)
                clock.say(f"{piece.name}: not run; it takes about {piece.seconds:.0f} s, and compiling")
                continue
            start = clock.passed
            result = guarded_piece(lambda piece=piece: piece.run(found))
            clear_up(conduct.device)
            done = {"name": piece.name, "part": piece.part, **piece.about, **result}
            record["pieces"].append({**done, "seconds": round(clock.passed - start, 1)})
            clock.say("\n".join([f"{piece.name}, in {clock.passed - start:.1f} s", *lines_of_piece(done)]))
            write_results(given, record)
        write_results(given, record)
        print(f"\n{as_markdown(record)}")
    return 0


def missing_tasks(taken: list[Piece], outcomes: dict[Any, str | None]) -> list[Any]:
    """What was to be compiled, and nobody came to."""
    return [task for piece in taken for task in piece.ahead if task not in outcomes]
