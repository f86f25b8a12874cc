"""The twin of a model that transformers loads without any code of ours, as a folder of its own."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from ..cards.conversion import ConversionFacts, conversion_card
from ..conversion.core.parity import compare, ours, sample_images
from ..conversion.core.preprocessing import stock_processor
from ..conversion.pretrained import card_of, license_of, license_sentence, load_any
from ..conversion.transformers.convert import convert_to_transformers, transformers_runnable
from ..errors import UserError
from ..families import family_of
from ..hub.repository import CARD


def write_twin(folder: Path, twin: Path, *, name: str, source: str) -> None:
    """Write into `twin`: weights, configuration, processor, parity report and card.

    name: of the twin's repository. source: of that of the model, which the card calls its origin.

    Raises: UserError that names what transformers cannot represent, and where the twin is another function.
    """
    loaded = load_any(str(folder))
    model, missed = convert_to_transformers(loaded.model)
    report = compare(transformers_runnable(model), ours(loaded.model), sample_images(loaded.model.config))
    if not report.passed:
        raise UserError(f"The twin for transformers alone is another function, and is not published:\n{report}")
    model.save_pretrained(twin)
    processor, notes = stock_processor(loaded.processor)
    if processor is not None:
        processor.save_pretrained(twin)
    record = {"vit_hf and transformers": report.to_dict()}
    (twin / "parity.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    license = license_of(card_of(folder))
    facts = ConversionFacts(
        name=name,
        source=source,
        source_kind="vit_hf",
        target="transformers",
        license=license,
        license_sentence=license_sentence(license),
        base_model=source,
        model_class=type(loaded.model).__name__,
        parity=str(report),
        family=family_of(loaded.model.config).name,
        notes=[*loaded.notes, *missed, *notes],
    )
    with_results(conversion_card(facts), folder, name).save(twin / CARD)


def with_results(card: ModelCard, folder: Path, name: str) -> ModelCard:
    """What was measured of the model holds for its twin."""
    data: Any = ModelCard.load(folder / CARD).data if (folder / CARD).is_file() else None
    if data is not None and data.eval_results:
        card.data.eval_results, card.data.model_name = data.eval_results, name  # pyright: ignore[reportAttributeAccessIssue]
        card.data.metrics, card.data.datasets = data.metrics, data.datasets  # pyright: ignore[reportAttributeAccessIssue]
    return card
