"""What is in an image or a video: the most probable labels, for files and folders of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.batches.dataset import Views, seen_by
from ..data.batches.views import ImageViews
from ..data.decode.files import MAX_PIXELS, Reading, UnreadableImage, with_channels
from ..data.decode.images import as_image, open_picture
from ..data.decode.preparation import range_of
from ..data.sources.folders import items_under
from ..errors import UserError
from ..fewer_tokens.put_on import merge_tokens
from ..modality import IMAGE, Modality, modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..training.calibration import MULTI_LABEL
from .evaluate import device_of_choice, mean_of_views, refuse_broken_answers


@dataclass(frozen=True)
class Predictions:
    """results: {"image" or "video": path, "predictions": [{"label", "probability"}, ...]} of each that could be read,
    best label first (of several labels those that it has, of numbers {"label", "value"}).
    unreadable: a line for each of the others. files: how many there were."""

    modality: Modality
    results: list[dict[str, Any]]
    unreadable: list[str]
    files: int


def predict(
    model_name: str,
    files: Sequence[str | Path],
    *,
    top: int = 3,
    views: str | None = None,
    tta: str | None = None,
    batch_size: int = 64,
    max_pixels: int | None = None,
    token_merging: int | str | None = None,
    trust_remote_code: bool = False,
) -> Predictions:
    """Name what is in files of images or videos, folders of them, or (of videos) folders of frames.

    model_name: the output folder of a training, or an id on the Hub. views: of each video, as "3x3", clips and crops.
    tta: of each image, "flip", "crops", "flip,crops" or a number of views, whose probabilities are averaged.
    max_pixels: of larger images not one is read; None: as many as Pillow reads.
    token_merging: tokens that each layer of a Vision Transformer merges, "13" or one for each, as "16,16,8".

    Raises: UserError for a model that cannot be loaded and files that are not there.
    """
    refuse_missing(files)
    model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
    if token_merging is not None:
        merge_tokens(model, token_merging)
    modality = modality_of(model.config)
    each = modality.views(views, tta)
    paths = find_images(files, modality, getattr(processor, "frames", None))
    answer = modality.predictor(model.to(device_of_choice()).eval(), processor, each, max_pixels)
    names = label_names_of(model)
    results, unreadable = [], []
    for some in batches(paths, batch_size):
        readable, found, lines = read_some(some, answer.read)
        unreadable += lines
        if found:
            logits = answer(found)
            refuse_broken_answers(logits, readable)
            for path, row in zip(readable, logits, strict=True):
                results.append({modality.noun: str(path), "predictions": answers_of(row, names, model.config, top)})
    return Predictions(modality, results, unreadable, len(paths))


def refuse_missing(given: Sequence[str | Path]) -> None:
    """Before a model is loaded, which takes longer."""
    for name in given:
        if not Path(name).expanduser().exists():
            raise UserError(f"There is no file or folder {name}.")


def find_images(given: Sequence[str | Path], modality: Modality = IMAGE, frames: str | None = None) -> list[Path]:
    """Images or videos as they are, folders as all the visible ones in them."""
    found: list[Path] = []
    for name in given:
        path = Path(name).expanduser()
        if modality.is_item(path) and not (frames and path.is_dir()):
            found.append(path)
            continue
        inside = [Path(file) for file in items_under(path, modality, frames)]
        if not inside:
            raise UserError(f"The folder {path} is empty.")
        found += inside
    return found


def batches(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


@torch.inference_mode()
def logits_of(model: Any, pixels: Tensor) -> Tensor:
    """b (t) c h w, as the model takes them -> b labels"""
    return model(pixel_values=pixels.to(model.device)).logits.float().cpu()


def answers_of(logits: Tensor, names: Sequence[str], config: Any, top: int) -> list[dict[str, Any]]:
    """labels -> the most probable classes; of several labels those that reach their thresholds; or numbers"""
    if config.problem_type == "regression":
        return [
            {"label": name, "value": float(f"{value:.7g}")} for name, value in zip(names, logits.tolist(), strict=True)
        ]
    if config.problem_type != MULTI_LABEL:
        return best_labels(logits.softmax(-1), names, top)
    shares = logits.sigmoid()
    thresholds = torch.tensor(getattr(config, "thresholds", None) or [0.5] * len(names))
    reached = [names[index] for index in (shares >= thresholds).nonzero()[:, 0].tolist()]
    return [one for one in best_labels(shares, names, len(names)) if one["label"] in reached]


def best_labels(probabilities: Tensor, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """labels -> the `top` most probable, best first"""
    best = probabilities.topk(min(top, len(names)))
    return [
        {"label": names[index], "probability": round(share, 6)}
        for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


class ImagePredictor:
    """Files -> logits, as the model's own processor prepares images."""

    def __init__(self, model: Any, processor: Any, max_pixels: int | None = None):
        self.model, self.processor = model, processor
        self.reading = Reading(pixel_range=range_of(processor), max_pixels=max_pixels or MAX_PIXELS)

    def read(self, source: Path | bytes, name: str | None = None) -> Any:
        return as_image(open_picture(source, name or str(source), self.reading).pixels(channels_of(self.model.config)))

    def prepare(self, images: Sequence[Any]) -> Tensor:
        """-> b c h w, as the model takes them"""
        colored = [with_channels(image, channels_of(self.model.config)) for image in images]
        return self.processor(colored, return_tensors="pt")["pixel_values"]

    def answer(self, pixels: Tensor) -> Tensor:
        """b c h w -> b labels"""
        return logits_of(self.model, pixels)

    def __call__(self, images: Sequence[Any]) -> Tensor:
        """-> b labels"""
        return self.answer(self.prepare(images))


class ViewsPredictor:
    """The same of several views of each image or video: the mean over them."""

    def __init__(
        self, modality: Modality, model: Any, processor: Any, views: Views | ImageViews, max_pixels: int | None = None
    ):
        self.modality, self.model, self.views = modality, model, views
        self.preparation: Any = modality.preparation(processor, channels_of(model.config))
        self.reading = Reading(pixel_range=self.preparation.pixel_range, max_pixels=max_pixels or MAX_PIXELS)
        self.reading = replace(self.reading, frames=getattr(processor, "frames", None))

    def read(self, source: Path | bytes, name: str | None = None) -> Tensor:
        """-> v (t) c h w, bytes"""
        return seen_by(self.views, self.preparation, self.modality.open(source, name or str(source), self.reading))

    def prepare(self, items: Sequence[Tensor]) -> Tensor:
        """v (t) c h w, several times -> (b v) (t) c h w, as the model takes them"""
        return self.preparation.normalize_(torch.cat([*items]).float().div_(255))

    def answer(self, pixels: Tensor) -> Tensor:
        """(b v) (t) c h w -> b labels"""
        return mean_of_views(logits_of(self.model, pixels), self.views.count, self.model.config.problem_type)

    def __call__(self, items: Sequence[Tensor]) -> Tensor:
        """v (t) c h w, several times -> b labels"""
        return self.answer(self.prepare(items))


def read_some(paths: Sequence[Path], read: Callable[[Path], Any]) -> tuple[list[Path], list[Any], list[str]]:
    """-> the readable ones, what is read of them, and a line for each of the others"""
    readable, found, unreadable = [], [], []
    for path in paths:
        try:
            found.append(read(path))
            readable.append(path)
        except UnreadableImage as error:
            unreadable.append(str(error))
    return readable, found, unreadable
