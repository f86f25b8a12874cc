"""From a pretrained model of one library to a folder of another, with a card that says how nearly it is the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cards.conversion import ConversionFacts, conversion_card
from ..conversion.convert import Conversion, Target
from ..conversion.pretrained import load_any
from ..errors import UserError
from ..files import name_for_others, written_aside
from ..hub.repository import CARD


def convert(
    source: str,
    dest: Path,
    to: Target = "vit_hf",
    *,
    architecture: str | None = None,
    fields: Mapping[str, Any] | None = None,
    other_pixels: bool = False,
) -> Conversion:
    """Convert `source` into the new folder `dest`; nothing is written where the result is `differing`.

    other_pixels: write it also where the processor's pixels differ from the source's.

    source: a folder or an id on the Hub of vit_hf, transformers or timm, or a file of weights.
    architecture, fields: what a file of weights alone does not say, as `load_any` takes it.

    Raises: UserError for a source that is none, what `to` cannot represent, and a folder that is there already.
    """
    refuse_existing(dest)
    conversion = Conversion.of(load_any(source, architecture=architecture, **(fields or {})), to)
    if not conversion.allowing(other_pixels=other_pixels):
        with written_aside(dest) as folder:
            conversion.save(folder)
            origin, base_model = name_for_others(source), conversion.loaded.base_model
            facts = ConversionFacts.of(conversion, name=dest.name, source=origin, base_model=base_model)
            conversion_card(facts).save(folder / CARD)
    return conversion


def refuse_existing(dest: Path) -> None:
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        raise UserError(f"{dest} is there already; name a new folder, or remove it first.")
