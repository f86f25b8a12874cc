"""Attention that stays within small groups of tokens: when the kernel computes it, and what it is given."""

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

LARGEST = 64  # tokens of a group, whose scores a GPU's processor holds at once
HEAD_WIDTHS = (16, 32, 64, 128)  # of heads
HAS_TRITON = find_spec("triton") is not None  # comes with torch for CUDA


def attends_in_groups(attention: Any, tokens: Tensor, members: int, output_attentions: bool) -> bool:
    """Whether the kernel serves: groups of `members` tokens that fit, in half precision on a GPU, where nobody asks for
    weights and none are dropped."""
    if output_attentions or (attention.training and attention.dropout_rate > 0):
        return False
    if not HAS_TRITON or attention.config._attn_implementation != "sdpa" or leaves():
        return False
    return members <= LARGEST and attention.head_width in HEAD_WIDTHS and has_kernel(tokens)


def leaves() -> bool:
    """Whether a graph is made for elsewhere, where nobody has the kernel. Compilers before torch 2.13 say so, too."""
    exporting = torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
    return exporting or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def has_kernel(tokens: Tensor) -> bool:
    """Whether the kernel works on the GPU of these, and they are in half precision, or by autocast their products."""
    if type(tokens) is not Tensor or not tokens.is_cuda or not works_on(tokens.device):  # shards have no kernel
        return False
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else tokens.dtype
    return dtype in (torch.bfloat16, torch.float16)


WORKS: dict[torch.device, bool] = {}


@torch.compiler.assume_constant_result
def works_on(device: torch.device) -> bool:
    """Tried once on each: Triton needs a compiler of C beside the GPU, which not everybody has."""
    if device not in WORKS:
        WORKS[device] = torch.cuda.get_device_capability(device) >= (8, 0) and tried_on(device)
    return WORKS[device]


def tried_on(device: torch.device) -> bool:
    try:
        compare_on(device)
    except Exception as error:  # noqa: BLE001 (whatever Triton, a driver or a compiler raises)
        warnings.warn(
            f"On {device} attention in windows and over time is left to torch's own kernels, which are slower: {error}",
            stacklevel=2,
        )
        return False
    return True


def compare_on(device: torch.device) -> None:
    """Raises: RuntimeError where the kernel finds something else than torch, forward or backward."""
    from .group_attention import attention_in_groups

    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        # Numbers that were drawn would move those that a seed gives to others.
        numbers = torch.arange(2 * 98 * 3 * 32, device=device).sin()
        parts = numbers.half().view(2, 98, 3, 1, 32).requires_grad_()
        found = attention_in_groups(parts, None, None, None, 49, 1.0)
        query, key, value = parts.float().transpose(1, 3).unflatten(3, (2, 49)).unbind(2)  # b 1 g m e
        expected = ((query @ key.mT).softmax(dim=-1) @ value).flatten(2, 3).transpose(1, 2).half()
        slopes = [torch.autograd.grad(each, parts, expected.detach())[0] for each in (found, expected)]
        for one, other in ((found, expected), slopes):
            off = (one.float() - other.float()).norm() / other.float().norm()
            if not off < 0.02:  # NaN, too
                raise RuntimeError(f"the kernel's results are off by {off:.3g}")


def attend_in_groups(
    attention: Any, tokens: Tensor, members: int, bias: Tensor | None, mask: Tensor | None, order: Tensor | None
) -> Tensor:
    """b (g m) d -> b (g m) (heads e): what the tokens of each group mix, before the output of `attention`.

    bias, mask and order: as `attention_in_groups` takes them.
    """
    from .group_attention import attention_in_groups

    # Of a part of other tokens torch would add the bias in a pass of its own.
    parts = attention.qkv(tokens.contiguous()).unflatten(-1, (3, attention.heads, -1))  # b n three heads e
    if attention.query_norm is not None:
        query, key, value = parts.transpose(1, 3).unbind(2)  # b heads n e
        query, key = attention.query_norm(query).to(value.dtype), attention.key_norm(key).to(value.dtype)
        parts = torch.stack([query, key, value], dim=2).transpose(1, 3)
    return attention_in_groups(parts, bias, mask, order, members, attention.scaling).flatten(2)


def attend_in_places(attention: Any, tokens: Tensor, frames: int) -> Tensor:
    """b (t n) d -> b (t n) (heads e): what the tokens of each place mix over time, before the output."""
    order, mask = tables_of_places(frames, tokens.shape[1] // frames, tokens)
    return attend_in_groups(attention, tokens, mask.shape[-1], None, mask, order)


TABLES_OF_PLACES: dict[tuple, tuple[Tensor, Tensor]] = {}


def tables_of_places(frames: int, places: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """-> order (t n), mask g m m: groups of as many whole places as the kernel takes, which do not see each other."""
    settings = (frames, places, like.dtype, like.device)
    if torch.compiler.is_compiling() or type(like) is not Tensor:
        return build_tables_of_places(*settings)
    if settings not in TABLES_OF_PLACES:
        if len(TABLES_OF_PLACES) >= 256:
            TABLES_OF_PLACES.clear()
        with torch.inference_mode(False):
            TABLES_OF_PLACES[settings] = build_tables_of_places(*settings)
    return TABLES_OF_PLACES[settings]


def build_tables_of_places(frames: int, places: int, dtype, device) -> tuple[Tensor, Tensor]:
    together = max(number for number in range(1, LARGEST // frames + 1) if places % number == 0)
    order = torch.arange(frames * places, device=device).view(frames, places).t().flatten()
    place = torch.arange(together, device=device).repeat_interleave(frames)
    apart = (place[:, None] != place).to(dtype) * torch.finfo(dtype).min
    return order, apart.repeat(places // together, 1, 1)
