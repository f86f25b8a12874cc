"""The card of a model of which nothing has been measured yet: what it is, and how to load it."""

from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ..families import family_of, word_of
from .card import escape

TASKS = {
    "ForImageClassification": "image-classification",
    "ForVideoClassification": "video-classification",
    "ForMaskedImageModeling": None,
    "Backbone": "image-feature-extraction",
    "Model": "image-feature-extraction",
}


def auto_name(model: Any) -> str:
    return f"Auto{next(ending for ending in TASKS if type(model).__name__.endswith(ending))}"


def short_card(model: Any, repo_id: str, *, note: str, tags: list[str] | None = None) -> ModelCard:
    """note: a sentence on how far the model has come."""
    config, auto = model.config, auto_name(model)
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASKS[auto.removeprefix("Auto")],
        tags=sorted({"vision", str(word_of(config.model_type)), "custom_code", *(tags or [])}),
    )
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(repo_id.rpartition("/")[2])}

A {family_of(config).title} ({type(model).__name__}) of {model.num_parameters():,} parameters:
{config.num_hidden_layers} layers of width {config.hidden_size}, for images of {escape(config.image_size)} pixels and
{config.num_channels} channels in patches of {escape(config.patch_size)}.

{note}

## How to use it

```python
from transformers import {auto}

# Name the commit whose code you have read in place of the revision.
repository, revision = "{repo_id}", "main"
model = {auto}.from_pretrained(repository, revision=revision, code_revision=revision, trust_remote_code=True)
```

Where the package `vit_hf` is installed and imported, `trust_remote_code` is not needed, and none of the repository's
code is run.
""")


def processor_card(repo_id: str) -> ModelCard:
    data = ModelCardData(library_name="transformers", tags=["custom_code", "vision", "vit"])
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(repo_id.rpartition("/")[2])}

An image processor of `vit_hf`, which cuts the middle out of an image as timm does.

```python
from transformers import AutoImageProcessor

processor = AutoImageProcessor.from_pretrained("{repo_id}", trust_remote_code=True)
```
""")
