"""The card of a model of which nothing has been measured yet: what it is, and how to load it."""

from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ..families import auto_name, family_of, task_of
from .trained import escape


def short_card(model: Any, repo_id: str, *, note: str, tags: list[str] | None = None) -> ModelCard:
    """note: a sentence on how far the model has come."""
    config, name = model.config, type(model).__name__
    auto, frames = auto_name(name), getattr(model.config, "num_frames", 0)
    patches = f" in patches of\n{escape(config.patch_size)}" if hasattr(config, "patch_size") else ""
    inputs = f"clips of {frames} frames" if frames else "images"
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

# Name the commit whose code you have read in place of the revision.
repository, revision = "{repo_id}", "main"
model = {auto}.from_pretrained(
    repository, revision=revision, code_revision=revision, trust_remote_code=True
)
```

Where the package `vit_hf` is installed and imported, `trust_remote_code` is not needed, and none of the repository's
code is run.
""")


def processor_card(processor: Any, repo_id: str) -> ModelCard:
    if hasattr(processor, "num_frames"):
        auto, home = "AutoVideoProcessor", "transformers.models.auto.video_processing_auto"  # without torchvision
        what = "A video processor of `vit_hf`, which chooses the frames of a clip and cuts the middle out of each."
    else:
        auto, home = "AutoImageProcessor", "transformers"
        what = "An image processor of `vit_hf`, which cuts the middle out of an image as timm does."
    data = ModelCardData(library_name="transformers", tags=["custom_code", "vision"])
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(repo_id.rpartition("/")[2])}

{what}

```python
from {home} import {auto}

# Name the commit whose code you have read in place of the revision.
repository, revision = "{repo_id}", "main"
processor = {auto}.from_pretrained(
    repository, revision=revision, code_revision=revision, trust_remote_code=True
)
```
""")
