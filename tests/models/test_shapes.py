import pytest

from vit_hf.models.shapes import grid_of, pair


def test_one_number_stands_for_both_sides():
    assert pair(7) == (7, 7)
    assert pair([3, 5]) == (3, 5)


def test_the_grid_counts_rows_and_columns_of_patches():
    assert grid_of([64, 32], [16, 8]) == (4, 4)
    assert grid_of([48, 16], 8) == (6, 2)


def test_a_side_that_patches_do_not_divide_is_told_the_nearest_that_do():
    with pytest.raises(ValueError, match="30 pixels do not divide into patches of 16; .* are 16 or 32"):
        grid_of([32, 30], 16)
    with pytest.raises(ValueError, match="the nearest that do are 16"):
        grid_of(3, 16)
