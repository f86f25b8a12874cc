"""Which tokens are alike, and one token made of several; by pure functions, of any numbers that tokens have."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..models.positions import Angles


def rows(values: Tensor, places: Tensor) -> Tensor:
    """b n d, b k -> b k d: the rows at these places, several times as fast as `gather` copies them"""
    batch, count = values.shape[:2]
    first = torch.arange(batch, device=places.device)[:, None] * count
    return values.flatten(0, 1)[first + places]


def most_alike(keys: Tensor, r: int, prefix: int) -> tuple[Tensor, Tensor]:
    """b n e -> b r, b r: the places of r tokens, and of the ones that they are most like, by the cosine.

    Tokens behind the `prefix` belong by turns to a first and a second group. Each of the first is compared with all of
    the second, and the r of the highest cosine are taken; so none that is taken is one that others are joined to.
    Source: bipartite soft matching, ToMe (arXiv:2210.09461), section 3.
    """
    keys = functional.normalize(keys[:, prefix:].float(), dim=-1)
    cosines, nearest = (keys[:, ::2] @ keys[:, 1::2].transpose(1, 2)).max(-1)
    first = cosines.topk(r, dim=1, sorted=False).indices
    return prefix + 2 * first, prefix + 1 + 2 * nearest.gather(1, first)


class Matching(NamedTuple):
    """Tokens b n of which some join others.

    sources, targets: b r, places of those that join, and of those that they join. left: b (n - r), places of those that
    are left, in their order. place: b n, of each token the place of what it is in then.
    """

    sources: Tensor
    targets: Tensor
    left: Tensor
    place: Tensor


def matching_of(sources: Tensor, targets: Tensor, count: int) -> Matching:
    """b r, b r -> the matching of `count` tokens; without sorting them."""
    batch, r = sources.shape
    stays = sources.new_ones(batch, count).scatter(1, sources, 0)
    place = stays.cumsum(1) - 1
    everyone = torch.arange(count, device=sources.device).expand(batch, -1)
    # Those that join are written to one place more, which is cut off.
    left = sources.new_zeros(batch, count - r + 1).scatter(1, place.where(stays.bool(), count - r), everyone)[:, :-1]
    return Matching(sources, targets, left, place.scatter(1, sources, place.gather(1, targets)))


def sizes_after(sizes: Tensor, matching: Matching) -> Tensor:
    """b n -> b (n - r): how much there is in each token that is left"""
    places = matching.place.gather(1, matching.sources)
    return sizes.gather(1, matching.left).scatter_add(1, places, sizes.gather(1, matching.sources))


def mean_of_joined(values: Tensor, sizes: Tensor, after: Tensor, matching: Matching) -> Tensor:
    """b n d, b n, b (n - r) -> b (n - r) d: the means of what is joined, by the sizes before.

    Each that joins moves its target by its share of the distance, so that equal ones stay as they are to the bit.
    """
    sources, targets = matching.sources, matching.targets
    places = matching.place.gather(1, sources)
    # What stands for nothing, as padding does, is divided by something all the same.
    share = sizes.gather(1, sources) / after.gather(1, places).clamp(min=torch.finfo(sizes.dtype).tiny)
    way = (rows(values, sources) - rows(values, targets)) * share[..., None].to(values.dtype)
    return rows(values, matching.left).scatter_add_(1, places[..., None].expand_as(way), way)


def means_of(values: Tensor, members: Tensor, count: int) -> Tensor:
    """b N d, b N -> b count d: of all that are in the same token, which `members` tells"""
    index = members[..., None].expand_as(values)
    sums = values.new_zeros(values.shape[0], count, values.shape[-1]).scatter_add(1, index, values)
    many = members.new_zeros(members.shape[0], count).scatter_add(1, members, torch.ones_like(members))
    return sums / many[..., None].to(values.dtype)


class Merged(NamedTuple):
    """What tokens stand for, besides themselves.

    sizes: b n, how many of the first tokens are in each, and 0 of padding; None while it is 1 of all.
    members: b N, for each of the first tokens the place of what it is in; None before any was merged.
    rotary: n e or b 1 n e, by which attention turns them: of merged tokens the mean of their turns.
    whole: all N tokens are there all along, those of one merged token equal to each other; the same function, as
        attention to s equal tokens is attention to one, whose score is higher by log s.
    """

    sizes: Tensor | None
    members: Tensor | None
    rotary: Angles | None
    whole: bool = False

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """-> b n: what attention to a token adds to its scores, by its size"""
        if self.sizes is None or self.whole:
            return None
        exact = torch.promote_types(dtype, torch.float32)
        return self.sizes.to(exact).log().to(dtype).clamp(min=torch.finfo(dtype).min)


def merge(tokens: Tensor, keys: Tensor, merged: Merged, *, r: int, prefix: int) -> tuple[Tensor, Merged]:
    """b n d, b n e -> b (n - r) d: r tokens joined to those that their keys are most like; at most half of those behind
    the `prefix`."""
    batch, first = tokens.shape[:2]
    sizes = tokens.new_ones(batch, first, dtype=torch.float32) if merged.sizes is None else merged.sizes
    members = merged.members
    if members is None:
        members = torch.arange(first, device=tokens.device).expand(batch, -1)
    count = sizes.shape[1]
    if not (r := min(r, (count - prefix) // 2)):
        return tokens, merged
    turns = [] if merged.rotary is None else [turn.expand(batch, 1, first, -1)[:, 0] for turn in merged.rotary]
    if merged.whole:
        tokens, keys, *turns = (means_of(values, members, count) for values in (tokens, keys, *turns))
    with torch.no_grad():
        known = keys * (sizes > 0)[..., None]  # what lies under padding chooses nothing
        matching = matching_of(*most_alike(known, r, prefix), count)
        after, members = sizes_after(sizes, matching), matching.place.gather(1, members)
    join = partial(mean_of_joined, sizes=sizes, after=after, matching=matching)
    tokens, *turns = (join(values) for values in (tokens, *turns))
    if merged.whole:
        tokens, *turns = (rows(values, members) for values in (tokens, *turns))
    rotary = (turns[0][:, None], turns[1][:, None]) if turns else None
    return tokens, Merged(after, members, rotary, merged.whole)


def chosen_patches(draws: Tensor, share: float, prefix: int) -> Tensor:
    """b (h w), uniform -> b (prefix k): the places of the `prefix` tokens and of a share of the patches, at least one,
    in their order: those of the smallest numbers."""
    count = max(1, int(draws.shape[1] * share))
    patches = prefix + draws.topk(count, dim=1, largest=False).indices.sort(dim=1).values
    return torch.cat([torch.arange(prefix, device=draws.device).expand(len(draws), -1), patches], dim=1)
