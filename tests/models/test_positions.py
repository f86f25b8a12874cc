import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from vit_hf.models.positions import (
    RelativeBias,
    apply_rotary,
    build_positions,
    relative_index,
    resample_grid,
    rotary_2d,
    sincos_2d,
)

GRIDS = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(GRIDS)
def test_a_table_read_over_its_own_grid_is_the_table_itself(grid):
    table = torch.randn(1, grid[0] * grid[1], 3)
    assert resample_grid(table, grid, grid) is table


@given(GRIDS, GRIDS.filter(lambda grid: grid[1] > 1))  # torch 2.13 resizes images to a single column wrongly
def test_rows_and_columns_are_resampled_as_an_image_is(old, new):
    table = torch.randn(1, old[0] * old[1], 3)
    image = table.reshape(*old, 3).permute(2, 0, 1)[None]
    expected = functional.interpolate(image, size=new, mode="bicubic", antialias=True)
    expected = expected[0].permute(1, 2, 0).reshape(1, -1, 3)
    torch.testing.assert_close(resample_grid(table, old, new), expected, atol=1e-6, rtol=0)


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_single_column_is_resampled_as_a_single_row_is(old, new):
    table = torch.randn(1, old, 3)
    assert torch.allclose(resample_grid(table, (old, 1), (new, 1)), resample_grid(table, (1, old), (1, new)), atol=1e-6)


def test_a_ramp_over_the_rows_stays_a_ramp_over_the_rows():
    rows = torch.arange(4.0)[:, None].expand(4, 6).reshape(1, 24, 1)
    new = resample_grid(rows, (4, 6), (8, 3)).reshape(8, 3)
    assert torch.allclose(new[:, :1].expand(8, 3), new, atol=1e-6)
    assert (new.diff(dim=0) > 0).all()


def test_half_precision_tables_keep_their_dtype():
    assert resample_grid(torch.randn(1, 4, 3, dtype=torch.bfloat16), (2, 2), (3, 3)).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["learned", "embedding", "sincos_2d"])
def test_the_class_token_keeps_its_row_on_every_grid(kind):
    positions = build_positions(kind, grid=(4, 4), prefix=1, width=8)
    for parameter in positions.parameters():
        torch.nn.init.normal_(parameter)
    small, large = torch.zeros(1, 17, 8), torch.zeros(1, 31, 8)
    assert torch.equal(positions(small, (4, 4))[:, 0], positions(large, (5, 6))[:, 0])


def test_the_waves_of_sincos_are_those_of_the_formula():
    table = sincos_2d((3, 5), 8, period=100.0)
    row, column, slow = 2, 3, 1 / 100.0
    expected = [
        *(math.sin(column), math.sin(column * slow), math.cos(column), math.cos(column * slow)),
        *(math.sin(row), math.sin(row * slow), math.cos(row), math.cos(row * slow)),
    ]
    torch.testing.assert_close(table[row * 5 + column], torch.tensor(expected))


def test_a_finer_grid_reads_the_same_waves_between_the_places_of_the_native_one():
    native, finer = sincos_2d((2, 2), 16).reshape(2, 2, 16), sincos_2d((6, 6), 16, native=(2, 2)).reshape(6, 6, 16)
    # The middle of each three of the finer grid is where the native patch is.
    torch.testing.assert_close(finer[1::3, 1::3], native, atol=1e-6, rtol=0)


def test_turning_keeps_lengths_and_leaves_the_prefix_alone():
    cosines, sines = rotary_2d((3, 4), 8, prefix=2, theta=100.0)
    tokens = torch.randn(1, 2, 14, 8)
    turned = apply_rotary(tokens, cosines, sines)
    torch.testing.assert_close(turned.norm(dim=-1), tokens.norm(dim=-1))
    assert torch.equal(turned[:, :, :2], tokens[:, :, :2])
    assert not torch.allclose(turned[:, :, 2:], tokens[:, :, 2:])


def test_turned_products_depend_on_the_step_between_two_patches_alone():
    cosines, sines = (angle.double() for angle in rotary_2d((4, 4), 8, prefix=0, theta=100.0))
    query, key = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    queries, keys = apply_rotary(query.expand(16, 8), cosines, sines), apply_rotary(key.expand(16, 8), cosines, sines)
    products = (queries @ keys.T).reshape(4, 4, 4, 4)
    # One row down and one column to the right, from two places.
    torch.testing.assert_close(products[0, 0, 1, 1], products[2, 1, 3, 2], atol=1e-6, rtol=0)
    assert not torch.allclose(products[0, 0, 1, 1], products[1, 1, 0, 0])


def test_patches_at_the_same_place_of_the_image_turn_alike_on_every_grid():
    coarse, _ = rotary_2d((1, 1), 8, prefix=0, theta=100.0)
    fine, _ = rotary_2d((3, 3), 8, prefix=0, theta=100.0)
    torch.testing.assert_close(coarse[0], fine[4])


def test_the_table_of_steps_is_indexed_as_counted_by_hand():
    # A grid of 1 x 3: steps of -2 to 2 columns lie in rows 0 to 4 of the table.
    assert relative_index((1, 3)).tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    # A grid of 2 x 1: steps of -1 to 1 rows.
    assert relative_index((2, 1)).tolist() == [[1, 0], [2, 1]]


@given(GRIDS)
def test_equal_steps_share_a_bias(grid):
    index = relative_index(grid)
    places = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    steps = {}
    for one, (row, column) in enumerate(places):
        for other, (down, right) in enumerate(places):
            steps.setdefault((row - down, column - right), set()).add(int(index[one, other]))
    assert all(len(rows) == 1 for rows in steps.values())
    assert len({min(rows) for rows in steps.values()}) == len(steps) == (2 * grid[0] - 1) * (2 * grid[1] - 1)


def test_prefix_tokens_have_three_biases_of_their_own():
    bias = RelativeBias((2, 2), prefix=2, heads=1)
    torch.nn.init.normal_(bias.table)
    to_patch, from_patch, between = bias.table[-3:, 0]
    table = bias((2, 2))[0, 0]
    assert table.shape == (6, 6)
    assert (table[:2, :2] == between).all()
    assert (table[:2, 2:] == to_patch).all()
    assert (table[2:, :2] == from_patch).all()
    assert table[3, 3] == bias.table[4, 0]  # no step at all: the middle of the 3 x 3 steps
