"""How good a model is on labeled images or videos: figures, and pictures of its mistakes."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from .cli import OF_IMAGES, OF_VIT, given_arguments, guarded, parser

EXAMPLES = """\
  {program} outputs/digits --output outputs/digits/evaluation
  {program} google/vit-base-patch16-224 --data photos/ --split all --data.on_error skip
  {program} outputs/photos --tta flip
  {program} outputs/videos --views 1x3

The data is what a recipe calls data.name, and its other fields are set the same way, as in --data.label_column.
Left out, it is the data that the model was trained on, with the same test split. Images that the model has learned from
are recognized in any data, under any name, and left out unless --split asks for them.
"""


def run(given: Namespace, overrides: Sequence[str]) -> int:
    from ..files import refuse_no_folder
    from ..runs.evaluate import evaluate, refuse_evaluated
    from ..runs.report import figures

    if given.output is not None:
        refuse_no_folder(given.output.parent if given.output.suffix == ".json" else given.output, "--output")
        refuse_evaluated(given.output, overwrite=given.overwrite)
    found = evaluate(
        given.model,
        given.data,
        overrides,
        split=given.split,
        views=given.views,
        tta=given.tta,
        batch_size=given.batch_size,
        token_merging=given.token_merging,
        trust_remote_code=given.trust_remote_code,
    )
    plural = found.images.table.modality.plural
    if found.told:
        print(found.told)
    shown = figures(found.metrics, plural, found.intervals)
    merging = "" if given.token_merging is None else f", merging {given.token_merging} tokens a layer"
    print(f"{found.model} on the {found.split} split of {found.settings.name}{merging}\n\n{shown}")
    if given.output is not None:
        print(f"\nwritten to {given.output}: {', '.join(found.save(given.output, overwrite=given.overwrite))}")
        print("".join(f"{note}\n" for note in found.review(given.output)), end="")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("evaluate", "Measure a classifier on labeled images or videos.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("--data", help="digits, moving_digits, a folder of class folders, parquet files, or a Hub id")
    parse.add_argument(
        "--split", choices=["train", "validation", "test", "all"], help="test, or all new images of data without splits"
    )
    parse.add_argument(
        "--output",
        type=Path,
        help="a folder for metrics.json and the pictures, or a file.json for the former alone",
    )
    parse.add_argument("--overwrite", action="store_true", help="what an earlier evaluation left in --output")
    parse.add_argument("--views", metavar="CLIPSxCROPS", help="of each video, whose answers are averaged, such as 1x3")
    parse.add_argument("--tta", nargs="?", const="flip", metavar="VIEWS", help=OF_IMAGES)
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--token-merging", metavar="R", help=OF_VIT)
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    given, overrides = parse.parse_known_args(given_arguments(words))
    return guarded(run, given, overrides)
