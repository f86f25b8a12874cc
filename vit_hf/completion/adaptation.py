"""Weights for one size of image, patch, channels or set of labels, made from weights for another."""

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

from ..models.positions import nearest_frames, resample_grid, resize_matrix
from ..models.shapes import pair

Kernel = tuple[int, int]
Resample = Callable[[Tensor, Kernel, Kernel], Tensor]


def changed_fields(old, new) -> set[str]:
    """Of the fields that weights can be adapted to, those that differ between two configs of a family."""
    from ..families import find_family  # which holds the models that inherit this

    family = find_family(old.model_type)
    named = () if family is None else family.adapts
    numbers = {name for name in named if differ(getattr(old, name), getattr(new, name))}
    return numbers | ({"id2label"} if labels_differ(old.id2label, new.id2label) else set())


def differ(one, other) -> bool:
    """Of words, or of sizes that may be written as one number or as two."""
    return one != other if isinstance(one, str) or isinstance(other, str) else pair(one) != pair(other)


def labels_differ(old: dict[int, str], new: dict[int, str]) -> bool:
    """Whether a head for the old labels does not serve the new; names made up by transformers say nothing."""
    made_up = {index: f"LABEL_{index}" for index in range(max(len(old), len(new)))}
    unnamed = all(old[index] == made_up[index] for index in old) or all(new[index] == made_up[index] for index in new)
    return len(old) != len(new) or (old != new and not unnamed)


def adapt(state: dict[str, Tensor], old, new) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of `old`'s model for a model of `new`, and a line for each thing that was done.

    Tensors that cannot be carried over (a head for other labels) are left out, so that they start anew.
    """
    from ..families import find_family

    family = find_family(old.model_type)
    adapters = () if family is None else family.adapters
    state = dict(state)
    report = [line for adapter in adapters for line in adapter(state, old, new)]
    if labels_differ(old.id2label, new.id2label):
        report += adapt_labels(state, old.id2label, new.id2label)
    return state, report


def starts_uncalibrated(state: dict[str, Tensor], old, new) -> bool:
    """Whether the temperature of the old classifier says nothing of the new one: its head is another."""
    calibrated = getattr(old, "temperature", 1) != 1 and new.temperature == old.temperature
    return calibrated and labels_differ(old.id2label, new.id2label) and not keys_with(state, "classifier")


def adapted_units(state: dict[str, Tensor], old, new) -> tuple[list[float] | None, list[float] | None]:
    """-> target_mean and target_std of `new`, of whose classifier the weights are in `state`: of one that starts anew
    none, else in the order of its labels."""
    if not keys_with(state, "classifier"):
        return None, None
    mean, std = new.target_mean, new.target_std
    if std is None or (mean, std) != (old.target_mean, old.target_std) or not labels_differ(old.id2label, new.id2label):
        return mean, std
    place = {label: index for index, label in old.id2label.items()}
    order = [place[new.id2label[index]] for index in range(len(std))]
    return [mean[index] for index in order], [std[index] for index in order]


def adapt_patches(state: dict[str, Tensor], old, new) -> list[str]:
    report, sizes = [], (pair(old.patch_size), pair(new.patch_size))
    if sizes[0] == sizes[1] and old.num_channels == new.num_channels:
        return []
    for key in keys_ending(state, "patches.projection.weight"):
        linear = state[key].ndim == 2
        kernel = linear_to_conv(state[key], old.num_channels, old.patch_size) if linear else state[key]
        kernel = adapt_channels(resample_kernel(kernel, sizes[1]), new.num_channels)
        state[key] = conv_to_linear(kernel) if linear else kernel
    for part in ("weight", "bias"):
        for key in keys_ending(state, f"patches.norm_before.{part}"):
            state[key] = adapt_pixels(state[key], *sizes, old.num_channels, new.num_channels)
    if sizes[0] != sizes[1]:
        report.append(f"patches resampled from {written(sizes[0])} to {written(sizes[1])} pixels")
    if old.num_channels != new.num_channels:
        report.append(f"patches adapted from {old.num_channels} to {new.num_channels} channels")
    if painted := keys_with(state, "decoder"):
        for key in painted:
            del state[key]
        report.append("the decoder of pixels starts anew")
    return report


def adapt_positions(state: dict[str, Tensor], old, new) -> list[str]:
    grids = (old.patch_grid, new.patch_grid)
    if grids[0] == grids[1]:
        return []
    count, learned = grids[0][0] * grids[0][1], False
    for suffix in ("positions.table", "positions.table.weight"):
        for key in keys_ending(state, suffix):
            first, patches = state[key][..., :-count, :], state[key][..., -count:, :]
            state[key] = torch.cat([first, resample_grid(patches, *grids)], dim=-2)
            learned = True
    return [f"positions resampled from {written(grids[0])} to {written(grids[1])} patches"] if learned else []


def adapt_frames(state: dict[str, Tensor], old, new) -> list[str]:
    if old.num_frames == new.num_frames:
        return []
    found = keys_ending(state, "frame_positions.table")
    for key in found:
        state[key] = nearest_frames(state[key], new.num_frames)
    times = f"of {old.num_frames} for {new.num_frames} frames"
    return [f"positions in time taken from the nearest {times}"] if found else []


def adapt_clip_positions(state: dict[str, Tensor], old, new) -> list[str]:
    """Of one table for all places in all frames: (1 t h w) d -> (1 t' h' w') d."""
    if (old.num_frames, old.patch_grid) == (new.num_frames, new.patch_grid):
        return []
    found = keys_ending(state, "clip_positions.table.weight")
    for key in found:
        first, rest = state[key][:1], state[key][1:].unflatten(0, (old.num_frames, -1))
        rest = resample_grid(nearest_frames(rest, new.num_frames), old.patch_grid, new.patch_grid)
        state[key] = torch.cat([first, rest.flatten(0, 1)])
    sizes = (f"{config.num_frames} frames of {written(config.patch_grid)}" for config in (old, new))
    return [f"positions resampled from {' to '.join(sizes)} patches"] if found else []


def adapt_grid_biases(state: dict[str, Tensor], old, new) -> list[str]:
    """Attention of the whole grid has biases."""
    return adapt_biases(state, old.patch_grid, new.patch_grid, resample_grid)


def adapt_window_biases(state: dict[str, Tensor], old, new) -> list[str]:
    """Attention within a window has biases."""
    return adapt_biases(state, pair(old.window_size), pair(new.window_size), resample_steps)


def adapt_biases(state: dict[str, Tensor], old: Kernel, new: Kernel, resample: Resample) -> list[str]:
    """old, new: the patches between which there are biases."""
    if old == new:
        return []
    old_steps, new_steps = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (old, new))
    count = old_steps[0] * old_steps[1]
    found = keys_ending(state, "relative_bias.table")
    for key in found:
        steps, prefix = state[key][:count], state[key][count:]
        state[key] = torch.cat([resample(steps, old_steps, new_steps), prefix])
    return [f"biases resampled from {written(old)} to {written(new)} patches"] if found else []


def resample_steps(table: Tensor, old: Kernel, new: Kernel) -> Tensor:
    """(h w) heads -> (h w) heads: biases of a window's steps as Microsoft's code resizes them, bicubic.

    That is another cubic than `resample_grid`'s, which is left to tables a single step wide.
    """
    if 1 in (*old, *new):
        return resample_grid(table, old, new)
    image = rearrange(table, "(h w) heads -> 1 heads h w", h=old[0])
    return rearrange(functional.interpolate(image, size=new, mode="bicubic"), "1 heads h w -> (h w) heads")


def adapt_labels(state: dict[str, Tensor], old: dict[int, str], new: dict[int, str]) -> list[str]:
    heads = keys_with(state, "classifier") + keys_with(state, "distillation_classifier")
    if not heads:
        return []
    if sorted(old.values()) == sorted(new.values()) and len(set(old.values())) == len(old):
        place = {label: index for index, label in old.items()}
        order = [place[new[index]] for index in range(len(new))]
        for key in heads:
            state[key] = state[key][order]
        return [f"rows of the classifier put in the new order of the {len(new)} labels"]
    for key in heads:
        del state[key]
    return [f"a new, untrained classifier for {len(new)} labels in place of {len(old)}"]


def adapt_pooled_width(state: dict[str, Tensor], old, new) -> list[str]:
    """A head of one token, b d, for the class token and the mean beside each other, b (2 d): what it did not look at
    counts for nothing, so that it says the same. Any other head for another width starts anew."""
    wide = [config.pooling == "cls_mean" for config in (old, new)]
    heads = keys_with(state, "classifier")
    if wide[0] == wide[1] or not heads:
        return []
    if wide[1] and old.pooling in ("cls", "mean"):
        for key in keys_ending(state, "classifier.weight"):
            parts = [state[key], torch.zeros_like(state[key])]
            state[key] = torch.cat(parts if old.pooling == "cls" else parts[::-1], dim=1)
        return [f"the classifier of pooling={old.pooling!r} widened to pooling='cls_mean'"]
    for key in heads:
        del state[key]
    return [f"a new, untrained classifier for pooling={new.pooling!r} in place of {old.pooling!r}"]


def linear_to_conv(weight: Tensor, channels: int, patch_size) -> Tensor:
    """d (p1 p2 c) -> d c p1 p2: the kernel of the convolution that equals a Linear over flattened patches."""
    height, across = pair(patch_size)
    return rearrange(weight, "d (p1 p2 c) -> d c p1 p2", p1=height, p2=across, c=channels)


def conv_to_linear(weight: Tensor) -> Tensor:
    """d c p1 p2 -> d (p1 p2 c): the inverse of `linear_to_conv`."""
    return rearrange(weight, "d c p1 p2 -> d (p1 p2 c)")


def resample_kernel(kernel: Tensor, size: Kernel) -> Tensor:
    """d c p1 p2 -> d c p1' p2': a patch embedding that gives a resized patch the token of the patch itself.

    Exactly so when patches grow, as nearly as can be when they shrink. Source: FlexiViT (arXiv:2212.08013), eq. 5.
    """
    old = (kernel.shape[-2], kernel.shape[-1])
    if old == size:
        return kernel
    exact = kernel.to(torch.float64)
    resize = torch.kron(*(resize_matrix(one, other, exact) for one, other in zip(old, size, strict=True)))
    solved = rearrange(exact, "d c p1 p2 -> d c (p1 p2)") @ torch.linalg.pinv(resize)
    return rearrange(solved, "d c (p1 p2) -> d c p1 p2", p1=size[0]).to(kernel.dtype)


def adapt_channels(kernel: Tensor, channels: int) -> Tensor:
    """d c p1 p2 -> d c' p1 p2: gray images see the sum over channels; others repeat them, at the same total.

    So an image whose new channels all show the old gray one gives the same token. Source: timm.
    """
    old = kernel.shape[1]
    if old == channels:
        return kernel
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    repeated = repeat(kernel, "d c p1 p2 -> d (times c) p1 p2", times=-(-channels // old))[:, :channels]
    return repeated * (old / channels)


def adapt_pixels(values: Tensor, old: Kernel, new: Kernel, channels: int, new_channels: int) -> Tensor:
    """(p1 p2 c) -> (p1' p2' c'): per-pixel values of a flattened patch, resampled and repeated over channels."""
    table = rearrange(values, "(p c) -> p c", c=channels)
    table = resample_grid(table, old, new)
    return repeat(table, "p c -> p (times c)", times=-(-new_channels // channels))[:, :new_channels].flatten()


def keys_ending(state: dict[str, Tensor], suffix: str) -> list[str]:
    return [key for key in state if f".{key}".endswith(f".{suffix}")]


def keys_with(state: dict[str, Tensor], part: str) -> list[str]:
    return [key for key in state if part in key.split(".")]


def written(size: Kernel) -> str:
    return f"{size[0]} x {size[1]}"
