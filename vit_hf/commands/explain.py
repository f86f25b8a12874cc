"""Why a model says what it says: heat over images or videos, by several methods, each scored."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import UserError
from .cli import FAILED, OF_VIT, given_arguments, guarded, parser

EXAMPLES = """\
  {program} outputs/digits outputs/digits/examples
  {program} outputs/photos one.jpg --target dog --method grad_cam
  {program} outputs/photos folder/ --compare --output explained
  {program} outputs/videos wave.mp4
  {program} outputs/photos folder/ --method features
  {program} outputs/photos --inside

Each map is scored by its gain: the label's probability in the mean while the hottest patches are put into an empty
image, less that while they are taken out of the whole one. A map that knows nothing gains 0. The method features gives
no heat: red, green and blue are the three directions in which the last layer's patches of all images differ most.
"""


def run(given: Namespace) -> int:
    from ..explanation.explain import FEATURES
    from ..files import refuse_no_folder
    from ..runs.explain import explain_files, methods_of, refuse_options, show_inside

    refuse_no_folder(given.output, "--output")
    reading = {"max_pixels": given.max_pixels, "trust_remote_code": given.trust_remote_code}
    if given.inside:
        print("\n".join(show_inside(given.model, given.images, given.output, **reading)))
        return 0
    if not given.images:
        raise UserError("Name the images to explain, or a folder of them; --inside alone needs none.")
    methods = methods_of(given.method, compare=given.compare)
    options: dict[str, Any] = {
        name: getattr(given, name) for name in ("layer", "head") if getattr(given, name) is not None
    }
    if methods == (FEATURES,):
        return run_features(given, reading)
    refuse_options(methods, options)
    found = explain_files(
        given.model,
        given.images,
        given.output,
        methods=methods,
        target=given.target,
        options=options,
        token_merging=given.token_merging,
        **reading,
    )
    if given.json:
        print(json.dumps([asdict(result) for result in found.results], indent=2, ensure_ascii=False))
    elif found.results:
        print(explanations_table(found))
        if found.comparison is not None:
            print(f"\n{comparison_table(found.comparison)}")
    return say_unreadable(found)


def run_features(given: Namespace, reading: dict[str, Any]) -> int:
    from ..runs.explained_features import refuse_of_features, show_features
    from ..runs.report import table

    refuse_of_features(target=given.target, layer=given.layer, head=given.head)
    found = show_features(given.model, given.images, given.output, token_merging=given.token_merging, **reading)
    if given.json:
        print(json.dumps([asdict(result) for result in found.results], indent=2, ensure_ascii=False))
    elif found.results:
        print(table([found.thing, "picture"], [[one.path, *one.pictures] for one in found.results]))
    return say_unreadable(found)


def say_unreadable(found: Any) -> int:
    """-> the exit status"""
    from ..data.batches.load_batches import describe_unreadable

    if found.unreadable:
        print(describe_unreadable(found.unreadable, found.files, f"{found.thing}s"), file=sys.stderr)
    return FAILED if found.unreadable else 0


def explanations_table(found: Any) -> str:
    from ..explanation.comparison import CHANCE
    from ..runs.explain import said_in_words
    from ..runs.report import table

    results = found.results
    methods = [name for name in results[0].gains if name != CHANCE]
    heads = ["gain"] if len(methods) == 1 else methods
    rows = [
        [
            one.path,
            one.label,
            said_in_words(one.probability, found.problem_type),
            *(f"{one.gains[name]:+.3f}" for name in methods),
            one.pictures[0],
        ]
        for one in results
    ]
    said = "number" if found.problem_type == "regression" else "probability"
    return table([found.thing, "label", said, *heads, "picture"], rows)


def comparison_table(found: Any) -> str:
    """Of each method the mean over all files, and how much more that is than of the first."""
    from ..runs.report import table

    rows, first = [*found.rows()], found.methods[0]
    lines = [[name, *in_columns(mean), *([""] * 2 if more is None else in_columns(more))] for name, mean, more in rows]
    return table(["method", "mean gain", "95% interval", f"more than {first}", "95% interval"], lines)


def in_columns(gain: Any) -> list[str]:
    return [f"{gain.mean:+.3f}", "–" if gain.interval is None else "{:+.3f} to {:+.3f}".format(*gain.interval)]


def layer_number_or_name(text: str) -> int | str:
    """A number, or a module's name."""
    return int(text) if text.lstrip("-").isdecimal() else text


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("explain", "Show what in images or videos speaks for a model's answers.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("images", nargs="*", help="files of images or videos, folders of them, or of frames")
    parse.add_argument("--method", help="relevance (where not said), grad_cam, rollout, attention, features, ...")
    parse.add_argument("--compare", action="store_true", help="several methods side by side, with their scores")
    parse.add_argument("--inside", action="store_true", help="features, filters, positions and distances of attention")
    parse.add_argument("--target", help="the label to explain (the most probable one where not said)")
    parse.add_argument("--layer", type=layer_number_or_name, help="of attention a number, of grad_cam a module's name")
    parse.add_argument("--head", type=int, help="of attention one head (their mean where not said)")
    parse.add_argument("--token-merging", metavar="R", help=OF_VIT)
    parse.add_argument("--output", type=Path, default=Path("explanations"), help="a folder for the pictures")
    parse.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parse.add_argument("--max-pixels", type=int, help="larger images are not read (179 million where not said)")
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(run, parse.parse_args(given_arguments(words)))
