"""Which of timm's Vision Transformers can be ours: each is tried as a tiny model, and the list is written to a file.

    python -m vit_hf.conversion.timm.coverage

writes coverage.md beside this file.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...errors import UserError
from ..core.parity import compare, our_runnable, sample_images
from .convert import from_timm, required_timm, timm_runnable, to_timm

LIST = Path(__file__).with_name("coverage.md")
LABELS = 7


class Trial(NamedTuple):
    """What came of one model. reason: why it is refused; folded: whether tensors come back other than they went."""

    name: str
    standard: bool
    reason: str | None
    folded: bool


TINY_SIZES = {"embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": LABELS}


def outline(name: str) -> Any:
    """The tiny model without any numbers in it."""
    with torch.device("meta"):
        return required_timm().create_model(name, **TINY_SIZES)


def telling_fields(model: Any) -> str:
    """All that tells one tiny model from another, apart from the size of images."""
    names = ("global_pool", "pool_include_prefix", "no_embed_class", "num_reg_tokens", "dynamic_img_size")
    return f"{model} {[getattr(model, name) for name in names]} {model.pos_embed is None}"


@torch.no_grad()
def tiny_timm(name: str) -> Any:
    """The model that timm has under a name, two layers of width 32 and images of two by three patches, all random."""
    height, width = outline(name).patch_embed.patch_size
    model = required_timm().create_model(name, **TINY_SIZES, img_size=(2 * height, 3 * width)).double().eval()
    for parameter in model.parameters():
        parameter.normal_(mean=0.4 if parameter.ndim == 1 else 0.0, std=0.3)
    return model


def tried(name: str) -> Trial:
    """There and back. Raises: UserError for a conversion that is not the same function."""
    theirs = tiny_timm(name)
    standard = type(theirs.blocks[0]).__name__ == "Block"
    try:
        model = from_timm(theirs)
    except ValueError as refusal:
        return Trial(name, standard, str(refusal).split(": ", 1)[1].rstrip("."), False)
    images = sample_images(model.config)
    back = to_timm(model)
    report = compare(our_runnable(model), timm_runnable(theirs), images)
    pixels = images[:2].double()
    if not report.passed or not torch.equal(back(pixels), theirs(pixels)):
        raise UserError(f"{name} is converted to another function:\n{report}")
    before, after = theirs.state_dict(), back.state_dict()
    equal = before.keys() == after.keys() and all(torch.equal(after[key], before[key]) for key in before)
    return Trial(name, standard, None, not equal)


def try_all() -> list[Trial]:
    """Of models that differ in width, depth and image size alone, one is tried for all."""
    trials: dict[str, Trial] = {}
    names = required_timm().list_models(module="vision_transformer")
    words = {name: telling_fields(outline(name)) for name in names}
    for name in names:
        if words[name] not in trials:
            trials[words[name]] = tried(name)
    return [trials[words[name]]._replace(name=name) for name in names]


def as_markdown(trials: list[Trial]) -> str:
    converted = [trial for trial in trials if trial.reason is None]
    standard = [trial for trial in trials if trial.standard]
    share = sum(trial.reason is None for trial in standard) / len(standard)
    reasons: dict[str, list[str]] = {}
    for trial in trials:
        if trial.reason is not None:
            reasons.setdefault(trial.reason, []).append(f"`{trial.name}`")
    folded = ", ".join(f"`{trial.name}`" for trial in converted if trial.folded)
    refused = "\n".join(f"| {reason} | {', '.join(names)} |" for reason, names in reasons.items())
    return f"""# timm's Vision Transformers

Written by `python -m vit_hf.conversion.timm.coverage` with timm {required_timm().__version__}: every entry point of
`timm.models.vision_transformer`, tried as a tiny random model in double precision. {len(converted)} of {len(trials)}
convert, which are {share:.1%} of the {len(standard)} whose blocks are timm's pre-norm `Block`; the way there is equal
within 1e-9 at every block, and there and back again gives the same logits, bit for bit.

## Refused

| Our words cannot say | Models |
|---|---|
{refused}

## Converted

Of {folded} the registers' positions are added to the registers, so that tensors come back in another form; all others
come back bit for bit.

{", ".join(f"`{trial.name}`" for trial in converted)}
"""


if __name__ == "__main__":
    LIST.write_text(as_markdown(try_all()), encoding="utf-8")
