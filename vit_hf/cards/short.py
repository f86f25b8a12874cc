"""The card of a model of which nothing has been measured yet: what it is, and how to load it."""

from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ..families import auto_name, family_of, task_of
from ..modality import modality_of, modality_of_processor
from .trained import escape
from .usage import USAGE, loading_code


def short_card(model: Any, repo_id: str, *, note: str, tags: list[str] | None = None) -> ModelCard:
    """note: a sentence on how far the model has come."""
    config, name = model.config, type(model).__name__
    auto, inputs = auto_name(name), modality_of(config).describe_inputs(config)
    patches = f" in patches of\n{escape(config.patch_size)}" if hasattr(config, "patch_size") else ""
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=task_of(name),
        tags=sorted({"vision", family_of(config).name, "custom_code", *(tags or [])}),
    )
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(repo_id.rpartition("/")[2])}

A {family_of(config).title} ({name}) of {model.num_parameters():,} parameters:
{family_of(config).layers_of(config)}, for {inputs} of {escape(config.image_size)} pixels and {config.num_channels} \
channels{patches}.

{note}

## How to use it

```python
from transformers import {auto}

{loading_code(repo_id, model=auto)}
```

Where the package `vit_hf` is installed and imported, `trust_remote_code` is not needed, and none of the repository's
code is run.
""")


def processor_card(processor: Any, repo_id: str) -> ModelCard:
    modality = modality_of_processor(processor)
    auto = modality.auto_processor
    data = ModelCardData(library_name="transformers", tags=["custom_code", "vision"])
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(repo_id.rpartition("/")[2])}

{USAGE[modality].processor}

```python
from {modality.processor_module} import {auto}

{loading_code(repo_id, processor=auto)}
```
""")
