"""The benchmark's arithmetic on numbers made by hand, and one small run of all of it."""

import json
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vit_hf.commands.benchmark import main, swin, timesformer
from vit_hf.commands.benchmark.measure import Comparison, Row
from vit_hf.commands.benchmark.operations import linear_operations, of_its_own
from vit_hf.commands.benchmark.operators import compiled_half_loads
from vit_hf.commands.benchmark.peers import OURS, libraries_beside
from vit_hf.commands.benchmark.report import comparison_words
from vit_hf.commands.benchmark.swin import SwinNumbers
from vit_hf.commands.benchmark.timesformer import ClipNumbers
from vit_hf.commands.benchmark.timing import Ratio, interleave, speed_ratio, threads
from vit_hf.commands.benchmark.vit import BUILDERS, Numbers, build_ours
from vit_hf.commands.benchmark.workloads import highest
from vit_hf.families import FAMILIES
from vit_hf.training.costs import forward_operations, training_operations
from vit_hf.training.recipe.yaml_files import model_sizes


def test_everyone_takes_a_turn_in_every_round_and_nobody_is_always_first():
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    interleave(calls, rounds=3, warm_up=1)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"


def test_only_the_call_is_timed_and_warming_up_is_not():
    moment = SimpleNamespace(now=0.0)

    def takes(seconds: float):
        def call():
            moment.now += seconds

        return call

    times = interleave({"slow": takes(3.0), "fast": takes(0.5)}, rounds=2, clock=lambda: moment.now)
    assert times == {"slow": [3.0, 3.0], "fast": [0.5, 0.5]}


def test_rounds_are_compared_each_with_itself_so_that_a_busy_moment_hits_both():
    ours, theirs = [1.0, 10.0, 2.0], [2.0, 20.0, 4.0]
    assert speed_ratio(ours, theirs) == Ratio(median=2.0, low=2.0, high=2.0)


def test_the_ratio_is_the_median_between_its_quartiles():
    assert speed_ratio([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 50.0]) == Ratio(median=3.0, low=2.0, high=4.0)


def test_one_round_has_a_ratio_without_a_spread():
    assert speed_ratio([2.0], [1.0]) == Ratio(0.5, 0.5, 0.5)


def test_a_benchmark_gives_back_the_threads_it_found():
    before = torch.get_num_threads()
    with suppress(KeyboardInterrupt), threads(before + 1) as number:
        assert number == torch.get_num_threads() == before + 1
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before
    with threads(None) as number:
        assert number == before


def test_a_tiny_transformer_has_the_operations_counted_by_hand():
    numbers = Numbers(width=2, layers=1, heads=1, inner=4, patch=1, side=1, labels=3)  # one patch, one class token
    linears = 2 * 2 * (2 * 6 + 2 * 2 + 2 * 4 + 4 * 2)
    scores_and_values = 2 * (2 * 2 * 2) * 2
    patch, head = 2 * 3 * 2, 2 * 2 * 3
    model = build_ours(numbers).model
    assert linear_operations(numbers) == linears == 128
    assert forward_operations(model) == linears + scores_and_values + patch + head == 184
    assert training_operations(model) == 3 * 184 - patch  # pixels need no gradient


def test_a_tiny_timesformer_has_the_operations_counted_by_hand():
    sizes = {"width": 2, "layers": 1, "heads": 1, "inner": 4, "patch": 1, "side": 1, "labels": 3}
    numbers = ClipNumbers(**sizes, frames=3)  # one place in three frames, one class token
    over_time = 2 * 3 * (2 * 6 + 2 * 2 + 2 * 2)
    over_space = 2 * 3 * 2 * (2 * 6 + 2 * 2)
    feed_forward = 2 * 4 * (2 * 4 + 4 * 2)
    scores_and_values = 2 * (2 * 3 * 3 * 2) + 3 * 2 * (2 * 2 * 2 * 2)
    patches, head = 3 * 2 * 3 * 2, 2 * 2 * 3
    linears = over_time + over_space + feed_forward
    assert linear_operations(numbers) == linears == 440
    assert forward_operations(timesformer.build_ours(numbers).model) == linears + scores_and_values + patches + head


@pytest.mark.parametrize(("size", "side"), [("t", 224), ("t", 100), ("v2_t", 256), ("v2_t", 100)])
def test_swins_linears_are_those_that_run_padding_included(size: str, side: int):
    numbers = SwinNumbers.of(model_sizes("swin")[size], side=side)
    model: Any
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = swin.build_ours(numbers).model
        model.set_attn_implementation("eager")
        model(torch.empty(1, 3, side, side))
    counts = counter.get_flop_counts()["Global"]
    head = 2 * 8 * numbers.width * numbers.labels
    biases = 0  # of Swin V2, once a call
    for (_, window, _, _), depth, heads in zip(numbers.stages, numbers.depths, numbers.heads, strict=True):
        biases += (numbers.version - 1) * depth * 2 * (2 * window - 1) ** 2 * (2 * 512 + 512 * heads)
    assert linear_operations(numbers) == counts[torch.ops.aten.addmm] + counts[torch.ops.aten.mm] - head - biases


@pytest.mark.parametrize("library", [OURS, "transformers"])
@pytest.mark.parametrize("version", [1, 2])
def test_every_library_builds_a_swin_of_the_same_numbers(library: str, version: Any):
    numbers = SwinNumbers(8, depths=(1, 2), heads=(1, 2), window=2, patch=2, side=16, labels=5, version=version)
    model = swin.BUILDERS[library](numbers)
    names = [name for name, _ in model.named_parameters()]
    assert any(name.endswith(("logit_scale", "query_norm.scale")) for name in names) == (version == 2)
    expected = sum(weights.numel() for weights in swin.build_ours(numbers).parameters())
    assert sum(weights.numel() for weights in model.parameters()) == expected
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 5)


@pytest.mark.parametrize(("words", "side"), [([], 256), (["--image-size", "32"], 32)])
def test_a_size_is_measured_at_its_own_images_unless_others_are_said(words: list[str], side: int, monkeypatch):
    measured: list[SwinNumbers] = []

    def compare(builders, numbers, conditions, **settings):
        measured.append(numbers)
        return Comparison("inference", "v2_t", 1, 1e11, [Row(OURS, 90.0, 0.9, 0, None)])

    monkeypatch.setattr("vit_hf.commands.benchmark.model.compare_libraries", compare)
    command = "--family swin --sizes v2_t --batch 1 --mode inference --device cpu"
    assert main([*command.split(), *words]) == 0
    assert measured == [SwinNumbers(96, (2, 2, 6, 2), (3, 6, 12, 24), window=8, side=side, version=2)]


@pytest.mark.parametrize(
    ("family", "size", "width"), [("vit", "ti", 192), ("swin", "t", 768), ("timesformer", "ti", 192)]
)
def test_what_torch_counts_of_any_family_is_what_was_counted_by_hand(family: str, size: str, width: int):
    fields, record = model_sizes(family)[size], FAMILIES[family]
    counted, by_hand = (way.numbers(fields, 32) for way in (of_its_own(record), record.benchmark()))
    assert counted.shape == by_hand.shape
    patches = (counted.shape[0] if family == "timesformer" else 1) * (32 // 16) ** 2 * 16**2 * 3
    linear_patches = record.config_class(**fields).patch_embedding == "linear"
    beside_layers = 2 * width * (1000 + linear_patches * patches)
    assert linear_operations(counted) == linear_operations(by_hand) + beside_layers


def test_memory_is_the_most_that_was_held_at_a_time():
    moments = count()
    changes = [(next(moments), change) for change in [100, 50, -100, 120, -50]]
    assert highest(changes) == 170
    assert highest(changes[::-1]) == 170


def test_the_best_peer_is_the_fastest_one_and_never_ourselves():
    rows = [
        Row(OURS, 90.0, 0.9, 0, None),
        Row("slow", 50.0, 0.5, 0, Ratio(1.8, 1.7, 1.9)),
        Row("fast", 60.0, 0.6, 0, Ratio(1.5, 1.4, 1.6)),
    ]
    comparison = Comparison("inference", "ti", 1, 1e11, rows)
    assert comparison.against_the_best == ("fast", Ratio(1.5, 1.4, 1.6))
    assert "against the best peer, fast: 1.50 (1.40 to 1.60)" in comparison_words(comparison)


@pytest.mark.parametrize("library", [OURS, "transformers"])
def test_every_library_builds_a_model_of_the_same_numbers(library: str):
    numbers = Numbers(width=16, layers=2, heads=2, inner=32, patch=8, side=16, labels=5)
    model = BUILDERS[library](numbers)
    assert sum(weights.numel() for weights in model.parameters()) == (
        (3 * 8 * 8 + 1) * 16
        + 16
        + 5 * 16
        + 2 * (16 * 48 + 48 + 16 * 16 + 16 + 2 * 16 * 32 + 32 + 16 + 4 * 16)
        + 32
        + 85
    )
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 5)


def test_a_compiled_half_for_another_torch_is_noticed(tmp_path: Path):
    assert compiled_half_loads(tmp_path)
    (tmp_path / "_C.so").write_bytes(b"compiled for something else")
    assert not compiled_half_loads(tmp_path)


def test_a_folder_of_peers_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no folder nowhere"), libraries_beside(Path("nowhere")):
        pass


def test_the_whole_benchmark_measures_and_writes_what_it_measured(tmp_path: Path, capsys):
    out = tmp_path / "made" / "benchmark.json"
    words = "--sizes ti --batch 2 --rounds 2 --image-size 32 --device cpu --token-merging 1 --json"
    assert main([*words.split(), str(out)]) == 0
    printed = capsys.readouterr().out
    record = json.loads(out.read_text())
    assert [comparison["mode"] for comparison in record["comparisons"]] == ["inference", "training"]
    assert record["versions"]["torch"] == torch.__version__
    for comparison in record["comparisons"]:
        libraries = {row["library"]: row for row in comparison["rows"]}
        assert {OURS, f"{OURS}, merging 1", "transformers"} <= set(libraries)
        assert all(row["images_per_second"] > 0 and row["memory"] > 0 for row in libraries.values())
        assert libraries["transformers"]["ours_against_it"]["median"] > 0
    inference, training = record["comparisons"]
    assert training["rows"][0]["memory"] > inference["rows"][0]["memory"]
    for name, version in record["versions"].items():
        assert version is not None or f"{name} is not installed" in printed


def test_projections_that_are_merged_for_inference_are_not_trained(tmp_path: Path):
    out = tmp_path / "clips.json"
    words = "--family timesformer --sizes ti --batch 1 --rounds 1 --image-size 32 --device cpu --json"
    assert main([*words.split(), str(out)]) == 0
    inference, training = (
        {row["library"] for row in comparison["rows"]} for comparison in json.loads(out.read_text())["comparisons"]
    )
    assert inference - training == {timesformer.MERGED}
    assert {OURS, "transformers"} <= training


def test_an_unknown_size_is_answered_with_the_known_ones(capsys):
    assert main(["--sizes", "huge"]) == 2
    assert "no size huge; there are ti, s, m, b, l, so400m, h, g" in capsys.readouterr().err


def test_the_benchmark_of_data_measures_every_work_against_its_goal(tmp_path: Path, capsys):
    out = tmp_path / "data.json"
    assert main(["data", "--rounds", "2", "--images", "4", "--files", "120", "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    assert len(record["works"]) == 7
    assert all(speed > 0 for work in record["works"] for speed in work["images_per_second"].values())
    goals = {figure["work"]: figure["goal"] for figure in record["figures"]}
    assert goals["folder of 120 images ready"] == 100
    assert goals["JPEG of 32 x 32 to 32"] == 8
    assert "goal 2.3" in capsys.readouterr().out
