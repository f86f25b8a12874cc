"""A panel for the card of a trained model: what some of its right and wrong answers rest on, by the method that does
best on validation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.batches.dataset import ImageBatches
from ..errors import UserError
from ..explanation.comparison import COMPARED, MethodGains, compare_methods
from ..explanation.explain import DEFAULT_METHOD, explain
from ..plots.explained_answers import Answer, draw_explained
from ..plots.galleries import choose, mistakes

EXPLAINED = "explained.png"
MOST_SCORED, FEWEST_SCORED = 24, 8  # items of the validation split; fewer than the second say too little
CURVE_STEPS = 9  # of the curves of each
PASSES = len(COMPARED) * (2 * CURVE_STEPS + 3)  # of the model, for each item that is scored
SCORING_SECONDS = 120  # that scoring may take, by the speed of the evaluation
SCORED_AT_ONCE = 16


class AnswersExplained(NamedTuple):
    """sentences: for the card. record: for metrics.json, None where nothing was drawn."""

    sentences: str
    record: dict[str, Any] | None


@dataclass(frozen=True)
class Answered:
    """A model that has been trained, and what it says of the items that it is tested on.

    logits: b labels. validation: None where there is no such split. each_second: items that the evaluation managed.
    batch: how many of them it took at once. sharded: whether one process alone cannot run the model.
    """

    model: Any
    tested: ImageBatches
    logits: Tensor
    names: list[str]
    validation: ImageBatches | None
    each_second: float | None
    batch: int
    sharded: bool = False


def explain_answers(answered: Answered, folder: Path) -> AnswersExplained:
    """Draw explained.png, where the model can be explained; a training never fails for want of it."""
    if reason := reason_not_to(answered):
        return AnswersExplained(f"What its answers rest on is not drawn here: {reason}.", None)
    try:
        method, why, record = choose_method(answered)
        title = draw_answers(answered, method, folder / EXPLAINED)
    except UserError as error:
        return AnswersExplained(f"What its answers rest on is not drawn here. {error}", None)
    except (torch.OutOfMemoryError, MemoryError):
        return AnswersExplained("What its answers rest on is not drawn here: the memory does not suffice.", None)
    return AnswersExplained(f"{title} {why}", record)


def reason_not_to(answered: Answered) -> str | None:
    kind = answered.model.config.problem_type
    if kind == "regression":
        return "it says numbers, and heat is of what speaks for a label"
    if kind == "multi_label_classification":
        return (
            f"{answered.tested.table.modality.article} has several labels, each with heat of its own (`vit-hf explain`)"
        )
    if answered.sharded:
        return "its weights were divided among processes; `vit-hf explain` does it afterwards"
    return None


def choose_method(answered: Answered) -> tuple[str, str, dict[str, Any]]:
    """-> the method, how it was chosen, as a sentence, and the same for metrics.json"""
    images, noun = answered.validation, answered.tested.table.modality.plural
    count, affordable = 0 if images is None else len(images), affordable_items(answered.each_second)
    default = {"method": DEFAULT_METHOD, "images": 0}
    if images is None or count < FEWEST_SCORED:
        lack = "is no validation split" if images is None else f"are too few {noun} in the validation split"
        return DEFAULT_METHOD, f"The method is the usual one: there {lack} to score methods on.", default
    if affordable < FEWEST_SCORED:
        text = (
            f"The method is the usual one: to score methods here would have taken more than {SCORING_SECONDS} seconds."
        )
        return DEFAULT_METHOD, text, default
    rows = evenly(count, min(count, MOST_SCORED, affordable))
    found = compare_methods(
        answered.model, inputs(images, rows).to(answered.model.device), steps=CURVE_STEPS, batch=at_once(answered)
    )
    return found.best, said_of_gains(found, noun), gains_recorded(found)


def affordable_items(each_second: float | None) -> int:
    return MOST_SCORED if each_second is None else int(each_second * SCORING_SECONDS / PASSES)


def said_of_gains(found: MethodGains, noun: str) -> str:
    others = ", ".join(f"{name} {found.mean(name).mean:+.3f}" for name in found.methods if name != found.best)
    return (
        f"Of the methods it does best on {found.images} {noun} of the validation split, with a gain of "
        f"{found.mean(found.best)}; {others}. The gain is the label's probability while the hottest patches are put "
        "into an empty image, less that while they are taken out of the whole one, each in the mean over all shares of "
        "patches; patches in an order by chance gain 0."
    )


def gains_recorded(found: MethodGains) -> dict[str, Any]:
    gains = {name: {"mean": gain.mean, "interval": gain.interval} for name, gain, _ in found.rows()}
    return {"method": found.best, "images": found.images, "gains": gains}


def draw_answers(answered: Answered, method: str, path: Path) -> str:
    """-> a sentence that says what is seen"""
    tested, logits, modality = answered.tested, answered.logits, answered.tested.table.modality
    of_each = max(2, modality.shown // 8)
    wrong = mistakes(logits, tested.labels, of_each)
    right = [row for row in choose(logits, tested.labels, 2 * of_each + len(wrong)) if row not in wrong]
    rows = right[: 2 * of_each - len(wrong)] + wrong
    pixels, _ = tested.pixels(np.array(rows), None)
    shown, said = pixels.float().div(255), logits[rows].softmax(-1).max(-1)
    maps, size = [], (shown.shape[-2], shown.shape[-1])
    for some, targets in zip(shown.split(1), said.indices.split(1), strict=True):
        given = tested.preparation.normalize_(some.clone()).to(answered.model.device)
        maps.append(explain(answered.model, given, method=method, target=targets).heat(size))
    names = answered.names
    answers = [
        Answer(names[best], float(share), names[truth])
        for best, share, truth in zip(said.indices, said.values, tested.labels[rows].tolist(), strict=True)
    ]
    heat = modality.as_images(torch.cat(maps).unsqueeze(-3))[:, 0]
    draw_explained(modality.as_images(shown), heat, answers, path, title=f"What speaks for each answer, by {method}")
    hits = [f"{len(rows) - len(wrong)} right answers"] if len(rows) > len(wrong) else []
    misses = [f"the {len(wrong)} mistakes that it was surest of"] if wrong else []
    return f"What speaks for {' and for '.join(hits + misses)}, by the method {method}."


def inputs(images: ImageBatches, rows: list[int]) -> Tensor:
    """-> b (t) c h w, as the model takes them"""
    pixels, _ = images.pixels(np.array(rows), None)
    return images.preparation.normalize_(pixels.float().div(255))


def evenly(count: int, wanted: int) -> list[int]:
    return np.linspace(0, count - 1, wanted).round().astype(int).tolist()


def at_once(answered: Answered) -> int:
    return min(SCORED_AT_ONCE, answered.batch)
