"""The numbers of a configuration, held against the header of the weights before anything is built."""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..errors import UserError, first_few
from ..files import places_of_tensors, read_json
from ..memory import refuse_beyond_memory
from ..models.shapes import pair

Shapes = Mapping[str, tuple[int, ...]]
# What there is a tensor of at least for each one, and what is a side of one. Left out are widths: of what is in the
# file, but in another shape, nothing is made.
LAYERS, WIDTHS = ("num_hidden_layers", "depths"), ("num_labels", "num_register_tokens")
FLOAT = 4  # bytes
VAST = 10_000  # as a size or a count


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]] | None:
    """Of all tensors in a folder's safetensors; None where there are none that can be read, which their reader says."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        try:
            with safe_open(str(path), framework="pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):
            return None
    return found or None


def refuse_unlike(config: Mapping[str, Any], shapes: Shapes, where: str) -> None:
    """where: the folder. Raises: UserError for more layers than there are tensors, or more labels than numbers."""
    tensors, numbers = len(shapes), sum(prod(shape) for shape in shapes.values())
    for name, most, words in [
        *((name, tensors, f"only {tensors:,} tensors") for name in LAYERS),
        *((name, numbers, f"only {numbers:,} numbers") for name in WIDTHS),
    ]:
        value = config.get(name)
        total = sum(value) if isinstance(value, list | tuple) and all(isinstance(one, int) for one in value) else value
        if isinstance(total, int) and total > most:
            raise UserError(
                f"{where}: config.json says {name}={value}, and the weights beside it hold {words}; the two are not of "
                "one model. Copy or download them again."
            )


def refuse_other_numbers(folder: Path) -> None:
    """As `refuse_unlike`, where a folder holds both; what cannot be read is told by who needs it."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, UserError):
        return
    index = folder / "model.safetensors.index.json"
    if index.is_file() and places_of_tensors(index) and not isinstance(read_json(index).get("metadata"), dict):
        raise UserError(f"{index} has no metadata, without which transformers does not read it; copy it again.")
    if (shapes := shapes_in(folder)) is not None:
        refuse_unlike(config, shapes, str(folder))


def refuse_vast_grid(config: Any) -> None:
    """Of positions that are made, and not in the file; of pixels and tokens of one image. Raises: UserError."""
    size, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    if size is None or patch is None:
        return
    (height, width), (down, across) = pair(size), pair(patch)
    channels = getattr(config, "num_channels", None) or 3
    pixels = height * width * channels
    tokens = (height // max(1, down)) * (width // max(1, across))
    each = getattr(config, "hidden_size", 0) if isinstance(getattr(config, "hidden_size", 0), int) else 0
    frames = getattr(config, "num_frames", None) or 1
    needed = FLOAT * frames * (pixels + tokens * each)
    what = f"image_size={size} (num_channels={channels}, hidden_size={each}) needs for one"
    refuse_beyond_memory(f"{what} {'clip' if frames > 1 else 'image'}", needed, "take smaller ones.")


def uncounted(config: Any) -> str:
    """A sentence on sizes whose product is beyond what torch counts."""
    vast = [f"{name}={value}" for name, value in config.to_dict().items() if max(numbers_in(value), default=0) > VAST]
    named = f" ({', '.join(vast)})" if vast else ""
    return f"By its sizes{named} the model would have tensors of more numbers than torch counts; take smaller ones."


def numbers_in(value: Any) -> list[float]:
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, int | float)]


def is_beyond_torch(error: Exception) -> bool:
    """Whether sizes that are fine by themselves were multiplied to more than 64 bits hold."""
    return "overflow" in str(error).lower()


def refuse_vast_model(model_class: Any, config: Any) -> None:
    """Of a new model, whose numbers are all made.

    Raises: UserError that names its largest tensors.
    """
    refuse_vast_grid(config)
    try:
        with torch.device("meta"):
            sizes = {name: tensor.numel() for name, tensor in model_class(config).state_dict().items()}
    except (RuntimeError, TypeError) as error:
        if not is_beyond_torch(error):
            raise
        raise UserError(uncounted(config)) from error
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    refuse_beyond_memory(
        f"A model of {sum(sizes.values()):,} parameters (most of them in {first_few(largest)}) needs",
        FLOAT * sum(sizes.values()),
        "take a smaller one.",
    )


def mismatch(model_class: Any, config: Any, shapes: Shapes | None, source: Any) -> str:
    """A sentence on weights that are not of the configuration beside them."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in model_class(config).state_dict().items()}
    differing = [
        f"{name} is {by(shapes[name])} and not {by(shape)}"
        for name, shape in wanted.items()
        if shapes and name in shapes and shapes[name] != shape
    ]
    listed = f": {first_few(differing, 3)}" if differing else ""
    return (
        f"The weights in {source} are not of the sizes that its configuration says{listed}. Copy or download both "
        "again; or correct what was changed by hand in config.json."
    )


def by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"
