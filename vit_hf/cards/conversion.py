"""The card of a converted model: where it comes from, what it may be used for, and how nearly it is the same."""

from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from ..conversion.convert import Conversion
from ..conversion.pretrained import license_sentence
from ..families import auto_name, family_of, task_of
from ..weight_hash import hash_in_words, weight_hash
from .trained import escape
from .usage import loading_code

LIBRARIES = {"vit_hf": "transformers", "transformers": "transformers", "timm": "timm"}


def example(target: str, name: str, auto: str) -> str:
    """Python that loads the converted model."""
    if target == "timm":
        return f'''import timm

model = timm.create_model("local-dir:{name}", pretrained=True).eval()  # on the Hub: "hf-hub:{name}"'''
    return f"from transformers import {auto}\n\n{loading_code(name, runs_code=target == 'vit_hf', model=auto)}"


@dataclass
class ConversionFacts:
    """All that the card says. model_class: the name of the class that it was or is in vit_hf."""

    name: str
    source: str
    source_kind: str
    target: str
    license: str | None
    license_sentence: str
    base_model: str | None
    model_class: str
    parity: str | None
    family: str
    notes: list[str] = field(default_factory=list)
    weights_sha256: str | None = None

    @classmethod
    def of(
        cls, conversion: Conversion, *, name: str, source: str, base_model: str | None, folder: Path | None = None
    ) -> "ConversionFacts":
        """name: of what the card is of. source, base_model: what the card calls its origin, and where that lies.
        folder: where the result has been saved."""
        loaded = conversion.loaded
        return cls(
            name=name,
            source=source,
            source_kind=loaded.kind,
            target=conversion.to,
            license=loaded.license,
            license_sentence=license_sentence(loaded.license),
            base_model=base_model,
            model_class=type(loaded.model).__name__,
            parity=conversion.parity,
            family=family_of(loaded.model.config).name,
            notes=loaded.notes,
            weights_sha256=None if folder is None else weight_hash(folder),
        )


def conversion_card(facts: ConversionFacts) -> ModelCard:
    data = ModelCardData(
        library_name=LIBRARIES[facts.target],
        pipeline_tag=task_of(facts.model_class),
        license=facts.license,
        base_model=facts.base_model,
        tags=sorted({"vision", facts.family, *(["custom_code"] if facts.target == "vit_hf" else [])}),
    )
    compared = f"```\n{facts.parity}\n```" if facts.parity else "There was no other model to compare it with."
    if facts.weights_sha256:
        compared += f"\n\nThe weights of the copy: {hash_in_words(facts.weights_sha256)}."
    notes = "".join(f"\n- {escape(note)}" for note in facts.notes)
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(facts.name)}

The weights of {escape(facts.source)} ({facts.source_kind}) in the form of {facts.target}. They were only renamed and
reshaped, not trained on.

{escape(facts.license_sentence)}

## How to use it

```python
{example(facts.target, facts.name, auto_name(facts.model_class))}
```

## How nearly it is the same

The largest differences between source and copy, over random images and real ones. `parity.json` holds them too.

{compared}
{notes and f"{chr(10)}Left out or assumed:{chr(10)}{notes}{chr(10)}"}""")
