"""An exported folder as a classifier: it is called, and answers, as a PyTorch model does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.modeling_outputs import ImageClassifierOutput

from ..errors import UserError, first_line
from ..files import read_json
from ..modality import modality_of
from ..training.calibration import MULTI_LABEL
from .runtimes import EXPORT, RUNTIMES, open_file


class Pictures(list[np.ndarray]):
    """h w c, bytes, of whatever sizes: what a graph prepares itself."""

    def to(self, device: Any) -> "Pictures":
        return self


class PictureProcessor:
    """Leaves all to the graph. saved: the processor whose work that does."""

    def __init__(self, saved: Any):
        self.saved = saved

    def __call__(self, images: Sequence[Any], return_tensors: str | None = None) -> dict[str, Pictures]:
        shown = (np.asarray(image) for image in images)
        return {"pixel_values": Pictures(image if image.ndim == 3 else image[..., None] for image in shown)}


class ExportedClassifier:
    """What lies in an exported folder, on whatever its runtime runs. record: what export.json says."""

    device = torch.device("cpu")

    def __init__(self, folder: Path, config: Any, record: dict[str, Any]):
        self.config, self.record = config, record
        self.run = open_file(folder, record["file"], record["runtime"])

    def eval(self) -> "ExportedClassifier":
        return self

    def to(self, *where: Any) -> "ExportedClassifier":
        return self

    def __call__(self, pixel_values: Tensor | Pictures) -> ImageClassifierOutput:
        """b (t) c h w, or pictures where the graph prepares them -> logits b labels; of probabilities those that would
        give them."""
        if isinstance(pixel_values, Pictures):
            answers = torch.stack([torch.from_numpy(self.answer(picture)) for picture in pixel_values])
            return ImageClassifierOutput(logits=logits_of_answers(answers, self.config.problem_type))
        given = np.ascontiguousarray(pixel_values.float().cpu().numpy())
        return ImageClassifierOutput(logits=torch.from_numpy(self.run(given)[0]).float())

    def answer(self, picture: np.ndarray) -> np.ndarray:
        """h w c, bytes -> labels"""
        return self.run(picture[None])[0][0] if self.record.get("batched") else self.run(picture)[0]


def logits_of_answers(answers: Tensor, problem_type: str | None) -> Any:
    """b labels -> b labels: `probabilities_of`, turned round"""
    if problem_type == "regression":
        return answers
    return answers.logit(1e-7) if problem_type == MULTI_LABEL else answers.clamp(min=1e-30).log()


def is_exported(folder: Path) -> bool:
    return (folder / EXPORT).is_file()


def load_exported(folder: Path) -> tuple[ExportedClassifier, Any]:
    """-> classifier and processor. Raises: UserError for a runtime that is not installed, and damaged files."""
    record = read_json(folder / EXPORT)
    missing = [name for name in ("runtime", "file", "preprocessing") if name not in record]
    if missing or record["runtime"] not in RUNTIMES:
        wrong = f"has no {missing[0]}" if missing else f"names the runtime {record['runtime']!r}"
        raise UserError(f"{folder / EXPORT} {wrong}; export the model again.")
    file = folder / str(record["file"])
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{folder} has no file {record['file']}, which {EXPORT} names; export the model again.")
    try:
        config = AutoConfig.from_pretrained(folder)
        model = ExportedClassifier(folder, config, record)
    except ImportError as error:
        raise UserError(
            f"{folder} runs on {record['runtime']}, which is not installed ({first_line(error)}); "
            f"pip install {record['runtime']}."
        ) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{file} cannot be loaded ({first_line(error)}); export the model again.") from error
    processor = modality_of(config).load_processor(folder, config, trust_remote_code=False)
    if processor is None:
        raise UserError(f"{folder} has no preprocessor_config.json; export the model again.")
    return model, PictureProcessor(processor) if record["preprocessing"] else processor
