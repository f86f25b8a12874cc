"""Any classifier of images or videos with its processor, from a folder or the Hub, or a sentence that says why not."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForVideoClassification
from transformers.models.auto.image_processing_auto import AutoImageProcessor  # the name that never needs torchvision

from ..conversion.hub import FACTS, fetch
from ..conversion.preprocessing import processor_from_json
from .refusals import refuse_unsafe

MODEL = [*FACTS, "model.safetensors", "model-*.safetensors"]
CODE = ["*.py"]


def model_folder(name: str, *, code: bool = False) -> Path:
    """A folder as it is; of an id on the Hub, owner/name or owner/name@revision, the model's files in the cache.

    code: whether to fetch the code that lies beside the weights too.

    Raises: ValueError for what cannot be fetched, and for files in the cache that are damaged.
    """
    if Path(name).is_dir():
        return Path(name)
    return fetch(name, MODEL + CODE if code else MODEL)


def refuse_strange_folder(name: str) -> None:
    """A folder without a model in it, before transformers asks the Hub for it."""
    folder = Path(name)
    if folder.is_file():
        raise ValueError(f"{name} is a file; give the folder it lies in, with config.json and model.safetensors.")
    if folder.is_dir() and not (folder / "config.json").is_file():
        inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
        raise ValueError(
            f"The folder {name} is no model: it has no config.json (in it: {inside}). "
            "Give the output folder of a training, or the id of a model on the Hub."
        )


def load_classifier(name: str, *, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """-> model and processor, of a folder or of an id on the Hub, owner/name or owner/name@revision.

    Raises: ValueError for a folder that is no model, a repository that cannot be fetched or is not safe to load, or
    weights that are damaged or of another architecture.
    """
    refuse_strange_folder(name)
    folder = model_folder(name, code=trust_remote_code)
    refuse_strange_folder(str(folder))
    refuse_unsafe(folder, name, trust_remote_code=trust_remote_code)
    trust = {"trust_remote_code": trust_remote_code}
    try:
        clips = takes_clips(AutoConfig.from_pretrained(folder, **trust))
        auto = AutoModelForVideoClassification if clips else AutoModelForImageClassification
        model = auto.from_pretrained(folder, use_safetensors=True, **trust)
        # transformers' own processors of videos need torchvision.
        processor = (
            processor_from_json(folder, model.config) if clips else AutoImageProcessor.from_pretrained(folder, **trust)
        )
    except SafetensorError as error:
        raise ValueError(
            f"The weights of {name} are damaged ({error}); copy or download model.safetensors again."
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"{name} cannot be loaded as a classifier: {error}") from error
    if processor is None:
        raise ValueError(f"{name} has no preprocessor_config.json that says how its videos are prepared.")
    return model, processor


def takes_clips(config: Any) -> bool:
    """Whether a configuration, of whatever library, is of a classifier of videos."""
    return "ForVideoClassification" in " ".join(
        [*(config.architectures or []), *(getattr(config, "auto_map", {}) or {})]
    )


def channels_of(model: Any) -> int:
    return getattr(model.config, "num_channels", None) or 3


def label_names_of(model: Any) -> list[str]:
    return [model.config.id2label[index] for index in range(model.config.num_labels)]
