"""When the kernel computes attention; tests/parity runs it, by an interpreter, and tests/gpu on a card."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import images, tiny_swin

from vit_hf import SwinTransformerForImageClassification
from vit_hf.kernels import groups
from vit_hf.kernels.groups import attends_in_groups, build_tables_of_places, has_kernel

TOKENS = torch.zeros(1, 49, 96, dtype=torch.bfloat16)


def attention(**differing: Any) -> Any:
    fields = {"training": False, "dropout_rate": 0.1, "head_width": 32, "implementation": "sdpa", **differing}
    return SimpleNamespace(config=SimpleNamespace(_attn_implementation=fields.pop("implementation")), **fields)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every tensor were in half precision on a GPU that has the kernel."""
    monkeypatch.setattr(groups, "HAS_TRITON", True)
    monkeypatch.setattr(groups, "has_kernel", lambda tokens: True)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(
    ("differing", "members", "asked", "serves"),
    [
        ({}, 49, False, True),
        ({"training": True, "dropout_rate": 0.0}, 64, False, True),
        ({"training": True}, 49, False, False),  # weights are dropped
        ({"implementation": "eager"}, 49, False, False),
        ({"head_width": 24}, 49, False, False),
        ({}, 65, False, False),
        ({}, 49, True, False),  # somebody wants the weights
    ],
)
def test_it_serves_what_it_can_compute(differing: dict[str, Any], members: int, asked: bool, serves: bool):
    assert attends_in_groups(attention(**differing), TOKENS, members, asked) is serves


def test_it_serves_nobody_where_there_is_no_triton(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(groups, "has_kernel", lambda tokens: True)
    monkeypatch.setattr(groups, "HAS_TRITON", False)
    assert not attends_in_groups(attention(), TOKENS, 49, False)


@pytest.mark.usefixtures("everywhere")
def test_an_export_is_of_the_plain_form_for_where_nobody_has_it(tmp_path):
    model = tiny_swin(SwinTransformerForImageClassification).eval()
    program = torch.export.export(model, (images(2),))
    assert "vit_hf" not in {getattr(node.target, "namespace", None) for node in program.graph.nodes}


def test_a_cpu_has_no_kernel(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(groups, "works_on", lambda device: True)
    assert not has_kernel(TOKENS)


@pytest.mark.parametrize(
    ("frames", "places", "together"), [(8, 196, 7), (4, 16, 16), (4, 25, 5), (32, 9, 1), (64, 2, 1)]
)
def test_places_share_a_group_without_seeing_each_other(frames: int, places: int, together: int):
    order, mask = build_tables_of_places(frames, places, torch.float32, "cpu")
    members = together * frames
    assert mask.shape == (places // together, members, members)
    for tokens, hidden in zip(order.view(-1, members), mask < 0, strict=True):
        place = tokens % places  # of tokens frame after frame
        assert torch.equal(hidden, place[:, None] != place)
    assert torch.equal(order.sort().values, torch.arange(frames * places))
