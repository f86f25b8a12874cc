from pathlib import Path

import pytest

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification, memory
from vit_hf.completion.headers import refuse_vast_model
from vit_hf.errors import UserError
from vit_hf.runs.initial_model import build_classifier


@pytest.fixture
def small_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of 2 MB, of which a group of processes may have one."""
    (tmp_path / "meminfo").write_text("MemTotal: 9999999 kB\nMemAvailable:    2000 kB\n")
    (tmp_path / "limit").write_text("1000000\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP_LIMITS", [str(tmp_path / "limit"), str(tmp_path / "none")])
    return tmp_path


def test_the_lower_of_what_is_free_and_what_is_allowed_counts(small_machine: Path):
    assert memory.memory_there() == 1_000_000
    (small_machine / "limit").write_text("max\n")
    assert memory.memory_there() == 2_048_000


def test_what_needs_more_than_there_is_is_refused_with_both_figures(small_machine: Path):
    memory.refuse_beyond_memory("Counting needs", 1_000_000, "count less.")
    with pytest.raises(UserError, match=r"Counting needs 1.2 GB of memory, and there are 1.0 MB; count less\."):
        memory.refuse_beyond_memory("Counting needs", 1_234_000_000, "count less.")


def test_a_new_model_is_weighed_before_it_is_built(small_machine: Path):
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = VisionTransformerConfig(**sizes, intermediate_size=4096)
    with pytest.raises(UserError, match=r"parameters \(most of them in vit\.layers\.0\.feed_forward.*needs 4\.. MB"):
        refuse_vast_model(VisionTransformerForImageClassification, config)


def test_a_recipe_s_vast_model_is_a_sentence():
    with pytest.raises(UserError, match=r"parameters .*needs .*TB of memory"):
        build_classifier("vit", {"hidden_size": 12 * 10**6}, ["cat", "dog"])
    with pytest.raises(UserError, match="num_hidden_layers=1000000000 has to be"):
        build_classifier("vit", {"num_hidden_layers": 10**9}, ["cat", "dog"])


SIZES_OF_SWIN = {"embed_dim": 16, "depths": [1], "num_heads": [2]}


@pytest.mark.parametrize("fields", [{"window_size": 2**30}, {"patch_size": 2**30}])
def test_sizes_whose_product_nobody_counts_are_a_sentence(fields: dict[str, int]):
    with pytest.raises(
        UserError, match=r"By its sizes \(.*=1073741824\) .* more numbers than torch counts; take smaller ones"
    ):
        build_classifier("swin", SIZES_OF_SWIN | fields, ["cat", "dog"])
