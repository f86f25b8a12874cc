"""What is in an image or a video: the most probable labels, for files and folders of them."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from .cli import FAILED, OF_IMAGES, OF_VIT, given_arguments, guarded, parser

EXAMPLES = """\
  {program} outputs/digits outputs/digits/examples
  {program} google/vit-base-patch16-224 holiday.jpg photos/ --top 5 --json > labels.json
  {program} outputs/videos wave.mp4 frames_of_a_video/ --views 3x3

A file that cannot be read is named and counted, and makes the exit status 1, unless --on-error skip is given.
"""


def run(given: Namespace) -> int:
    from ..data.batches.load_batches import describe_unreadable
    from ..runs.predict import predict

    found = predict(
        given.model,
        given.images,
        top=given.top,
        views=given.views,
        tta=given.tta,
        batch_size=given.batch_size,
        max_pixels=given.max_pixels,
        token_merging=given.token_merging,
        trust_remote_code=given.trust_remote_code,
    )
    if given.json:
        print(json.dumps(found.results, indent=2, ensure_ascii=False))
    elif found.results:
        print(predictions_table(found.results, found.modality.noun))
    if found.unreadable:
        print(describe_unreadable(found.unreadable, found.files, found.modality.plural), file=sys.stderr)
    return FAILED if found.unreadable and given.on_error == "fail" else 0


def predictions_table(results: Sequence[dict[str, Any]], thing: str) -> str:
    from ..runs.report import table

    rows = []
    for result in results:
        for place, best in enumerate(result["predictions"] or [{"label": "none", "value": "–"}]):
            figure = f"{best['probability']:.2%}" if "probability" in best else str(best["value"])
            rows.append(["" if place else result[thing], best["label"], figure])
    numbers = any("value" in best for result in results for best in result["predictions"])
    return table([thing, "label", "value" if numbers else "probability"], rows)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("predict", "Name what is in images or videos.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("images", nargs="+", help="files of images or videos, folders of them, or of frames")
    parse.add_argument("--top", type=int, default=3, help="labels for each image (3 where not said)")
    parse.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parse.add_argument("--on-error", choices=["fail", "skip"], default="fail", help="what unreadable files amount to")
    parse.add_argument("--views", metavar="CLIPSxCROPS", help="of each video, whose answers are averaged, such as 3x3")
    parse.add_argument("--tta", nargs="?", const="flip", metavar="VIEWS", help=OF_IMAGES)
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--token-merging", metavar="R", help=OF_VIT)
    parse.add_argument("--max-pixels", type=int, help="larger images are not read (179 million where not said)")
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(run, parse.parse_args(given_arguments(words)))
