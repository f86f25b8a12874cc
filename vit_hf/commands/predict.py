"""What is in an image: the most probable labels, for files and folders of them."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.checking import describe_unreadable
from ..data.folders import files_under
from ..data.reading import UnreadableImage, read_image, with_channels
from ..hub.loading import channels_of, label_names_of, load_classifier
from ..training.inference import device_of_choice
from .door import FAILED, guarded, parser, words_of
from .tables import table

EXAMPLES = """\
  {program} outputs/digits outputs/digits/examples
  {program} google/vit-base-patch16-224 holiday.jpg photos/ --top 5 --json > labels.json

A file that cannot be read is named and counted, and makes the exit status 1, unless --on-error skip is given.
"""


def find_images(given: Sequence[str]) -> list[Path]:
    """Files as they are, folders as all the visible files in them."""
    found: list[Path] = []
    for name in given:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = [Path(file) for file in files_under(path)]
            if not inside:
                raise ValueError(f"The folder {path} is empty.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"There is no file or folder {name}.")
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


def read_some(paths: Sequence[Path]) -> tuple[list[Path], list[Any], list[str]]:
    """-> the readable ones, their images, and a line for each of the others"""
    readable, images, unreadable = [], [], []
    for path in paths:
        try:
            images.append(read_image(path, str(path)))
            readable.append(path)
        except UnreadableImage as error:
            unreadable.append(str(error))
    return readable, images, unreadable


def predict(given: Any) -> int:
    paths = find_images(given.images)
    model, processor = load_classifier(given.model, trust_remote_code=given.trust_remote_code)
    model = model.to(device_of_choice()).eval()
    names = label_names_of(model)
    results, unreadable = [], []
    for some in batches(paths, given.batch_size):
        readable, images, lines = read_some(some)
        unreadable += lines
        if images:
            for path, row in zip(readable, probabilities_of(model, processor, images), strict=True):
                results.append({"image": str(path), "predictions": best_labels(row, names, given.top)})

    if given.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    elif results:
        print(as_table(results))
    if unreadable:
        print(describe_unreadable(unreadable, len(paths)), file=sys.stderr)
    return FAILED if unreadable and given.on_error == "fail" else 0


def as_table(results: Sequence[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        for place, best in enumerate(result["predictions"]):
            rows.append(["" if place else result["image"], best["label"], f"{best['probability']:.2%}"])
    return table(["image", "label", "probability"], rows)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("predict", "Name what is in images.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("images", nargs="+", help="image files, or folders of them")
    parse.add_argument("--top", type=int, default=3, help="labels for each image (3 where not said)")
    parse.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parse.add_argument("--on-error", choices=["fail", "skip"], default="fail", help="what unreadable files amount to")
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(predict, parse.parse_args(words_of(words)))
