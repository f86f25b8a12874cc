"""Any classifier of images or videos with its processor, from a folder or the Hub, or a sentence that says why not."""

from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError
from transformers import AutoConfig

from ..errors import UserError
from ..exporting.exported import is_exported, load_exported
from ..finished_folder import move_in
from ..hub.download import FACTS, fetch
from ..hub.safety import refuse_unsafe
from ..hub.saved_files import READING_FAILS, refuse_unfit_processor, refuse_wrong_files, told
from ..modality import modality_of

MODEL = [*FACTS, "model.safetensors", "model-*.safetensors"]
CODE = ["*.py"]


def model_folder(name: str, *, code: bool = False) -> Path:
    """A folder as it is; of an id on the Hub, owner/name or owner/name@revision, the model's files in the cache.

    code: whether to fetch the code that lies beside the weights too.

    Raises: UserError for what cannot be fetched, and for files in the cache that are damaged.
    """
    if Path(name).is_dir():
        return Path(name)
    return fetch(name, MODEL + CODE if code else MODEL)


def refuse_strange_folder(name: str) -> None:
    """A folder without a model in it, before transformers asks the Hub for it."""
    folder = Path(name)
    if folder.is_file():
        raise UserError(f"{name} is a file; give the folder it lies in, with config.json and model.safetensors.")
    if folder.is_dir() and not (folder / "config.json").is_file():
        inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
        raise UserError(
            f"The folder {name} is no model: it has no config.json (in it: {inside}). "
            "Give the output folder of a training, or the id of a model on the Hub."
        )


def load_classifier(name: str, *, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """-> model and processor, of a folder or of an id on the Hub, owner/name or owner/name@revision; of an exported
    folder what answers in their place (see exporting/exported.py).

    Raises: UserError for a folder that is no model, a repository that cannot be fetched or is not safe to load, or
    weights that are damaged or of another architecture.
    """
    if Path(name).is_dir():
        move_in(Path(name))
        if is_exported(Path(name)):
            return load_exported(Path(name))
    refuse_strange_folder(name)
    folder = model_folder(name, code=trust_remote_code)
    refuse_strange_folder(str(folder))
    refuse_wrong_files(folder, name)
    refuse_unsafe(folder, name, trust_remote_code=trust_remote_code)
    try:
        modality = modality_of(AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code))
        auto = getattr(transformers, modality.auto_classifier)
        model = auto.from_pretrained(folder, use_safetensors=True, trust_remote_code=trust_remote_code)
        processor = modality.load_processor(folder, model.config, trust_remote_code=trust_remote_code)
    except SafetensorError as error:
        raise UserError(
            f"The weights of {name} are damaged ({error}); copy or download model.safetensors again."
        ) from error
    except READING_FAILS as error:
        raise UserError(f"{name} cannot be loaded as a classifier: {told(error)}") from error
    if processor is None:
        raise UserError(f"{name} has no preprocessor_config.json that says how its {modality.plural} are prepared.")
    refuse_unfit_processor(processor, model.config, name)
    refuse_unfit_thresholds(model.config, name)
    return model, processor


def refuse_unfit_thresholds(config: Any, name: str) -> None:
    thresholds = getattr(config, "thresholds", None)
    if thresholds is not None and (not isinstance(thresholds, list) or len(thresholds) != config.num_labels):
        raise UserError(
            f"{name}: config.json says thresholds={thresholds}, and there are {config.num_labels} labels; leave the "
            "thresholds out, which makes them 0.5, or correct them."
        )


def channels_of(config: Any) -> int:
    return getattr(config, "num_channels", None) or 3


def label_names_of(model: Any) -> list[str]:
    """Raises: UserError where a number has no name."""
    names = model.config.id2label
    if missing := [index for index in range(model.config.num_labels) if index not in names]:
        raise UserError(
            f"id2label in config.json names {len(names)} labels, and none of them is number {missing[0]}; count them "
            "from 0 on."
        )
    return [names[index] for index in range(model.config.num_labels)]
