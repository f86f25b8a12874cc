"""From a pretrained model of one library to a folder of another, with a card that says how nearly it is the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cards.conversion import ConversionFacts, conversion_card
from ..conversion.convert import Conversion, Target
from ..conversion.pretrained import license_sentence, load_any
from ..errors import UserError
from ..families import family_of
from ..files import written_aside
from ..hub.repository import CARD


def convert(
    source: str,
    dest: Path,
    to: Target = "vit_hf",
    *,
    architecture: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Conversion:
    """Convert `source` into the new folder `dest`; nothing is written where the result is `differing`.

    source: a folder or an id on the Hub of vit_hf, transformers or timm, or a file of weights.
    architecture, fields: what a file of weights alone does not say, as `load_any` takes it.

    Raises: UserError for a source that is none, what `to` cannot represent, and a folder that is there already.
    """
    refuse_existing(dest)
    conversion = Conversion.of(load_any(source, architecture=architecture, **(fields or {})), to)
    if not conversion.differing:
        with written_aside(dest) as folder:
            conversion.save(folder)
            conversion_card(facts_of(conversion, source, dest.name)).save(folder / CARD)
    return conversion


def refuse_existing(dest: Path) -> None:
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        raise UserError(f"{dest} is there already; name a new folder, or remove it first.")


def facts_of(conversion: Conversion, source: str, name: str) -> ConversionFacts:
    """source: as it was given. name: of the card."""
    loaded = conversion.loaded
    local = Path(source).expanduser().exists()
    return ConversionFacts(
        name=name,
        source=Path(source).resolve().name if local else source,
        source_kind=loaded.kind,
        target=conversion.to,
        license=loaded.license,
        license_sentence=license_sentence(loaded.license),
        base_model=loaded.base_model,
        model_class=type(loaded.model).__name__,
        parity=conversion.parity,
        family=family_of(loaded.model.config).name,
        notes=loaded.notes,
    )
