"""What every config.json and preprocessor_config.json may hold, whoever wrote it: kinds and bounds of the fields that
transformers reads without a look at them.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch

from ..errors import UserError, unknown_name

# More labels than any data set has, and deeper than any model; names are made up for each of them.
MOST_LABELS, MOST_LAYERS = 5_000_000, 1_000
PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")
NEVER_NULL = ("auto_map",)  # in which transformers looks for names wherever there is one
COPY_AGAIN = "copy, download or save it again."

Check = Callable[[Any], str | None]  # a value -> what it has to be, where it is not


def a_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def true_or_false(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def list_of_texts(value: Any) -> str | None:
    of_texts = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return None if of_texts else "a list of texts"


def names_of_code(value: Any) -> str | None:
    """Of a processor there may be two classes, of which one may be missing."""
    codes = value.values() if isinstance(value, Mapping) else [None]
    named = all(
        isinstance(code, str) or (isinstance(code, list | tuple) and all(isinstance(one, str | None) for one in code))
        for code in codes
    )
    return None if named else "a table of the names of classes"


def texts_by_name(value: Any) -> str | None:
    texts = isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values())
    return None if texts else "a table of texts"


def numbered_names(value: Any) -> str | None:
    keys = value if isinstance(value, Mapping) else [None]
    whole = all(is_whole(key) or (isinstance(key, str) and key.isdecimal()) for key in keys)
    return None if whole else 'a table from numbers to names, as {"0": "cat", "1": "dog"}'


def numbers_by_name(value: Any) -> str | None:
    """Written as texts too, as older tools did."""
    numbers = value.values() if isinstance(value, Mapping) else [None]
    whole = all(is_whole(one) or (isinstance(one, str) and one.isdecimal()) for one in numbers)
    return None if whole else 'a table from names to numbers, as {"cat": 0, "dog": 1}'


def whole_numbers(value: Any) -> str | None:
    of_numbers = isinstance(value, list | tuple) and all(is_whole(one) for one in value)
    return None if of_numbers else "a list of whole numbers"


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def counted_to(most: int) -> Check:
    def check(value: Any) -> str | None:
        return None if is_whole(value) and 0 <= value <= most else f"a whole number from 0 to {most:,}"

    return check


def layers(value: Any) -> str | None:
    """Too few are told with what else a model cannot be built from."""
    return None if is_whole(value) and value <= MOST_LAYERS else f"a whole number, and no more than {MOST_LAYERS:,}"


def layers_of_stages(value: Any) -> str | None:
    total = sum(value) if isinstance(value, list | tuple) and all(is_whole(one) for one in value) else 0
    return None if total <= MOST_LAYERS else f"of no more than {MOST_LAYERS:,} layers together"


def floating_dtype(value: Any) -> str | None:
    """Of the whole model, or of each part of a composite one."""
    return None if isinstance(value, Mapping) else one_dtype(value)


def one_dtype(value: Any) -> str | None:
    if isinstance(value, torch.dtype) or value == "auto":
        return None
    named = getattr(torch, value, None) if isinstance(value, str) else None
    floats = isinstance(named, torch.dtype) and named.is_floating_point
    return None if floats else "the name of a floating dtype of torch, such as float32 or bfloat16"


def kind_of_problem(value: Any) -> str | None:
    return None if value in PROBLEMS else f"one of {', '.join(PROBLEMS)}"


def is_finite_number(value: Any) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def above_zero(value: Any) -> str | None:
    return None if is_finite_number(value) and value > 0 else "a number greater than 0"


def numbers(words: str, least: float = -math.inf) -> Check:
    """Of one number, or several."""

    def check(value: Any) -> str | None:
        values: list[Any] = list(value) if isinstance(value, list | tuple) and value else [value]
        return None if all(is_finite_number(one) and one > least for one in values) else words

    return check


def sides_in_pixels(value: Any) -> str | None:
    """transformers' words for sizes, whichever; or, in old files, one number or two."""
    named = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    lengths = [one for one in named if one is not None]
    whole = all(is_whole(one) and one > 0 for one in lengths)
    return None if whole else 'a table of pixels greater than 0, as {"height": 224, "width": 224}'


def pillows_filter(value: Any) -> str | None:
    return None if is_whole(value) and 0 <= value < 6 else "a number from 0 to 5, as Pillow counts its filters"


CONFIG_KINDS: dict[str, Check] = {
    "model_type": a_text,
    "architectures": list_of_texts,
    "auto_map": names_of_code,
    "id2label": numbered_names,
    "label2id": numbers_by_name,
    "out_features": list_of_texts,
    "out_indices": whole_numbers,
    "num_labels": counted_to(MOST_LABELS),
    "num_hidden_layers": layers,
    "depths": layers_of_stages,
    "dtype": floating_dtype,
    "torch_dtype": floating_dtype,
    "problem_type": kind_of_problem,
    "transformers_weights": a_text,
    "thresholds": numbers("a number for each label"),
}
OWN_KINDS: dict[str, Check] = {**CONFIG_KINDS, "auto_map": texts_by_name, "dtype": one_dtype, "torch_dtype": one_dtype}
PROCESSOR_KINDS: dict[str, Check] = {
    "image_processor_type": a_text,
    "video_processor_type": a_text,
    "auto_map": names_of_code,
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"), true_or_false),
    "size": sides_in_pixels,
    "crop_size": sides_in_pixels,
    "resample": pillows_filter,
    "rescale_factor": above_zero,
    "image_mean": numbers("a number for each channel"),
    "image_std": numbers("a number greater than 0 for each channel, by which pixels are divided", least=0),
}


def refuse_wrong_kinds(content: Mapping[str, Any], kinds: Mapping[str, Check], where: str = "") -> None:
    """where: the file, in the error. Raises: UserError for the first field that holds what it cannot."""
    for name, check in kinds.items():
        value = content.get(name)
        unsaid = value is None and not (name in NEVER_NULL and name in content)
        if not unsaid and (wanted := check(value)) is not None:
            shown = repr(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            way_out = "leave it out, or correct it." if not where else f"correct it, or {COPY_AGAIN}"
            raise UserError(f"{f'{where}: ' if where else ''}{name}={shown} has to be {wanted}; {way_out}")


def refuse_vast_number(name: str, value: Any) -> None:
    """Of a size, a count, a ratio or a list of them. Raises: UserError for one beyond what torch counts in."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if is_finite_number(one) and not -(2**31) < one < 2**31:
            raise UserError(f"{name}={value} is more than anything here has; correct it, or leave it out.")


def refuse_unknown_quantization(content: Mapping[str, Any], where: str = "") -> None:
    """Weights that are quantized in an unknown way would be read as the plain numbers that they are not.

    Raises: UserError that lists the ways that transformers knows.
    """
    said = content.get("quantization_config")
    if said is None or hasattr(said, "to_dict"):
        return
    before = f"{where}: " if where else ""
    way_out = "Leave the field out where the weights are plain numbers."
    method = said.get("quant_method") if isinstance(said, Mapping) else None
    if not isinstance(method, str):
        raise UserError(f"{before}quantization_config={said!r} has to be a table with a quant_method. {way_out}")
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as KNOWN

    if method not in KNOWN and method != "bitsandbytes":
        raise UserError(f"{before}{unknown_name('quantization', method, KNOWN)} {way_out}")
