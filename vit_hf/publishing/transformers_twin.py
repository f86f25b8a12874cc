"""The twin of a model that transformers loads without any code of ours, as a folder of its own."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from ..cards.conversion import ConversionFacts, conversion_card
from ..conversion.convert import Conversion
from ..conversion.pretrained import load_any
from ..errors import UserError
from ..hub.repository import CARD


def write_twin(folder: Path, twin: Path, *, name: str, source: str) -> None:
    """Write into `twin`: weights, configuration, processor, parity report and card.

    name: of the twin's repository. source: of that of the model, which the card calls its origin.

    Raises: UserError that names what transformers cannot represent, and where the twin is another function.
    """
    conversion = Conversion.of(load_any(str(folder)), "transformers")
    if conversion.differing:
        raise UserError(
            f"The twin for transformers alone is another function, and is not published:\n{conversion.parity}"
        )
    conversion.save(twin)
    facts = ConversionFacts.of(conversion, name=name, source=source, base_model=source, folder=twin)
    with_results(conversion_card(facts), folder, name).save(twin / CARD)


def with_results(card: ModelCard, folder: Path, name: str) -> ModelCard:
    """What was measured of the model holds for its twin."""
    data: Any = ModelCard.load(folder / CARD).data if (folder / CARD).is_file() else None
    if data is not None and data.eval_results:
        card.data.eval_results, card.data.model_name = data.eval_results, name  # pyright: ignore[reportAttributeAccessIssue]
        card.data.metrics, card.data.datasets = data.metrics, data.datasets  # pyright: ignore[reportAttributeAccessIssue]
    return card
