"""The whole benchmark of a GPU: compile ahead, measure piece by piece, and write down what is there after each."""

import os
import platform
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ....errors import UserError, unknown_name
from ..peers import OURS, installed_version, libraries_beside
from .ahead import Compilers, environment, share_compiled_code, usable
from .feeds import FEW, Amounts, write_photos
from .pieces import Admission, Conduct, Deadline, Findings, Piece, in_order
from .samples import clear_up, guarded_piece
from .sizes import workload_of
from .tables import as_json, lines_of_piece, record_as_markdown

VERSIONS_OF = (
    OURS,
    "torch",
    "transformers",
    "accelerate",
    "timm",
    "torchvision",
    "triton",
    "numpy",
    "pillow",
    "simplejpeg",
)
TRAINED_SIZES = ("vit-s", "vit-b")  # with a Trainer
COMPILERS = 14


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def conduct_of(given: Namespace, photos: Path) -> Conduct:
    """Raises: UserError for a device that is not there."""
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here; try the command out with --device cpu --tiny --no-compile.")
    device = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
    amounts = FEW if given.tiny else replace(Amounts(), workers=min(16, cores()))
    return Conduct(
        device,
        given.compile,
        rounds=given.rounds or (2 if given.tiny else 9),
        at_least=0.0 if given.tiny else 0.05,
        amounts=amounts,
        product=128 if given.tiny else 8192,
        copy=2**20 if given.tiny else 2**30,
        photos=photos,
        profiles=given.profile,
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
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "card": card.name if card else platform.processor() or "CPU",
        "memory": card.total_memory if card else None,
        "driver": driver() if on_gpu else None,
        "cuda": torch.version.cuda,
        "cores": cores(),
        "shared_memory": disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
        "python": platform.python_version(),
        "versions": {name: installed_version(name) for name in VERSIONS_OF},
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
        "pieces": [],
        "not_run": [],
        "not_compiled": {},
    }


def chosen_pieces(given: Namespace, conduct: Conduct) -> list[Piece]:
    """Raises: UserError for a name that no piece has."""

    def made(name: str):
        return workload_of(name, tiny=given.tiny, batch=given.batch)

    trained = [workload_of(name, tiny=given.tiny) for name in TRAINED_SIZES if name in given.sizes]
    found = in_order(conduct, [made(name) for name in given.sizes], trained or [workload_of("vit-s", tiny=given.tiny)])
    if given.pieces is None:
        return [piece for piece in found if piece.part in given.parts]
    by_name = {piece.name: piece for piece in found}
    for name in given.pieces:
        if name not in by_name:
            raise UserError(unknown_name("piece", name, by_name))
    return [by_name[name] for name in given.pieces]


def write_results(given: Namespace, record: dict[str, Any]) -> None:
    """Whole, or not at all: who stops the benchmark keeps what the last piece left."""
    for path, text in ((given.json, as_json), (given.markdown, record_as_markdown)):
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
    clock = Deadline(given.minutes)
    with libraries_beside(given.peers), folders(given) as photos:
        conduct = conduct_of(given, photos)
        record = description(given, conduct)
        pieces = chosen_pieces(given, conduct)
        if given.compile:
            share_compiled_code(conduct.device)
        if needs_photos(pieces):
            write_photos(photos, conduct.amounts)
            clock.say(f"{conduct.amounts.files} photos made")
        count = given.compilers or max(1, min(COMPILERS, cores() - 2))
        admission = Admission(pieces, clock, count)
        record["not_run"] = [piece.name for piece in pieces]
        with Compilers(conduct.device, count, given.peers, clock.say) as compilers:
            found = Findings({})
            while round_of(admission, compilers, found, conduct, record, given):
                pass
        for name in record["not_run"]:
            clock.say(f"{name}: not run, as there is no time for it")
        write_results(given, record)
        print(f"\n{record_as_markdown(record)}")
    return 0


def round_of(
    admission: Admission,
    compilers: Compilers,
    found: Findings,
    conduct: Conduct,
    record: dict[str, Any],
    given: Namespace,
) -> bool:
    """Compile for some pieces, and measure them; False where there was time for none any more."""
    clock, outcomes = admission.clock, admission.outcomes
    admission.learn_of_compiling(compilers.compile(admission.tasks(), outcomes, admission.enough_time))
    if not admission.taken:
        return False
    found.failed = {task: None if usable(task, outcomes) else why for task, why in outcomes.items()}
    asked = [task for piece in admission.taken for task in piece.ahead]
    found.failed |= {task: "there was no time for it" for task in asked if task not in outcomes}
    record["not_compiled"] = {str(task): why for task, why in found.failed.items() if why is not None}
    clock.say(f"measuring {len(admission.taken)} pieces")
    for piece in admission.to_measure():
        start = clock.passed
        result = guarded_piece(lambda piece=piece: piece.run(found))
        clear_up(conduct.device)
        seconds = clock.passed - start
        done = {"name": piece.name, "part": piece.part, **piece.about, **result, "seconds": round(seconds, 1)}
        record["pieces"].append(done)
        record["not_run"].remove(piece.name)
        clock.say("\n".join([f"{piece.name}, in {seconds:.1f} s", *lines_of_piece(done)]))
        write_results(given, record)
    return True
