"""What is in an image or a video: the most probable labels, for files and folders of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.batches.dataset import Views, seen_by
from ..data.decode.images import UnreadableImage, read_image, with_channels
from ..data.decode.preparation import preparation_for
from ..data.decode.videos import open_footage
from ..data.sources.folders import files_under, holds_frames, videos_under
from ..errors import UserError
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier, takes_clips
from .evaluate import device_of_choice, mean_of_views, views_of


@dataclass(frozen=True)
class Predictions:
    """thing: "image" or "video". results: {thing: path, "predictions": [{"label", "probability"}, ...]} of each that
    could be read, best label first; unreadable: a line for each of the others; files: how many there were."""

    thing: str
    results: list[dict[str, Any]]
    unreadable: list[str]
    files: int


def predict(
    model_name: str,
    files: Sequence[str | Path],
    *,
    top: int = 3,
    views: str | None = None,
    batch_size: int = 64,
    trust_remote_code: bool = False,
) -> Predictions:
    """Name what is in files of images or videos, folders of them, or (of videos) folders of frames.

    model_name: the output folder of a training, or an id on the Hub. views: of each video, as "3x3", clips and crops.

    Raises: UserError for a model that cannot be loaded and files that are not there.
    """
    refuse_missing(files)
    model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
    clips = takes_clips(model.config)
    each = views_of(views, clips=clips)
    paths = find_images(files, clips=clips)
    model = model.to(device_of_choice()).eval()
    answer = Videos(model, processor, each) if clips else Images(model, processor)
    names, thing = label_names_of(model), "video" if clips else "image"
    results, unreadable = [], []
    for some in batches(paths, batch_size):
        readable, found, lines = read_some(some, answer.read)
        unreadable += lines
        if found:
            for path, row in zip(readable, answer(found), strict=True):
                results.append({thing: str(path), "predictions": best_labels(row, names, top)})
    return Predictions(thing, results, unreadable, len(paths))


def refuse_missing(given: Sequence[str | Path]) -> None:
    """Before a model is loaded, which takes longer."""
    for name in given:
        if not Path(name).expanduser().exists():
            raise UserError(f"There is no file or folder {name}.")


def find_images(given: Sequence[str | Path], *, clips: bool = False) -> list[Path]:
    """Files as they are, folders as all the visible files in them.

    clips: as videos; then a folder of images alone is one video.
    """
    found: list[Path] = []
    for name in given:
        path = Path(name).expanduser()
        if not path.is_dir() or (clips and holds_frames(path)):
            found.append(path)
            continue
        inside = [Path(file) for file in (videos_under if clips else files_under)(path)]
        if not inside:
            raise UserError(f"The folder {path} is empty.")
        found += inside
    return found


def batches(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


@torch.inference_mode()
def probabilities_of(model: Any, processor: Any, images: Sequence[Any]) -> Tensor:
    """-> b labels"""
    pixels = processor([with_channels(image, channels_of(model)) for image in images], return_tensors="pt")
    return model(pixel_values=pixels["pixel_values"].to(model.device)).logits.float().softmax(-1).cpu()


def best_labels(probabilities: Tensor, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """labels -> the `top` most probable, best first"""
    best = probabilities.topk(min(top, len(names)))
    return [
        {"label": names[index], "probability": round(share, 6)}
        for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


class Images:
    """Files -> probabilities, as the model's own processor prepares images."""

    def __init__(self, model: Any, processor: Any):
        self.model, self.processor = model, processor

    def read(self, path: Path) -> Any:
        return read_image(path, str(path))

    def __call__(self, images: Sequence[Any]) -> Tensor:
        """-> b labels"""
        return probabilities_of(self.model, self.processor, images)


class Videos:
    """The same of videos: the mean over their views."""

    def __init__(self, model: Any, processor: Any, views: Views):
        self.model, self.views = model, views
        self.preparation: Any = preparation_for(processor, channels_of(model))

    def read(self, path: Path) -> Tensor:
        """-> v t c h w, bytes"""
        return seen_by(self.views, self.preparation, open_footage(path, str(path)))

    @torch.inference_mode()
    def __call__(self, videos: Sequence[Tensor]) -> Tensor:
        """v t c h w, several times -> b labels"""
        pixels = self.preparation.normalize_(torch.cat([*videos]).float().div_(255))
        logits = self.model(pixel_values=pixels.to(self.model.device)).logits.float().cpu()
        return mean_of_views(logits, self.views.count).softmax(-1)


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
