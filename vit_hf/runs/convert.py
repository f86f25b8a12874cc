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
    overwrite: bool = False,
    other_pixels: bool = False,
) -> Conversion:
    """Convert `source` into the new folder `dest`; nothing is written where the result is `differing`.

    other_pixels: write it also where the processor's pixels differ from the source's.

    source: a folder or an id on the Hub of vit_hf, transformers or timm, or a file of weights.
    architecture, fields: what a file of weights alone does not say, as `load_any` takes it.
    overwrite: whether an earlier conversion in `dest` gives way, once there is another.

    Raises: UserError for a source that is none, what `to` cannot represent, and a folder that is there already.
    """
    refuse_existing(dest, overwrite=overwrite)
    conversion = Conversion.of(load_any(source, architecture=architecture, **(fields or {})), to)
    if not conversion.allowing(other_pixels=other_pixels):
        with written_aside(dest, replace=overwrite) as folder:
            conversion.save(folder)
            origin, base_model = name_for_others(source), conversion.loaded.base_model
            facts = ConversionFacts.of(conversion, name=dest.name, source=origin, base_model=base_model, folder=folder)
            conversion_card(facts).save(folder / CARD)
    return conversion


OF_A_TRAINING = ("recipe.yaml", "metrics.json*", "checkpoint-*")


def refuse_existing(dest: Path, *, overwrite: bool = False) -> None:
    """Raises: UserError for a folder with anything in it, but what an earlier conversion left where that may go."""
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return
    if not overwrite or not dest.is_dir():
        raise UserError(f"{dest} is there already; name a new folder, remove it first, or say --overwrite.")
    converted = (dest / CARD).is_file() and any(dest.glob("*.safetensors"))
    if not converted or any(any(dest.glob(kind)) for kind in OF_A_TRAINING):
        raise UserError(f"{dest} holds something else than an earlier conversion, which stays; name a new folder.")
