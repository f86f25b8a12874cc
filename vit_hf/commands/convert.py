"""From a pretrained model of one library to a folder of another."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .cli import FAILED, given_arguments, guarded, parser, program

EXAMPLES = """\
  {program} google/vit-base-patch16-224 converted/vit-base
  {program} timm/vit_small_patch16_224.augreg_in21k converted/vit-small
  {program} outputs/digits converted/digits-timm --to timm
  {program} B_16.npz converted/b16 --to transformers
  {program} weights.safetensors converted/s16 --architecture vit_small_patch16_224
  {program} vit.pt converted/mine --say heads=8 image_size=128
  {program} TimeSformer_divST_8x32_224_K400.pyth converted/timesformer

SOURCE is a folder or an id on the Hub of vit_hf, transformers or timm, or a file of weights; DEST is a new folder.
The same images are run through the model before and after. Above 1e-4 (in double precision 1e-9) nothing is written.
So are the pixels that both make of a photograph; above 2/255 nothing is written without --allow-other-pixels.
"""
TARGETS = ("vit_hf", "transformers", "timm")  # those of conversion/convert.py, which a test holds equal


def run(given: Namespace) -> int:
    from ..conversion.pretrained import license_sentence
    from ..runs.convert import convert

    said, allowed = {"architecture": given.architecture, "fields": fields_said(given.say)}, given.allow_other_pixels
    done = convert(given.source, given.dest, given.to, **said, other_pixels=allowed, overwrite=given.overwrite)
    for between, report in done.reports.items():
        print(f"{between}\n{report}\n")
    if differing := done.allowing(other_pixels=allowed):
        both = " and ".join(differing)
        print(f"error: {both} are not the same function; nothing is written to {given.dest}", file=sys.stderr)
        if not done.allowing(other_pixels=True):
            print("Only the pixels are others: --allow-other-pixels writes it all the same.", file=sys.stderr)
        return FAILED
    for note in done.loaded.notes:
        print(f"note: {note}")
    license, config = license_sentence(done.loaded.license), done.loaded.model.config
    print(f"{license}\nWritten to {given.dest}.\n{next_commands(given, config)}")
    return 0


def fields_said(given: Sequence[str]) -> dict[str, Any]:
    """FIELD=VALUE, whose values are YAML."""
    from ..errors import UserError
    from ..training.recipe.yaml_files import parse_yaml

    said = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier() or name in ("source", "architecture"):
            raise UserError(f"--say takes FIELD=VALUE, as in heads=8, and {word!r} is not that.")
        said[name] = parse_yaml(value, f"The value of --say {name}")
    return said


def next_commands(given: Any, config: Any) -> str:
    from ..families import family_of

    dest, family = shlex.quote(str(given.dest)), family_of(config)
    predict = f"{program('predict')} {dest} {family.modality.example_file} folder/"
    lines = [
        predict if given.to == "vit_hf" else f"ls {dest}",
        f"{program('train')} FOLDER_OR_TABLE --from {dest} --model.family {family.name}",
    ]
    if (other := other_target(given.to, config)) is not None:
        lines.append(f"{program('convert')} {dest} {shlex.quote(f'{given.dest}-{other}')} --to {other}")
    return "\n  ".join(["\nNext, you could", *lines])


def other_target(to: str, config: Any) -> str | None:
    """Another library that has the model, or None."""
    from ..families import family_of

    family = family_of(config)
    converters = {"transformers": family.transformers_converter(), "timm": family.timm_converter()}
    able = (name for name, one in converters.items() if name != to and one and not any(one.unsupported(config)))
    return next(able, None if to == "vit_hf" else "vit_hf")


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("convert", "Convert a pretrained Vision Transformer from any library to another.", EXAMPLES)
    parse.add_argument("source", metavar="SOURCE", help="a folder, a file of weights, or the id of a model on the Hub")
    parse.add_argument("dest", metavar="DEST", type=Path, help="a new folder")
    parse.add_argument(
        "--to", choices=TARGETS, default="vit_hf", help="whose format DEST is of (vit_hf where not said)"
    )
    parse.add_argument("--architecture", help="timm's name of what a .safetensors file of weights alone holds")
    parse.add_argument(
        "--say", nargs="+", default=[], metavar="FIELD=VALUE", help="what a file of weights alone does not say"
    )
    parse.add_argument("--overwrite", action="store_true", help="put the result in the place of an earlier conversion")
    parse.add_argument(
        "--allow-other-pixels", action="store_true", help="write it also where images are prepared in another way"
    )
    return guarded(run, parse.parse_args(given_arguments(words)))
