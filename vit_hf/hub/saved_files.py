"""The files beside weights that say what these are, held against what they may say before transformers reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..completion.combinations import check_patch_grid
from ..completion.headers import FLOAT, refuse_unlike, shapes_in
from ..completion.saved_fields import CONFIG_KINDS, PROCESSOR_KINDS, refuse_unknown_quantization, refuse_wrong_kinds
from ..errors import UserError, first_line
from ..families import find_family
from ..files import read_json
from ..memory import refuse_beyond_memory
from ..models.shapes import grid_of, pair

PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
# What a processor does, and the numbers without which it cannot.
NUMBERS_OF_WORK = {
    "do_resize": ("size", "resample"),
    "do_center_crop": ("crop_size",),
    "do_rescale": ("rescale_factor",),
    "do_normalize": ("image_mean", "image_std"),
}
LONE_SIDES = ("shortest_edge", "longest_edge", "max_height")  # each of which is enough of a size
# What comes out of transformers where files say what it does not expect.
READING_FAILS = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    ImportError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


def told(error: BaseException) -> str:
    """The sentence of an error of ours; the first line of another's, and what kind it is where it is not made to be
    read."""
    if isinstance(error, UserError):
        return str(error)
    kind, line = type(error).__name__, first_line(error)
    readable = isinstance(error, OSError | ImportError) or type(error) in (ValueError, RuntimeError) or line == kind
    return line if readable else f"{kind}: {line}"


def refuse_wrong_files(folder: Path, name: str) -> None:
    """Raises: UserError for a field that cannot be, and for numbers that are not those of the weights beside them."""
    config = read_json(folder / "config.json")
    refuse_wrong_kinds(config, CONFIG_KINDS, f"{name}: config.json")
    refuse_unknown_quantization(config, f"{name}: config.json")
    if (shapes := shapes_in(folder)) is not None:
        refuse_unlike(config, shapes, name)
    refuse_wrong_processor(folder, name)


def refuse_wrong_processor(folder: Path, name: str) -> None:
    for file in PROCESSORS:
        if (folder / file).is_file():
            refuse_wrong_kinds(read_json(folder / file), PROCESSOR_KINDS, f"{name}: {file}")


def refuse_unfit_processor(processor: Any, config: Any, name: str) -> None:
    """Raises: UserError for numbers of other channels than the model has, and for an image that does not fit in memory,
    its pixels and its tokens."""
    for does, fields in NUMBERS_OF_WORK.items():
        missing = [field for field in fields if getattr(processor, field, None) is None]
        if getattr(processor, does, False) and missing:
            raise UserError(
                f"{name}: {does} of the processor needs {' and '.join(missing)}, which preprocessor_config.json leaves "
                f"open; say it there, or {does}: false."
            )
    channels = getattr(config, "num_channels", None) or 3
    for field in ("image_mean", "image_std") if getattr(processor, "do_normalize", False) else ():
        values = getattr(processor, field, None)
        if isinstance(values, list | tuple) and len(values) != channels:
            raise UserError(
                f"{name}: {field}={list(values)} of the processor has {len(values)} numbers, and the model takes "
                f"images of {channels} channels; give {channels} in preprocessor_config.json."
            )
    size = dict(getattr(processor, "size", None) or {})
    is_sized = (size.get("height") and size.get("width")) or any(size.get(side) for side in LONE_SIDES)
    if getattr(processor, "do_resize", False) and not is_sized:
        raise UserError(
            f"{name}: size={size} of the processor has to say a height and a width, or a shortest_edge; correct it "
            "in preprocessor_config.json."
        )
    sizes = [dict(getattr(processor, field, None) or {}) for field in ("size", "crop_size")]
    if not getattr(processor, "do_center_crop", False):
        sizes = sizes[:1]
    if getattr(processor, "do_resize", False):
        refuse_other_grid(sizes[-1], config, name)
    for size in sizes:
        lengths = [length for length in size.values() if length]
        height, width = (size.get("height") or max(lengths, default=0)), (size.get("width") or max(lengths, default=0))
        pixels = height * width * channels
        patch = getattr(config, "patch_size", None)
        down, across = pair(patch) if patch else (1, 1)
        wide = getattr(config, "hidden_size", 0)
        tokens = (height // down) * (width // across) * (wide if isinstance(wide, int) else 0) if patch else 0
        # As bytes, as floats of two kinds, and what a layer makes of the tokens: queries, keys, values, what it adds.
        refuse_beyond_memory(
            f"{name}: the processor's size {size} needs for one image",
            pixels * (1 + 3 * FLOAT) + 6 * FLOAT * tokens,
            "correct it in preprocessor_config.json.",
        )


def refuse_other_grid(size: Mapping[str, Any], config: Any, name: str) -> None:
    """Raises: UserError for images that are not made of whole patches, where the model takes no others."""
    family = find_family(config.model_type)
    if family is None or check_patch_grid not in family.checks or not (size.get("height") and size.get("width")):
        return
    try:
        whole_or_cut: Any = getattr(config, "partial_patches", "refuse")
        grid_of([size["height"], size["width"]], config.patch_size, whole_or_cut)
    except UserError as error:
        raise UserError(f"{name}: the processor's size {dict(size)} is no grid of patches: {error}") from error
