from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vit_hf.models.fast_windows import Move, bias_and_mask, build_tables, move, tables_of
from vit_hf.models.windows import WindowBias, attention_mask, in_image, window_partition, window_reverse, windows_of

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def windows(grid, window, shifted=False, clamped=True, mask_padding=False) -> Any:
    arranged = windows_of(grid, window, shifted=shifted, clamped=clamped, mask_padding=mask_padding)
    return build_tables(arranged, 1, torch.float32, "cpu")


def test_windows_are_cut_out_of_the_image_row_by_row():
    tables = windows((4, 4), (2, 2))
    into, back = tables.into, tables.back
    assert into.reshape(4, 4).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert back.reshape(4, 4).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert (tables.mask, tables.shape) == (None, (2, 2))


def test_shifted_windows_show_only_what_lay_side_by_side():
    tables = windows((4, 4), (2, 2), shifted=True)
    into, mask = tables.into, tables.mask
    # Rolled by one up and to the left: the middle comes first, and the last window holds the four corners.
    assert into.reshape(4, 4).tolist() == [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    seen = mask[:, 0] == 0
    assert seen[0].all()
    assert torch.equal(seen[1], torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).bool())
    assert torch.equal(seen[2], torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]).bool())
    assert torch.equal(seen[3], torch.eye(4).bool())


def test_what_does_not_fill_a_window_is_padded_at_the_bottom_and_the_right():
    _, into, back, mask, *_ = windows((1, 3), (2, 2), clamped=False)
    assert into.reshape(2, 4).tolist() == [[0, 1, 3, 3], [2, 3, 3, 3]]
    assert back.tolist() == [0, 1, 4]
    assert mask is None
    hidden = windows((1, 3), (2, 2), clamped=False, mask_padding=True).mask
    assert torch.equal(hidden[1, 0, 0] == 0, torch.tensor([True, False, False, False]))


def test_a_side_that_one_window_covers_is_neither_padded_nor_shifted():
    tables = windows((3, 8), (4, 4), shifted=True)
    into, mask = tables.into, tables.mask
    assert tables.shape == (3, 4)
    assert into.reshape(2, 3, 4)[0, :, 0].tolist() == [2, 10, 18]  # columns are shifted by two, rows by none
    assert mask[0].abs().max() == 0
    unmoved = windows((3, 4), (4, 4), shifted=True)
    assert (unmoved[1:4], unmoved.shape) == ((None, None, None), (3, 4))


@given(SIDES, SIDES, st.booleans(), st.booleans(), st.booleans())
def test_every_token_comes_back_to_its_place(grid, window, shifted, clamped, mask_padding):
    tables = windows(grid, window, shifted, clamped, mask_padding)
    _, into, back, mask, *_ = tables
    tokens = torch.arange(1.0, 1 + grid[0] * grid[1])[None, :, None].expand(2, -1, 3)
    inside = move(tokens, into, back)
    assert inside.shape[1] % (tables.shape[0] * tables.shape[1]) == 0
    assert inside.sum() == tokens.sum()  # padding is zero
    assert torch.equal(move(inside, back, into), tokens)
    if mask is not None:
        assert torch.equal(mask, mask.transpose(-1, -2))
        assert (mask.diagonal(dim1=-2, dim2=-1) == 0).all()


@given(SIDES, SIDES, st.booleans(), st.booleans(), st.booleans())
def test_tables_lay_tokens_where_the_paper_pads_rolls_and_cuts_them(grid, window, shifted, clamped, mask_padding):
    tables = windows(grid, window, shifted, clamped, mask_padding)
    tokens = torch.randn(2, grid[0] * grid[1], 3, generator=torch.Generator().manual_seed(0))
    inside = window_partition(tokens, tables.windows)
    assert torch.equal(move(tokens, tables.into, tables.back).reshape(inside.shape), inside)
    assert torch.equal(window_reverse(inside, tables.windows), tokens)
    mask = attention_mask(tables.windows, torch.float32, "cpu")
    assert mask is tables.mask or torch.equal(mask, tables.mask)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("grid", "window"), [((4, 4), (2, 2)), ((3, 5), (2, 2))])
def test_gradients_come_back_as_autograd_would_bring_them(grid, window):
    _, into, back, *_ = windows(grid, window, shifted=True)
    tokens = torch.randn(2, grid[0] * grid[1], 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda tokens: Move.apply(tokens, into, back), (tokens,))
    torch.autograd.gradgradcheck(lambda tokens: Move.apply(tokens, into, back), (tokens,))
    inside = torch.randn(2, len(into), 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda inside: Move.apply(inside, back, into), (inside,))


def test_tables_are_built_once_for_a_size_and_serve_training_after_inference():
    arranged = windows_of((6, 6), (4, 4), shifted=True, clamped=True, mask_padding=False)
    with torch.inference_mode():
        first = tables_of(arranged, 2, torch.zeros(1, 36, 2))
    assert first is tables_of(arranged, 2, torch.ones(3, 36, 2))
    assert first is not tables_of(arranged, 2, torch.ones(3, 36, 2).bfloat16())
    tokens = torch.randn(1, 36, 2, requires_grad=True)
    move(tokens, first.into, first.back).sum().backward()
    assert tokens.grad is not None
    assert torch.equal(tokens.grad, torch.ones_like(tokens))


def test_a_smaller_window_reads_the_same_steps_of_the_table():
    bias = WindowBias((4, 3), 2)
    torch.nn.init.normal_(bias.table)
    whole, part = bias((4, 3)), bias((2, 3))
    assert whole.shape == (1, 2, 12, 12)
    assert torch.equal(part, whole[:, :, :6, :6])


def test_attention_of_windows_is_placed_in_the_image():
    shifted = windows((2, 4), (2, 2), shifted=True)
    weights = torch.arange(1.0, 33).reshape(2, 1, 4, 4)  # two windows of one image
    image = in_image(weights, shifted.windows)
    tokens = shifted.into.reshape(2, 4)
    assert image.shape == (1, 1, 8, 8)
    for window in range(2):
        for row in range(4):
            for column in range(4):
                found = image[0, 0, tokens[window, row], tokens[window, column]]
                assert found == weights[window, 0, row, column]
    assert image.sum() == weights.sum()


def test_bias_and_mask_are_one_term_that_follows_the_table():
    bias, shifted = WindowBias((2, 2), 3), windows((4, 4), (2, 2), shifted=True)
    torch.nn.init.normal_(bias.table)
    with torch.no_grad():
        term = bias_and_mask(bias, shifted.mask, (2, 2))
        assert torch.equal(term, (bias((2, 2)) + shifted.mask).transpose(0, 1))
        assert bias_and_mask(bias, shifted.mask, (2, 2)) is term
        assert bias_and_mask(bias, None, (2, 2)).shape == (3, 1, 4, 4)
        bias.table.data.add_(1)  # of which torch itself keeps no count
        assert torch.equal(bias_and_mask(bias, None, (2, 2)), bias((2, 2)).transpose(0, 1))
        assert bias_and_mask(bias.double(), None, (2, 2)).dtype == torch.float64
    assert list(bias.state_dict()) == ["table"]
