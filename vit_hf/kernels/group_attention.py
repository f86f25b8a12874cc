"""Attention within small groups of tokens, such as Swin's windows, as one kernel of Triton.

The scores of a group never leave the processor that makes them. Of torch's own kernels those that take a bias are slow,
and all work on more tokens at once than a group has.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports] (comes with torch for CUDA)
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula
from triton import language as tl  # pyright: ignore[reportMissingImports]

PROGRAMS = 4096  # at most about so many at once, which fill any GPU several times


@triton.jit
def members_of(group, order, members: tl.constexpr, rows: tl.constexpr):
    """-> rows, three times: the members' numbers, whether there are so many, and the tokens that they are"""
    member = tl.arange(0, rows)
    real = member < members
    token = group * members + member
    if order is not None:
        token = tl.load(order + token, real, 0)
    return member, real, token


@triton.jit
def term_of(bias, mask, group, head, member, real, members: tl.constexpr):
    """-> m m: what is added to the scores of each image, and keeps the queries from what stands behind the last key."""
    pair, both = member[:, None] * members + member[None, :], real[:, None] & real[None, :]
    # A row without any key would be NaN.
    term = tl.where(real[None, :] | (member[:, None] < 0), 0.0, float("-inf"))
    if bias is not None:
        term += tl.load(bias + head * members * members + pair, both, 0.0)
    if mask is not None:
        term += tl.load(mask + group * members * members + pair, both, 0.0)
    return term


@triton.jit
def attend(parts, place, real, term, scaling, heads: tl.constexpr, width: tl.constexpr):
    """-> queries, keys, values m e, and weights m m"""
    query = tl.load(parts + place, real[:, None], 0.0)
    key = tl.load(parts + place + heads * width, real[:, None], 0.0)
    value = tl.load(parts + place + 2 * heads * width, real[:, None], 0.0)
    scores = tl.dot(query, tl.trans(key)) * scaling + term
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    return query, key, value, weights / tl.sum(weights, 1)[:, None]


@triton.jit(do_not_specialize=["images", "tokens"])
def forward_kernel(
    parts,
    bias,
    mask,
    order,
    mixed,
    scaling,
    images,
    tokens,
    heads: tl.constexpr,
    members: tl.constexpr,
    rows: tl.constexpr,
    width: tl.constexpr,
):
    """A program has one head of one group, in every so many images; `rows`, a power of 2, hold the members."""
    group, head = tl.program_id(0), tl.program_id(1)
    member, real, token = members_of(group, order, members, rows)
    feature = tl.arange(0, width)
    term = term_of(bias, mask, group, head, member, real, members)
    size = tokens.to(tl.int64) * (heads * width)  # of an image; the whole may have more than 2^31 numbers
    for image in tl.range(tl.program_id(2), images, tl.num_programs(2)):
        place = (token[:, None] * (3 * heads) + head) * width + feature[None, :]
        _, _, value, weights = attend(parts + image * 3 * size, place, real, term, scaling, heads, width)
        found = tl.dot(weights.to(value.dtype), value).to(value.dtype)
        place = (token[:, None] * heads + head) * width + feature[None, :]
        tl.store(mixed + image * size + place, found, real[:, None])


@triton.jit(do_not_specialize=["images", "tokens"])
def backward_kernel(
    to_mixed,
    parts,
    bias,
    mask,
    order,
    to_parts,
    to_bias,
    scaling,
    images,
    tokens,
    heads: tl.constexpr,
    members: tl.constexpr,
    rows: tl.constexpr,
    width: tl.constexpr,
):
    """As `forward_kernel`, whose weights it makes once more. `to_x` is the gradient of x; that of the bias is a sum for
    each program, so that no two write to one place and sums have one order."""
    group, head, first = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    member, real, token = members_of(group, order, members, rows)
    feature = tl.arange(0, width)
    term = term_of(bias, mask, group, head, member, real, members)
    to_term = tl.zeros((rows, rows), tl.float32)
    size = tokens.to(tl.int64) * (heads * width)
    for image in tl.range(first, images, tl.num_programs(2)):
        place = (token[:, None] * heads + head) * width + feature[None, :]
        to_found = tl.load(to_mixed + image * size + place, real[:, None], 0.0)
        place = (token[:, None] * (3 * heads) + head) * width + feature[None, :]
        query, key, value, weights = attend(parts + image * 3 * size, place, real, term, scaling, heads, width)
        to_value = tl.dot(tl.trans(weights.to(value.dtype)), to_found)
        to_weights = tl.dot(to_found, tl.trans(value))
        to_scores = weights * (to_weights - tl.sum(weights * to_weights, 1)[:, None])
        to_term += to_scores
        to_scores = (to_scores * scaling).to(value.dtype)
        to_query, to_key = tl.dot(to_scores, key), tl.dot(tl.trans(to_scores), query)
        into = to_parts + image * 3 * size + place
        tl.store(into, to_query.to(value.dtype), real[:, None])
        tl.store(into + heads * width, to_key.to(value.dtype), real[:, None])
        tl.store(into + 2 * heads * width, to_value.to(value.dtype), real[:, None])
    if to_bias is not None:
        program = (first * heads + head) * tl.num_programs(0) + group
        pair = member[:, None] * members + member[None, :]
        tl.store(to_bias + program * members * members + pair, to_term, real[:, None] & real[None, :])


def programs_of(parts: Tensor, members: int) -> tuple[int, int, int]:
    """-> groups, heads, and among how many programs the images of each are divided"""
    images, tokens, _, heads, _ = parts.shape
    groups = tokens // members
    of_each = -(-images * groups * heads // PROGRAMS)
    return groups, heads, -(-images // max(1, min(of_each, images)))


def launch(kernel: Any, parts: Tensor, members: int, *tensors: Tensor | None, scaling: float) -> None:
    images, tokens, _, heads, width = parts.shape
    rows = max(16, 1 << (members - 1).bit_length())  # a product of matrices has 16 at least
    if not parts.numel():
        return
    # Triton takes the current device, whichever the tensors are on.
    with torch.cuda.device_of(parts):
        programs = programs_of(parts, members)
        kernel[programs](*tensors, scaling, images, tokens, heads, members, rows, width, num_stages=2)


@torch.library.custom_op("vit_hf::attention_in_groups", mutates_args=())
def attention_in_groups(
    parts: Tensor, bias: Tensor | None, mask: Tensor | None, order: Tensor | None, members: int, scaling: float
) -> Tensor:
    """b (g m) three heads e -> b (g m) heads e: the tokens of each of the g groups of m attend to each other.

    bias: heads m m; mask: g m m, without gradients; both are added to the scores. order: (g m), the token in each place
    of the groups, each once; None where groups are of tokens side by side. Source: arXiv:1706.03762, section 3.2.1; the
    gradient of a softmax, whose scores are made anew, FlashAttention (arXiv:2205.14135), appendix B.2.
    """
    parts, bias, mask = parts.contiguous(), contiguous(bias), contiguous(mask)
    mixed = parts.new_empty(parts.shape[0], parts.shape[1], *parts.shape[3:])
    launch(forward_kernel, parts, members, parts, bias, mask, order, mixed, scaling=scaling)
    return mixed


@attention_in_groups.register_fake
def _(parts, bias, mask, order, members, scaling):
    return parts.new_empty(parts.shape[0], parts.shape[1], parts.shape[3], parts.shape[4])


@torch.library.custom_op("vit_hf::attention_in_groups_backward", mutates_args=())
def attention_in_groups_backward(
    to_mixed: Tensor,
    parts: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    order: Tensor | None,
    members: int,
    scaling: float,
    learns_bias: bool,
) -> tuple[Tensor, Tensor]:
    """-> gradients of `parts` and of the bias, or nothing in place of the latter"""
    parts, bias, mask = parts.contiguous(), contiguous(bias), contiguous(mask)
    to_parts, shape = torch.empty_like(parts), (*programs_of(parts, members)[::-1], members, members)
    sums = parts.new_zeros(shape if learns_bias else 0, dtype=torch.float32)
    given = (to_mixed.contiguous(), parts, bias, mask, order, to_parts, sums if learns_bias else None)
    launch(backward_kernel, parts, members, *given, scaling=scaling)
    return to_parts, sums.sum((0, 2)) if learns_bias else sums


@attention_in_groups_backward.register_fake
def _(to_mixed, parts, bias, mask, order, members, scaling, learns_bias):
    to_bias = (parts.shape[3], members, members) if learns_bias else 0
    return torch.empty_like(parts, memory_format=torch.contiguous_format), parts.new_empty(to_bias, dtype=torch.float32)


def contiguous(term: Tensor | None) -> Tensor | None:
    return None if term is None else term.contiguous()


def keep(ctx, inputs, output) -> None:
    parts, bias, mask, order, *ctx.numbers = inputs
    ctx.save_for_backward(parts, bias, mask, order)


def backward(ctx, to_mixed: Tensor):
    parts, bias, mask, order = ctx.saved_tensors
    learns_bias = ctx.needs_input_grad[1]
    to_parts, to_bias = attention_in_groups_backward(to_mixed, parts, bias, mask, order, *ctx.numbers, learns_bias)
    return to_parts, to_bias.to(bias.dtype) if learns_bias else None, None, None, None, None


attention_in_groups.register_autograd(backward, setup_context=keep)


@register_flop_formula(torch.ops.vit_hf.attention_in_groups)
def count_forward(parts: Sequence[int], bias, mask, order, members: int, scaling, **_) -> int:
    """The two products of each pair of tokens, as torch counts those of its own attention."""
    images, tokens, _three, heads, width = parts
    return 2 * 2 * images * heads * tokens * members * width


@register_flop_formula(torch.ops.vit_hf.attention_in_groups_backward)
def count_backward(to_mixed, parts: Sequence[int], bias, mask, order, members: int, *_, **__) -> int:
    """Scores anew, and two products for each of the two before."""
    return 5 * count_forward(parts, bias, mask, order, members, None) // 2
