"""How good a model is on labeled images or videos: figures, and pictures of its mistakes."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from .cli import guarded, parser, words_of

EXAMPLES = """\
  {program} outputs/digits --output outputs/digits/evaluation
  {program} google/vit-base-patch16-224 --data photos/ --split all --data.on_error skip
  {program} outputs/videos --views 1x3

The data is what a recipe calls data.name, and its other fields are set the same way, as in --data.label_column.
Left out, it is the data in the recipe that lies in the model's folder, with the same test split.
"""


def run(given: Namespace, overrides: Sequence[str]) -> int:
    from ..files import write_json
    from ..runs.evaluate import data_settings, evaluate
    from ..runs.report import draw_report, figures

    settings = data_settings(given.model, given.data, overrides)
    options = {"split": given.split, "views": given.views, "batch_size": given.batch_size}
    found = evaluate(given.model, settings, **options, trust_remote_code=given.trust_remote_code)
    plural = found.modality.plural
    print(f"{given.model} on the {found.split} split of {settings.name}\n\n{figures(found.metrics, plural)}")
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        record = {"model": given.model, "data": settings.model_dump(), "split": found.split, **found.metrics}
        write_json(given.output / "metrics.json", record | ({"views": given.views} if given.views else {}))
        draw_report(found.images, found.logits, found.label_names, given.output)
        print(f"\nwritten to {given.output}: metrics.json, confusion_matrix.png, predictions.png")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("evaluate", "Measure a classifier on labeled images or videos.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("--data", help="digits, moving_digits, a folder of class folders, parquet files, or a Hub id")
    parse.add_argument(
        "--split", default="test", choices=["train", "validation", "test", "all"], help="test, where not said"
    )
    parse.add_argument("--output", type=Path, help="a folder for metrics.json and the pictures")
    parse.add_argument("--views", metavar="CLIPSxCROPS", help="of each video, whose answers are averaged, such as 1x3")
    parse.add_argument("--batch-size", type=int, default=64)
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(run, given, overrides)
