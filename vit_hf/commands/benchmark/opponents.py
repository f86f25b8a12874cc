"""The two pairs that a recipe is judged by: one model in both libraries, and each library as it would be used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import transformers
from transformers import EvalPrediction, ViTConfig, ViTForImageClassification

from ...conversion.transformers.convert import to_transformers
from ...data.batches.dataset import collate
from ...errors import UserError
from ...runs.prepared_run import PreparedRun
from ...training.recipe.recipe import Recipe
from .recipe import DEFAULT, MATCHED

SIZES = (
    "image_size",
    "patch_size",
    "num_channels",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
)
EXAMPLE_SCRIPT = {"random_resized_crop": True, "flip": 0.5}  # of transformers: run_image_classification.py


@dataclass(frozen=True)
class Contender:
    """A training, by what it is called. their_model: what transformers' Trainer trains; None for ours."""

    pair: str
    name: str
    recipe: Recipe
    their_model: Callable[[PreparedRun], Any] | None = None
    chooses: bool = False  # the checkpoint that was the best on a validation split, as the recipe does not say it

    def trainer(self, prepared: PreparedRun) -> transformers.Trainer:
        """Raises: UserError for data that transformers' Trainer could not take in this order."""
        if self.their_model is None:
            return prepared.trainer()
        if (train_data := prepared.batches.get("train")) is None:
            raise UserError("transformers' Trainer cannot resume nor share out our streams; leave out data.streaming.")
        if self.chooses and prepared.watched == "validation":
            choose_best(prepared.arguments)
        transformers.set_seed(prepared.arguments.seed)
        return transformers.Trainer(
            model=self.their_model(prepared),
            args=prepared.arguments,
            train_dataset=train_data,
            eval_dataset=prepared.batches.get("validation"),
            data_collator=collate,
            compute_metrics=accuracy_and_f1,
        )


def choose_best(arguments: transformers.TrainingArguments) -> None:
    """Save where it is evaluated, and end with the most accurate; in place."""
    arguments.save_strategy = arguments.eval_strategy  # pyright: ignore[reportAttributeAccessIssue]
    arguments.save_steps = arguments.eval_steps or arguments.save_steps
    arguments.save_total_limit, arguments.save_only_model = 1, True
    arguments.metric_for_best_model, arguments.greater_is_better = "accuracy", True
    arguments.load_best_model_at_end = arguments.eval_strategy != "no"


def accuracy_and_f1(prediction: EvalPrediction) -> dict[str, float]:
    """Shares: of images that are right, and the mean over the classes of their F1."""
    from sklearn.metrics import f1_score

    logits: Any = prediction.predictions
    found = logits.argmax(-1)
    return {
        "accuracy": float((found == prediction.label_ids).mean()),
        "macro_f1": float(f1_score(prediction.label_ids, found, average="macro")),
    }


def their_vit(prepared: PreparedRun) -> ViTForImageClassification:
    """As it comes, in the sizes of the model that was prepared."""
    ours = prepared.model.config
    sizes = {name: getattr(ours, name) for name in SIZES}
    return ViTForImageClassification(ViTConfig(**sizes, id2label=ours.id2label, label2id=ours.label2id))


def their_twin(prepared: PreparedRun) -> Any:
    """The same function as the model that was prepared, with the same first weights."""
    return to_transformers(prepared.model)


def with_plain_steps(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    """What transformers' Trainer can do too: no averaged weights, no mixed images; and `sections` laid over it."""
    content = recipe.content()
    data = {name: value for name, value in content["data"].items() if name not in ("mix", "repeats")}
    laid = {"data": {**data, **sections.get("data", {})}, "model": sections.get("model", content["model"])}
    return Recipe(**{**content, **laid, "optimization": {}})


def opponents_of(recipe: Recipe, config: Any) -> list[Contender]:
    """recipe: as it was resolved for the data; config: of its model.

    The matched pair has transformers' positions, class token and pooling, one set of first weights, and the recipe's
    batches. By default ours is the recipe, and theirs a ViT of its sizes in the augmentation of their example script,
    with the recipe's batch, rates and schedule, as the Trainer's own rates are for pretrained weights.

    Raises: UserError for a model that is no Vision Transformer.
    """
    if recipe.model.family != "vit" or recipe.model.task != "classification":
        raise UserError(f"A {recipe.model.family} for {recipe.model.task} has no like in transformers' ViT.")
    plain = {"family": "vit", **{name: getattr(config, name) for name in SIZES}}
    alike = with_plain_steps(recipe, model=plain)
    example = with_plain_steps(recipe, model=plain, data={"train": EXAMPLE_SCRIPT})
    return [
        Contender(MATCHED, "vit_hf, its Trainer and transformers' kind of ViT", alike),
        Contender(MATCHED, "transformers, its Trainer and ViT", alike, their_twin),
        Contender(DEFAULT, "vit_hf by the recipe", recipe),
        Contender(DEFAULT, "transformers' ViT, Trainer and augmentation", example, their_vit, chooses=True),
    ]
