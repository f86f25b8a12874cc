"""What is in an image or a video: the most probable labels, for files and folders of them."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.batches.dataset import Views, seen_by
from ..data.batches.unreadable import describe_unreadable
from ..data.decode.images import UnreadableImage, read_image, with_channels
from ..data.sources.folders import items_under
from ..errors import UserError
from ..modality import IMAGE, VIDEO, Modality, modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..runs.report import table
from ..training.inference import device_of_choice, mean_of_views
from .cli import FAILED, guarded, parser, words_of

EXAMPLES = """\
  {program} outputs/digits outputs/digits/examples
  {program} google/vit-base-patch16-224 holiday.jpg photos/ --top 5 --json > labels.json
  {program} outputs/videos wave.mp4 frames_of_a_video/ --views 3x3

A file that cannot be read is named and counted, and makes the exit status 1, unless --on-error skip is given.
"""


def refuse_missing(given: Sequence[str]) -> None:
    """Before a model is loaded, which takes longer."""
    for name in given:
        if not Path(name).expanduser().exists():
            raise UserError(f"There is no file or folder {name}.")


def find_images(given: Sequence[str], modality: Modality = IMAGE) -> list[Path]:
    """Images or videos as they are, folders as all the visible ones in them."""
    found: list[Path] = []
    for name in given:
        path = Path(name).expanduser()
        if modality.is_item(path):
            found.append(path)
            continue
        inside = [Path(file) for file in items_under(path, modality)]
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
        self.preparation: Any = VIDEO.preparation(processor, channels_of(model))

    def read(self, path: Path) -> Tensor:
        """-> v t c h w, bytes"""
        return seen_by(self.views, self.preparation, VIDEO.open(path, str(path)))

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


def predict(given: Any) -> int:
    refuse_missing(given.images)
    model, processor = load_classifier(given.model, trust_remote_code=given.trust_remote_code)
    modality = modality_of(model.config)
    views = modality.views(given.views)
    paths = find_images(given.images, modality)
    answer = modality.predictor(model.to(device_of_choice()).eval(), processor, views)
    names = label_names_of(model)
    results, unreadable = [], []
    for some in batches(paths, given.batch_size):
        readable, found, lines = read_some(some, answer.read)
        unreadable += lines
        if found:
            for path, row in zip(readable, answer(found), strict=True):
                results.append({modality.noun: str(path), "predictions": best_labels(row, names, given.top)})

    if given.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    elif results:
        print(as_table(results, modality.noun))
    if unreadable:
        print(describe_unreadable(unreadable, len(paths), modality.plural), file=sys.stderr)
    return FAILED if unreadable and given.on_error == "fail" else 0


def as_table(results: Sequence[dict[str, Any]], noun: str) -> str:
    rows = []
    for result in results:
        for place, best in enumerate(result["predictions"]):
            rows.append(["" if place else result[noun], best["label"], f"{best['probability']:.2%}"])
    return table([noun, "label", "probability"], rows)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("predict", "Name what is in images or videos.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("images", nargs="+", help="files of images or videos, folders of them, or of frames")
    parse.add_argument("--top", type=int, default=3, help="labels for each image (3 where not said)")
    parse.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parse.add_argument("--on-error", choices=["fail", "skip"], default="fail", help="what unreadable files amount to")
    parse.add_argument("--views", metavar="CLIPSxCROPS", help="of each video, whose answers are averaged, such as 3x3")
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(predict, parse.parse_args(words_of(words)))
