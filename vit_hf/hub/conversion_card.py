"""The card of a converted model: where it comes from, what it may be used for, and how nearly it is the same."""

from dataclasses import dataclass, field

from huggingface_hub import ModelCard, ModelCardData

from .card import escape

LIBRARIES = {"vit_hf": "transformers", "transformers": "transformers", "timm": "timm"}
USES = {
    "vit_hf": """from transformers import AutoModel{head}

model = AutoModel{head}.from_pretrained("{name}", trust_remote_code=True)""",
    "transformers": """from transformers import AutoModel{head}

model = AutoModel{head}.from_pretrained("{name}")""",
    "timm": """import timm

model = timm.create_model("local-dir:{name}", pretrained=True).eval()  # on the Hub: "hf-hub:{name}\"""",
}


@dataclass
class ConversionFacts:
    """All that the card says."""

    name: str
    source: str
    source_kind: str
    target: str
    licence: str | None
    licence_sentence: str
    base_model: str | None
    classifies: bool
    parity: str | None
    family: str
    notes: list[str] = field(default_factory=list)


def conversion_card(facts: ConversionFacts) -> ModelCard:
    head = "ForImageClassification" if facts.classifies else ""
    data = ModelCardData(
        library_name=LIBRARIES[facts.target],
        pipeline_tag="image-classification" if facts.classifies else "image-feature-extraction",
        license=facts.licence,
        base_model=facts.base_model,
        tags=sorted({"vision", facts.family, *(["custom_code"] if facts.target == "vit_hf" else [])}),
    )
    compared = f"```\n{facts.parity}\n```" if facts.parity else "There was no other model to compare it with."
    notes = "".join(f"\n- {escape(note)}" for note in facts.notes)
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(facts.name)}

The weights of {escape(facts.source)} ({facts.source_kind}) in the form of {facts.target}. They were only renamed and
reshaped, not trained on.

{escape(facts.licence_sentence)}

## How to use it

```python
{USES[facts.target].format(name=facts.name, head=head)}
```

## How nearly it is the same

The largest differences between source and copy, over random images and real ones. `parity.json` holds them too.

{compared}
{notes and f"{chr(10)}Left out or assumed:{chr(10)}{notes}{chr(10)}"}""")
