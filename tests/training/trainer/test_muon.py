"""Muon by itself; tests/parity holds it equal to timm's."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from training.small_runs import small_model, trainer_of

from vit_hf.training.trainer.muon import Muon, is_matrix, orthogonal


@given(rows=st.integers(4, 40), columns=st.integers(4, 40), count=st.integers(1, 3), seed=st.integers(0, 99))
def test_what_is_orthogonal_has_singular_values_near_one_and_its_vectors(
    rows: int, columns: int, count: int, seed: int
):
    torch.manual_seed(seed)
    matrices = torch.randn(count, rows, columns) * 10.0 ** torch.randint(-4, 5, (count, 1, 1))
    found = orthogonal(matrices).double()
    assert found.shape == matrices.shape
    left, before, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    turned = left.mT @ found @ right.mT  # the diagonal holds what has become of each singular value
    values = turned.diagonal(dim1=-2, dim2=-1)
    assert values.max() < 1.35
    assert values[before > 0.05 * before[:, :1]].min() > 0.6
    assert (turned - torch.diag_embed(values)).abs().max() < 0.06  # bfloat16


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ((8, 4), True),
        ((8, 3, 4, 4), True),
        ((8,), False),
        ((1, 5, 8), False),
        ((8, 1, 3, 3), False),
        ((3, 100), False),
        ((4, 513), False),
    ],
)
def test_matrices_are_what_has_rows_and_columns_enough(shape: tuple[int, ...], answer: bool):
    assert is_matrix(torch.zeros(shape)) is answer


class Products(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func._schema.name in ("aten::bmm", "aten::mm", "aten::baddbmm", "aten::addmm")
        return func(*args, **(kwargs or {}))


def test_ten_layers_take_no_more_products_than_one():
    def products(layers: int) -> int:
        model = nn.Sequential(*(nn.Linear(8, 16) for _ in range(layers)), *(nn.Linear(16, 8) for _ in range(layers)))
        optimizer = Muon(model.parameters(), lr=0.1)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        with Products() as found:
            optimizer.step()
        return found.count

    assert products(1) == products(10) == 2 * 15


def test_what_was_saved_goes_on_to_the_bit():
    def stepped(model: nn.Module, optimizer: Muon, times: int) -> list[Tensor]:
        for number in range(times):
            optimizer.zero_grad()
            model(torch.full((2, 8), 0.1 * number)).square().sum().backward()
            optimizer.step()
        return [parameter.detach().clone() for parameter in model.parameters()]

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    optimizer = Muon(model.parameters(), lr=0.01, weight_decay=0.1)
    stepped(model, optimizer, 3)
    other = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    other.load_state_dict(model.state_dict())
    resumed = Muon(other.parameters(), lr=0.01, weight_decay=0.1)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    for one, again in zip(stepped(model, optimizer, 2), stepped(other, resumed, 2), strict=True):
        assert torch.equal(one, again)


def test_a_recipe_names_it_and_what_is_frozen_stays(tmp_path):
    model: Any = small_model()
    frozen = model.vit.layers[0].feed_forward.inner.weight.requires_grad_(False)
    before = frozen.detach().clone()
    trainer = trainer_of(model, tmp_path, {"optimizer": "muon", "layer_decay": 0.5}, weight_decay=0.1, max_steps=2)
    trainer.train()
    assert isinstance(trainer.optimizer.optimizer, Muon)
    assert torch.equal(frozen, before)
    states = [set(state) for state in trainer.optimizer.optimizer.state.values()]
    assert {"momentum_buffer"} in states
    assert {"step", "exp_avg", "exp_avg_sq"} in states
