"""Which tokens are joined, on numbers made by hand and against loops; and that nothing is lost."""

import pytest
import torch
from torch import Tensor

from vit_hf.fewer_tokens.matching import (
    Merged,
    chosen_patches,
    matching_of,
    mean_of_joined,
    means_of,
    merge,
    most_alike,
    rows,
    sizes_after,
)

# By turns of the first and of the second group, behind a class token that is like everybody.
DIRECTIONS = [[1.0, 1.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0], [3.0, 0.1], [1.0, 1.0], [-1.0, 0.0]]


def test_a_tiny_matching_is_the_one_that_is_made_by_hand():
    keys = torch.tensor(DIRECTIONS)[None]
    # Of the first group (1: east, 3: north, 5: northeast): 3 is 2's direction, 1 nearly that of 4, 5 is between both.
    sources, targets = most_alike(keys, 2, prefix=1)
    assert dict(zip(sources[0].tolist(), targets[0].tolist(), strict=True)) == {3: 2, 1: 4}


def test_what_joins_a_token_is_averaged_by_how_much_there_is_of_each():
    tokens = torch.tensor([[[1.0], [10.0], [20.0], [40.0], [7.0]]])
    sizes = torch.tensor([[1.0, 1, 2, 1, 3]])
    matching = matching_of(torch.tensor([[1, 3]]), torch.tensor([[2, 2]]), 5)
    assert matching.left.tolist() == [[0, 2, 4]]
    assert matching.place.tolist() == [[0, 1, 1, 1, 2]]
    after = sizes_after(sizes, matching)
    assert after.tolist() == [[1, 4, 3]]
    assert mean_of_joined(tokens, sizes, after, matching).tolist() == [[[1], [(10 + 2 * 20 + 40) / 4], [7]]]


def merged_by_loops(tokens: Tensor, keys: Tensor, sizes: Tensor, r: int, prefix: int) -> tuple[Tensor, Tensor]:
    """As the paper's section 3 says it, of one image."""
    count = len(tokens)
    pairs = []
    for one in range(prefix, count, 2):
        alike = {}
        for other in range(prefix + 1, count, 2):
            alike[other] = float(keys[one] @ keys[other] / keys[one].norm() / keys[other].norm())
        best = max(alike, key=lambda other: alike[other])
        pairs.append((alike[best], one, best))
    sums, total, gone = [tokens[i] * sizes[i] for i in range(count)], sizes.tolist(), set()
    for _, one, best in sorted(pairs, reverse=True)[:r]:
        sums[best], total[best] = sums[best] + sums[one], total[best] + total[one]
        gone.add(one)
    left = [i for i in range(count) if i not in gone]
    return torch.stack([sums[i] / total[i] for i in left]), torch.tensor([total[i] for i in left])


@pytest.mark.parametrize(("count", "prefix", "r"), [(9, 1, 3), (8, 0, 4), (11, 2, 2), (5, 3, 1), (17, 1, 8)])
def test_merging_is_that_of_an_independent_slow_reference(count, prefix, r):
    tokens, keys = torch.randn(3, count, 4, dtype=torch.float64), torch.randn(3, count, 6, dtype=torch.float64)
    sizes = torch.randint(1, 5, (3, count)).double()
    found, merged = merge(tokens, keys, Merged(sizes, None, None), r=r, prefix=prefix)
    for image in range(3):
        expected, after = merged_by_loops(tokens[image], keys[image], sizes[image], r, prefix)
        torch.testing.assert_close(found[image], expected)
        assert merged.sizes is not None
        assert torch.equal(merged.sizes[image], after)


def test_over_layers_sizes_sum_to_the_number_of_tokens_and_members_say_where_each_is():
    tokens, merged = torch.randn(2, 1 + 20, 4), Merged(None, None, None)
    first = tokens
    for r in (5, 100, 2):
        tokens, merged = merge(tokens, torch.randn(*tokens.shape[:2], 6), merged, r=r, prefix=1)
    assert tokens.shape == (2, 1 + 20 - 5 - 7 - 2, 4)  # of the 15 that the second layer finds, at most half
    assert merged.sizes is not None
    assert merged.members is not None
    assert merged.sizes.sum(1).tolist() == [21, 21]
    ones = torch.ones(2, 21)
    assert torch.equal(torch.zeros_like(merged.sizes).scatter_add(1, merged.members, ones), merged.sizes)
    torch.testing.assert_close(tokens, means_of(first, merged.members, tokens.shape[1]))
    assert torch.equal(tokens[:, 0], first[:, 0])  # the class token is nobody but itself


def test_joining_equal_tokens_and_taking_them_apart_again_changes_no_bit():
    halves = torch.randn(2, 6, 4)
    tokens = halves.repeat_interleave(2, dim=1)
    found, merged = merge(tokens, tokens, Merged(None, None, None), r=6, prefix=0)
    assert merged.members is not None
    assert torch.equal(found, halves)
    assert torch.equal(rows(found, merged.members), tokens)


def test_padding_is_in_no_mean_and_its_numbers_choose_nothing():
    tokens, keys = torch.randn(1, 9, 4), torch.randn(1, 9, 6)
    seen = torch.tensor([[1.0, 1, 1, 1, 1, 1, 0, 0, 0]])
    others = torch.where(seen[..., None] > 0, keys, 9 * torch.randn_like(keys))
    (found, merged), (other, same) = (
        merge(tokens, one, Merged(seen, None, None), r=3, prefix=1) for one in (keys, others)
    )
    assert torch.equal(found, other)
    assert merged.sizes is not None
    assert merged.members is not None
    assert merged.sizes.sum() == 6
    assert torch.equal(merged.members, torch.as_tensor(same.members))
    for token in range(6):
        inside = (merged.members[0] == token) & (seen[0] > 0)
        if inside.any():
            torch.testing.assert_close(found[0, token], tokens[0, inside].mean(0))
    bias = merged.bias(torch.float32)
    assert bias is not None
    assert (bias[merged.sizes == 0] == torch.finfo(torch.float32).min).all()
    assert torch.equal(bias[merged.sizes > 0], merged.sizes[merged.sizes > 0].log())


def test_turns_are_those_of_the_places_in_the_mean():
    tokens, turns = torch.randn(2, 6, 4), torch.randn(6, 8)
    keys = torch.eye(6).repeat_interleave(2, dim=0)[:6][None].expand(2, -1, -1)
    _, merged = merge(tokens, keys, Merged(None, None, (turns, -turns)), r=3, prefix=0)
    assert merged.rotary is not None
    pairs = turns.unflatten(0, (3, 2)).mean(1)
    torch.testing.assert_close(merged.rotary[0], pairs.expand(2, 1, 3, 8))
    torch.testing.assert_close(merged.rotary[1], -pairs.expand(2, 1, 3, 8))


@pytest.mark.parametrize(("share", "kept"), [(0.5, [0, 1, 3, 4]), (0.01, [0, 1, 4]), (0.99, [0, 1, 3, 4, 5])])
def test_the_patches_of_the_smallest_draws_are_kept_in_order_behind_all_of_the_prefix(share, kept):
    draws = torch.tensor([[0.9, 0.2, 0.1, 0.3]])
    assert chosen_patches(draws, share, prefix=2).tolist() == [kept]
