"""The card of an exported folder: what is in it, how nearly it is the same as the model, and how to run it."""

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ..exporting.comparison import Measured
from ..exporting.graphs import PICTURE_INPUT
from ..modality import modality_of
from .trained import escape

OPENS = {
    "onnxruntime": """import onnxruntime

session = onnxruntime.InferenceSession("{file}")
{outputs} = session.run(None, {{"{input}": {input}}})""",
    "openvino": """import openvino

compiled = openvino.Core().compile_model("{file}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
{outputs} = compiled([{input}]).values()""",
    "torch": """import torch

{outputs} = torch.export.load("{file}").module()({input})""",
    "aotinductor": """import torch

{outputs} = torch._inductor.aoti_load_package("{file}")({input})""",
}
TABLE_COLUMNS = (
    "precision",
    "size",
    "a run",
    "random inputs",
    "real inputs",
    "same label",
    "right",
    "right in PyTorch",
)


def export_card(
    name: str, record: Mapping[str, Any], measured: Sequence[Measured], labels: Sequence[str], config: Any
) -> ModelCard:
    """record: what export.json says. labels: in the order of the answers."""
    modality = modality_of(config)
    data = ModelCardData(pipeline_tag=modality.task, tags=sorted({"vision", record["format"]}))
    words = {
        "file": record["file"],
        "input": record["input"],
        "outputs": ", ".join([*record["outputs"], ""]).rstrip(" "),
    }
    shape = " ".join(map(str, modality.input_shape(config)))
    sizes = "(batch, height, width, channels)" if record["batched"] else "(height, width, channels)"
    takes = (
        f"bytes {sizes} of {record['open']}, which are resized and normalized in the graph"
        if record["input"] == PICTURE_INPUT
        else f"float32 of (batch, {shape.replace(' ', ', ')}), prepared as preprocessor_config.json says; open are "
        f"{record['open']}"
    )
    items = measured[0].items
    counted = modality.counted(measured[0].images) if measured[0].images else "no real images"
    shown = ", ".join(escape(label) for label in labels[:10]) + (", ..." if len(labels) > 10 else "")
    return ModelCard(f"""---
{data.to_yaml()}
---

# {escape(name)}

{escape(record["source"])} as {record["format"]}, for {modality.plural} of {len(labels)} labels: {shown}.

The graph takes `{record["input"]}`, {takes}. It gives {" and ".join(f"`{output}`" for output in record["outputs"])}.

```python
{OPENS[record["runtime"]].format(**words)}
```

Or with vit_hf: `vit-hf predict {name} one.jpg`.

## How nearly it is the same

Each file was run in its own runtime, in a process of its own, beside PyTorch: on random inputs and on {counted}. The
numbers are the largest differences of an answer; a run is one of {modality.counted(items)} on the machine that
exported it.

{table_of(measured)}
""")


def table_of(measured: Sequence[Measured]) -> str:
    """In Markdown, without columns of what was not measured."""
    rows = [cells_of(one) for one in measured]
    kept = [place for place in range(len(TABLE_COLUMNS)) if any(row[place] for row in rows)]
    lines = [
        [TABLE_COLUMNS[place] for place in kept],
        ["---"] * len(kept),
        *([row[place] for place in kept] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells_of(one: Measured) -> list[str]:
    shares = ("" if value is None else f"{value:.2%}" for value in (one.agreement, one.accuracy, one.of_torch))
    real = "" if one.real is None else f"{one.real:.1e}"
    return [
        one.precision,
        f"{one.size / 1e6:.3g} MB",
        f"{1000 * one.seconds:.3g} ms",
        f"{one.random:.1e}",
        real,
        *shares,
    ]
