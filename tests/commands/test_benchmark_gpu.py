import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vit_hf.commands.benchmark import main, vit
from vit_hf.commands.benchmark.gpu import GPU_SIZES, pieces
from vit_hf.commands.benchmark.gpu.ahead import Compilers, usable
from vit_hf.commands.benchmark.gpu.models import Ready, measure_variants, row_of, utilization, variants_of
from vit_hf.commands.benchmark.gpu.pieces import ENDING, Admission, Deadline, Piece
from vit_hf.commands.benchmark.gpu.samples import Spread, in_turns
from vit_hf.commands.benchmark.gpu.sizes import GPU_WORKLOADS, TINY_FIELDS, Variant, workload_of
from vit_hf.commands.benchmark.gpu.tables import model_row, trainer_tables
from vit_hf.commands.benchmark.peers import OURS

CPU = torch.device("cpu")
WORDS = ["gpu", "--tiny", "--device", "cpu", "--no-compile", "--rounds", "1"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The record and the Markdown of a run with all parts."""
    folder = tmp_path_factory.mktemp("gpu")
    json_file, markdown = folder / "made" / "gpu.json", folder / "gpu.md"
    files = ["--json", str(json_file), "--markdown", str(markdown)]
    profiles = tmp_path_factory.mktemp("profiles")
    files += ["--profile", str(profiles)]
    assert main([*WORDS, "--sizes", "vit-s", "--minutes", "20", *files]) == 0
    assert "Self CPU" in (profiles / "vit-s_light.txt").read_text()
    # Nothing half written is left.
    assert sorted(file.name for file in folder.rglob("*") if file.is_file()) == ["gpu.json", "gpu.md"]
    return json.loads(json_file.read_text()), markdown.read_text()


def rows_of(record: dict[str, Any], name: str) -> dict[str, Any]:
    (piece,) = [piece for piece in record["pieces"] if piece["name"] == name]
    assert "error" not in piece
    return {f"{row['library']}, {row['how']}": row for row in piece["rows"]}


def test_every_size_has_its_workload_and_a_tiny_one():
    assert set(GPU_SIZES) == set(GPU_WORKLOADS) == set(TINY_FIELDS)


def test_the_whole_benchmark_measures_every_part(whole: tuple[dict[str, Any], str]):
    record, _ = whole
    assert record["not_run"] == []
    assert {piece["part"] for piece in record["pieces"]} == {
        "ceilings",
        "inference",
        "training",
        "latency",
        "trainer",
        "data",
    }
    assert record["versions"]["torch"] == torch.__version__
    for name in ("inference: vit-s, batch 4", "inference: vit-s, batch 2", "training: vit-s, batch 2"):
        rows = rows_of(record, name)
        assert rows["vit_hf, eager"]["images_per_second"]["median"] > 0
        assert rows["transformers, eager"]["alike"]["median"] > 0
        assert rows["vit_hf, eager"]["memory"] > 0
    assert rows_of(record, "latency: vit-s, batch 1")["vit_hf, eager"]["milliseconds"]["median"] > 0


def test_utilization_is_what_was_counted_over_what_the_products_did(whole: tuple[dict[str, Any], str]):
    record, _ = whole
    ceilings, inference = record["pieces"][:2]
    row = inference["rows"][0]
    done = row["images_per_second"]["median"] * inference["operations"]
    assert row["utilization"] == pytest.approx(done / ceilings["product"]["median"])


def test_a_trainer_is_measured_beside_its_bare_steps_and_the_data_alone(whole: tuple[dict[str, Any], str]):
    record, _ = whole
    trainers = [piece for piece in record["pieces"] if piece["part"] == "trainer"]
    ours = {row["kind"]: row for piece in trainers for row in piece["rows"]}
    assert set(ours) == {"bare", "light", "heavy", "photos", "transformers"}
    for kind in ("bare", "light", "heavy", "photos"):
        assert ours[kind]["images_per_second"] > 0
    (data,) = [piece for piece in record["pieces"] if piece["part"] == "data"]
    assert data["rows"][0]["images_per_second"]["median"] > 0


def test_the_markdown_has_a_table_for_every_part(whole: tuple[dict[str, Any], str]):
    _, markdown = whole
    for heading in ("## On one", "### Inference", "### Training steps", "### Latency", "### Whole trainings"):
        assert heading in markdown
    assert "Not run" not in markdown


def test_clips_are_counted_as_clips_and_merged_projections_measured_beside(tmp_path: Path, capsys):
    file = tmp_path / "gpu.json"
    assert main([*WORDS, "--sizes", "timesformer-b", "--parts", "latency", "--json", str(file)]) == 0
    clips = rows_of(json.loads(file.read_text()), "latency: timesformer-b, batch 1")
    assert {"vit_hf, eager", "vit_hf, merged, eager", "transformers, eager"} <= set(clips)
    assert "|  | clips/s | quartiles |" in capsys.readouterr().out


def test_what_there_is_no_time_for_is_named(tmp_path: Path, capsys):
    file = tmp_path / "gpu.json"
    words = [*WORDS, "--minutes", "0.01", "--sizes", "vit-s", "--parts", "ceilings", "latency", "--json", str(file)]
    assert main(words) == 0
    record = json.loads(file.read_text())
    assert record["pieces"] == []
    assert record["not_run"] == ["ceilings", "latency: vit-s, batch 1"]
    assert "Not run, as there was no time for it: ceilings; latency: vit-s, batch 1." in capsys.readouterr().out


def test_a_piece_that_fails_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*given: Any, **named: Any) -> Any:
        raise RuntimeError("CUDA error: unspecified launch failure\nmore")

    monkeypatch.setattr(pieces, "ceilings", broken)
    file = tmp_path / "gpu.json"
    assert main([*WORDS, "--sizes", "vit-s", "--parts", "ceilings", "latency", "--json", str(file)]) == 0
    ceilings, latency = json.loads(file.read_text())["pieces"]
    assert ceilings["error"] == "RuntimeError: CUDA error: unspecified launch failure more"
    assert latency["rows"][0]["utilization"] is None
    assert latency["rows"][0]["milliseconds"]["median"] > 0


def test_a_peer_that_fails_is_named_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch):
    def broken(numbers: Any) -> Any:
        raise TypeError("unexpected keyword argument 'img_size'")

    monkeypatch.setitem(vit.BUILDERS, "timm", broken)
    variants = variants_of(workload_of("vit-s", tiny=True), "inference", 2, compiling=False)
    found = measure_variants(variants, CPU, rounds=2, at_least=0.0, product_rate=1e9, failed={})
    rows = {row["library"]: row for row in found["rows"]}
    assert rows["timm"]["error"] == "TypeError: unexpected keyword argument 'img_size'"
    assert rows[OURS]["images_per_second"]["median"] > 0
    assert rows["transformers"]["alike"]["median"] > 0
    assert model_row(rows["timm"])[1].startswith("failed: TypeError")


def test_what_did_not_compile_is_told_and_not_run():
    workload = workload_of("vit-s", tiny=True)
    eager, compiled = (Variant(workload, OURS, "inference", how, 2) for how in ("eager", "compiled"))
    failed = {compiled: "TritonError: no"}
    found = measure_variants([eager, compiled], CPU, rounds=1, at_least=0.0, product_rate=None, failed=failed)
    assert found["rows"][1] == {"library": OURS, "how": "compiled", "error": "compiling failed: TritonError: no"}
    assert found["rows"][0]["images_per_second"]["median"] > 0


def test_figures_by_hand():
    # A ViT-B/16 of 35 GFLOP at 10,000 images a second on a card of 700 TFLOP/s.
    assert utilization(10_000, 35_000_000_000, 700e12) == 0.5
    assert utilization(10_000, 35_000_000_000, None) is None
    workload = workload_of("vit-s")
    eager, compiled = (Variant(workload, OURS, "inference", how, 4) for how in ("eager", "compiled"))
    theirs = Variant(workload, "timm", "inference", "eager", 4)
    seconds = {eager: [0.5, 0.5], compiled: [0.25, 0.2], theirs: [1.0, 1.0]}
    row = row_of(theirs, seconds, Ready(lambda: None, 0, 2**30), 10, 80.0)
    assert row["images_per_second"]["median"] == 4
    assert row["utilization"] == 0.5
    assert row["alike"]["median"] == 2
    assert row["best"]["median"] == 4.5
    assert model_row(row)[1:6] == ["4", "4 to 4", "1,000", "50.0%", "1.00"]
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3, 2, 4)


def test_the_bare_loop_is_the_mean_of_before_and_after():
    speeds = [("bare", 90.0), ("light", 99.0), ("bare", 110.0)]
    rows = [{"kind": kind, "title": kind, "images_per_second": speed} for kind, speed in speeds]
    piece = {"name": "", "size": "vit-s", "batch": 1, "steps": 1, "rows": rows}
    assert "| light | 99 | 0.990 |" in trainer_tables([piece])


def test_compiled_forms_are_ours_everywhere_and_the_peers_at_one_batch():
    def ways(name: str, mode: Any, batch: int) -> set[str]:
        found = variants_of(workload_of(name), mode, batch, compiling=True)
        return {f"{one.library} {one.how}" for one in found if one.how != "eager"}

    both = {"vit_hf compiled", "timm compiled", "transformers compiled"}
    assert ways("vit-b", "inference", 256) == ways("vit-b", "training", 256) == both
    assert ways("vit-b", "inference", 1024) == ways("vit-l", "inference", 256) == {"vit_hf compiled"}
    assert ways("vit-b", "inference", 1) == {"vit_hf compiled", "vit_hf graphs"}


def test_everyone_takes_a_turn_and_a_sample_is_the_mean_of_its_calls():
    calls: list[str] = []
    counted: dict[str, Callable[[], None]] = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = in_turns(counted, CPU, rounds=2, at_least=0.0)
    assert {name: len(own) for name, own in seconds.items()} == {"a": 2, "b": 2}
    assert "".join(calls) == "aaabbb" + "ab" + "ab" + "ba"


class Task:
    seconds_to_compile = 40.0


def piece_of(name: str, seconds: float, *tasks: Any) -> Piece:
    return Piece(name, "inference", seconds, tasks, {}, lambda found: {})


def test_pieces_are_taken_in_order_as_far_as_the_time_goes():
    passed = [0.0]
    clock = Deadline((100 + ENDING) / 60, now=lambda: passed[0])
    one, other = Task(), Task()
    long, short = piece_of("long", 40, one, other), piece_of("short", 10)
    first, second = piece_of("first", 10, one), piece_of("second", 20, other)
    admission = Admission([first, long, second, short], clock, compilers=1)
    # first: 10 + 40; long: 10 + 40 and two turns of 40 are too much... and so is second: 10 + 20 + 40 + 40 passed.
    tasks = admission.tasks()
    assert next(tasks) is one
    passed[0] = 40.0
    assert list(tasks) == []
    assert [piece.name for piece in admission.taken] == ["first", "short"]
    assert admission.enough_time()
    admission.outcomes[one] = None
    measured = []
    for piece in admission.to_measure():
        measured.append(piece.name)
        passed[0] += piece.seconds / 2  # half as long as expected
    assert measured == ["first", "short"]
    # 50 s are left: 20 s of measuring, which will be 10, and 40 s of compiling.
    assert list(admission.tasks()) == [other]
    assert [piece.name for piece in admission.waiting] == ["long"]


TASKS = """\
import os
from dataclasses import dataclass

@dataclass(frozen=True)
class Errand:
    kind: str
    seconds_to_compile: float = 1.0

    def run_once(self, device):
        if self.kind == "dies":
            os._exit(3)
        if self.kind == "fails":
            raise ValueError("backend failed:\\n  no such kernel\\n  frames")
        assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "2"
"""


def test_a_compiler_that_fails_or_dies_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "errands_of_a_test.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    from errands_of_a_test import Errand  # pyright: ignore[reportMissingImports]

    errands = [Errand(kind) for kind in ("fails", "works", "dies")]
    outcomes: dict[Any, str | None] = {}
    with Compilers(CPU, 1, None, print) as compilers:
        factors = compilers.compile(iter(errands), outcomes, lambda: True)
        assert compilers.pool[0].process.poll() is None, "one that died is replaced"
    assert [outcomes[errand] for errand in errands] == [
        "ValueError: backend failed: no such kernel",
        None,
        "its process died with the status 3",
    ]
    assert len(factors) == 1
    assert all(one.process.poll() is not None for one in compilers.pool)
    assert not usable(errands[0], outcomes)
    assert usable(errands[0], {errands[0]: "OutOfMemoryError: CUDA out of memory."})


def test_a_card_that_is_not_there_is_said_at_once(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    assert main(["gpu"]) == 2
    assert "torch sees no GPU here" in capsys.readouterr().err


def test_pieces_can_be_named_and_are_measured_in_that_order(tmp_path: Path, capsys):
    file = tmp_path / "gpu.json"
    named = ["training: vit-s, batch 2", "ceilings"]
    assert main([*WORDS, "--pieces", *named, "--json", str(file)]) == 0
    assert [piece["name"] for piece in json.loads(file.read_text())["pieces"]] == named
    assert main([*WORDS, "--pieces", "training: vit-x, batch 2"]) == 2
    assert "did you mean 'training: vit-s, batch 2'?" in capsys.readouterr().err
