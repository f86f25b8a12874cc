"""PEFT adapters beside a model, or alone with the name of the model that they belong to."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from transformers.utils import CONFIG_NAME
from transformers.utils.import_utils import is_peft_available
from transformers.utils.peft_utils import find_adapter_config_file

from ..errors import UserError, first_few

# What a base model is read with, whose folder may hold an adapter that is to come later.
WITHOUT_ADAPTER = {"subfolder": "without an adapter"}


class PeftAdapter(NamedTuple):
    """source: its folder or id. name: what the model calls it. where: how it is fetched, as `from_pretrained` says."""

    source: Any
    name: str
    where: dict[str, Any]


def adapter_of(source: Any, where: dict[str, Any], kwargs: dict[str, Any]) -> tuple[PeftAdapter | None, Any, dict]:
    """-> the adapter in `source` or that an Auto class found, its base model (else `source`), and the other arguments.

    Raises: UserError for an adapter alone where PEFT is not installed.
    """
    kwargs = dict(kwargs)
    given = dict(kwargs.pop("adapter_kwargs", None) or {})
    found, name = given.pop("_adapter_model_path", None), kwargs.pop("adapter_name", "default")
    where = {**where, **given}
    if found is not None:
        return PeftAdapter(found, name, where), source, kwargs
    file = find_adapter_config_file(str(source), **where)
    if file is None or (not is_peft_available() and (Path(source) / CONFIG_NAME).is_file()):
        return None, source, kwargs
    if not is_peft_available():
        raise UserError(f"{source} holds a PEFT adapter, which needs PEFT: pip install peft.")
    base = source if (Path(source) / CONFIG_NAME).is_file() else base_model_of(Path(file), source)
    return PeftAdapter(source, name, where), base, kwargs


def base_model_of(file: Path, source: Any) -> str:
    base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise UserError(
            f"{source} holds a PEFT adapter that does not say which model it belongs to (base_model_name_or_path in "
            "adapter_config.json); load that model, then call load_adapter."
        )
    return base


def attach(model: Any, adapter: PeftAdapter, **reading: Any) -> dict[str, Any]:
    """Load the adapter into the model, and give transformers' account of its keys. reading: how files are read.

    Raises: UserError for an adapter of another model.
    """
    reading |= {"dtype": model.dtype, "hf_quantizer": getattr(model, "hf_quantizer", None)}
    try:
        found = model.load_adapter(adapter.source, adapter.name, adapter_kwargs=adapter.where, **reading)
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        raise UserError(
            f"The adapter in {adapter.source} holds weights of other sizes than its model, as the log says; where its "
            "classifier is for other labels, load it with their num_labels or id2label."
        ) from error
    info = found.to_dict()
    if strange := sorted({*info["missing_keys"], *info["unexpected_keys"]}):
        raise UserError(
            f"The adapter in {adapter.source} is not one of a {type(model).__name__}: {first_few(strange)} do not fit."
        )
    return info
