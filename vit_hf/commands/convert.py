"""From a pretrained model of one library to a folder of another."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ..cards.conversion import ConversionFacts, conversion_card
from ..conversion.core.parity import Parity, compare, ours, sample_images
from ..conversion.core.preprocessing import stock_processor
from ..conversion.pretrained import Loaded, license_sentence, load_any
from ..errors import UserError
from ..families import family_of
from .cli import FAILED, guarded, parser, program, words_of

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
"""
TARGETS = ("vit_hf", "transformers", "timm")


def refuse_taken(dest: Path) -> None:
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        raise UserError(f"{dest} is there already; name a new folder, or remove it first.")


@contextmanager
def aside(dest: Path) -> Iterator[Path]:
    """A folder beside `dest` that takes its name once all is written, and is removed if something fails."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{dest.name}-", dir=dest.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.replace(dest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def words_said(given: Sequence[str]) -> dict[str, Any]:
    """FIELD=VALUE, whose values are YAML."""
    said = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"--say takes FIELD=VALUE, as in heads=8, and {word!r} is not that.")
        said[name] = yaml.safe_load(value)
    return said


def target_of(loaded: Loaded, to: str) -> tuple[Any, Any]:
    """-> the model that is to be written, and how a comparison sees it."""
    if to == "timm":
        from ..conversion.timm.convert import timm_runnable, to_timm

        model = to_timm(loaded.model, loaded.processor, share=True)
        return model, timm_runnable(model)
    if to == "transformers":
        from ..conversion.transformers.convert import convert_to_transformers, transformers_runnable

        model, notes = convert_to_transformers(loaded.model)
        loaded.notes += notes
        return model, transformers_runnable(model)
    return loaded.model, None


def write(model: Any, loaded: Loaded, to: str, folder: Path) -> None:
    """Weights, configuration and preprocessing, in the form of the target."""
    if to == "timm":
        from ..conversion.timm.convert import save_timm

        save_timm(model, folder, {"license": loaded.license} if loaded.license else {})
        return
    model.save_pretrained(folder)
    processor = loaded.processor
    if to == "transformers":
        processor, changes = stock_processor(processor)
        loaded.notes += changes
    if processor is not None:
        processor.save_pretrained(folder)


def steps(loaded: Loaded, target: Any, to: str) -> dict[str, Parity]:
    """What came of comparing source and ours, and ours and the target."""
    found = {}
    if (report := loaded.compare()) is not None:
        found[f"{loaded.kind} and vit_hf"] = report
    loaded.theirs = None  # one model less to hold
    if target is not None:
        found[f"vit_hf and {to}"] = compare(target, ours(loaded.model), sample_images(loaded.model.config))
    return found


def convert(given: Any) -> int:
    refuse_taken(given.dest)
    loaded = load_any(given.source, architecture=given.architecture, **words_said(given.say))
    model, target = target_of(loaded, given.to)
    reports = steps(loaded, target, given.to)
    for between, report in reports.items():
        print(f"{between}\n{report}\n")
    if failed := [between for between, report in reports.items() if not report.passed]:
        both = " and ".join(failed)
        print(f"error: {both} are not the same function; nothing is written to {given.dest}", file=sys.stderr)
        return FAILED
    with aside(given.dest) as folder:
        write(model, loaded, given.to, folder)
        record = {between: report.to_dict() for between, report in reports.items()}
        (folder / "parity.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        conversion_card(facts_of(given, loaded, reports)).save(folder / "README.md")
    for note in loaded.notes:
        print(f"note: {note}")
    print(f"{license_sentence(loaded.license)}\nWritten to {given.dest}.\n{next_commands(given, loaded.model.config)}")
    return 0


def facts_of(given: Any, loaded: Loaded, reports: dict[str, Parity]) -> ConversionFacts:
    local = Path(given.source).expanduser().exists()
    return ConversionFacts(
        name=given.dest.name,
        source=Path(given.source).resolve().name if local else given.source,
        source_kind=loaded.kind,
        target=given.to,
        license=loaded.license,
        license_sentence=license_sentence(loaded.license),
        base_model=loaded.base_model,
        model_class=type(loaded.model).__name__,
        parity="\n".join(f"{between}\n{report}" for between, report in reports.items()) or None,
        family=family_of(loaded.model.config).name,
        notes=loaded.notes,
    )


def next_commands(given: Any, config: Any) -> str:
    dest, clips = given.dest, family_of(config).takes_clips
    one, family = ("one.mp4", "--model.family timesformer ") if clips else ("one.jpg", "")
    predict = f"{program('predict')} {dest} {one} folder/" if given.to == "vit_hf" else f"ls {dest}"
    lines = [
        predict,
        f"{program('train')} folder_finetune {family}--model.from {dest} --data.name FOLDER_OF_CLASS_FOLDERS",
    ]
    if (other := other_target(given.to, config)) is not None:
        lines.append(f"{program('convert')} {dest} {dest}-{other} --to {other}")
    return "\n  ".join(["\nNext, you could", *lines])


def other_target(to: str, config: Any) -> str | None:
    """Another library that has the model, or None."""
    family = family_of(config)
    converters = {"transformers": family.transformers_converter(), "timm": family.timm_converter()}
    able = (name for name, one in converters.items() if name != to and one and not any(one.unsayable(config)))
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
    return guarded(convert, parse.parse_args(words_of(words)))
