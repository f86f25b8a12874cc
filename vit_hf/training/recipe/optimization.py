"""The `optimization:` section of a recipe: what `TrainingArguments` has no words for."""

from math import inf
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ...errors import UserError
from ...fewer_tokens.schedule import TokenMergingSettings
from ...settings import Section

Freeze = Literal["none", "trunk"] | list[str]


class EmaSettings(Section):
    """A moving average of the weights, which often classifies better than the weights themselves."""

    decay: float = Field(default=0.9999, ge=0, lt=1, description="share of the average that an update keeps")
    warm_up: bool = Field(default=True, description="keep at most (1 + n) / (10 + n) at the update n = 0, 1, ...")
    final: bool = Field(default=True, description="the average becomes the finished model")


class DistillationSettings(Section):
    """Learn from what another classifier says of the same images. A model with a distillation token learns it by that
    token's head, and labels by the other."""

    teacher: str = Field(description="the output folder of a training, or the id of a model on the Hub")
    kind: Literal["soft", "hard"] = Field(default="soft", description="its probabilities, or its best class alone")
    temperature: float = Field(default=1.0, gt=0, description="divides both logits; soft only")
    alpha: float = Field(default=0.5, gt=0, le=1, description="the teacher's share of the loss")

    @field_validator("kind", mode="before")
    @classmethod
    def refuse_token(cls, kind):
        if kind == "token":
            raise UserError(
                "a distillation token is a part of the model: write model.distillation_token: true, and here 'soft' or "
                "'hard'."
            )
        return kind

    @model_validator(mode="after")
    def refuse_temperature_without_use(self):
        if self.kind == "hard" and self.temperature != 1:
            raise UserError("a temperature does not change which class is the best; leave it out, or take kind: soft.")
        return self


class LoraSettings(Section):
    """Train narrow matrices beside the frozen ones; at the end they are added in, and the model is a plain one."""

    rank: int = Field(default=8, ge=1, description="width of the narrow matrices")
    alpha: float = Field(default=16, gt=0, description="the product of the two matrices is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of what goes into them")
    targets: list[str] | None = Field(
        default=None, description="ends of the names of Linears; by default every one in the layers"
    )


class MaskingSettings(Section):
    """Which patches a model for masked images has to paint. Source: SimMIM (arXiv:2111.09886)."""

    ratio: float = Field(default=0.6, gt=0, lt=1, description="share of the image that is hidden")
    patch_size: int | None = Field(default=None, ge=1, description="side of a hidden square; by default 2 patches")


class EarlyStoppingSettings(Section):
    """End the training where validation has not become better for a while; the best weights become the model."""

    patience: int = Field(default=5, ge=1, description="evaluations without an improvement after which training ends")
    min_delta: float = Field(default=0.0, ge=0, description="a smaller improvement counts as none")


class ProgressiveResizingSettings(Section):
    """Train on smaller images first, and on whole ones at the end: more steps in the same time."""

    initial_scale: float = Field(default=0.5, gt=0, lt=1, description="of a side, in the first steps")
    delay_fraction: float = Field(default=0.5, ge=0, le=1, description="share of the steps before sides grow")
    finetune_fraction: float = Field(default=0.2, ge=0, le=1, description="share of the steps at the whole size, last")
    size_increment: int = Field(default=32, ge=1, description="pixels by which sides grow, a multiple of the patch's")

    @model_validator(mode="after")
    def refuse_more_than_all(self):
        if self.delay_fraction + self.finetune_fraction > 1:
            raise UserError(
                f"delay_fraction {self.delay_fraction:g} and finetune_fraction {self.finetune_fraction:g} are together "
                "more than the whole training; make one of them smaller."
            )
        return self


LossWord = Literal["cross_entropy", "bce", "focal", "mse", "l1", "huber"]


class OptimizationSettings(Section):
    """What is minimized, over which weights, in which steps."""

    batch_size: int | None = Field(
        default=None, ge=1, description="of a whole step: over all processes and accumulated batches"
    )
    scale_learning_rate_from: int | None = Field(
        default=None, ge=1, description="the batch that training.learning_rate is meant for; scaled in proportion"
    )
    optimizer: Literal["lamb", "lion", "muon"] | None = Field(
        default=None, description="instead of the one that training.optim names; lamb and lion are timm's"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor on the learning rate for each layer further from the head"
    )
    loss: LossWord | None = Field(
        default=None,
        description="one class: cross_entropy, bce, focal; several labels: bce, focal; numbers: mse, l1, huber, "
        "of which all are in standard deviations, also the delta of huber, 1",
    )
    focal_gamma: float = Field(default=2.0, ge=0, description="focal: how little an image counts that is right already")
    class_weights: Literal["balanced"] | dict[str, float] | list[float] | None = Field(
        default=None, description="balanced, or a number for each class (by name, the others 1; or a list)"
    )
    logit_adjustment: float | None = Field(
        default=None, gt=0, description="tau: rare classes have to win by more in training; 1 is the usual"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="spread over all labels; in training only")
    early_stopping: EarlyStoppingSettings | None = None
    temperature_scaling: bool = Field(
        default=True, description="classes: where there is a validation split, it chooses config.temperature at the end"
    )
    ema: EmaSettings | None = None
    distillation: DistillationSettings | None = None
    freeze: Freeze = Field(
        default="none", description="nothing, the trunk (a linear probe), or patterns of names such as vit.layers.0.*"
    )
    head_only_steps: int = Field(default=0, ge=0, description="first steps in which only the head learns")
    probe: bool = Field(
        default=False,
        description="fine-tuning begins with logistic regression on frozen features, and is undone if that is better",
    )
    lora: LoraSettings | None = None
    masking: MaskingSettings | None = Field(default=None, description="for model.task: masked_image_modeling")
    progressive_resizing: ProgressiveResizingSettings | None = Field(default=None, description="smaller images first")
    token_merging: TokenMergingSettings | None = Field(default=None, description="ViT: in training, not in the model")
    patch_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="ViT: share of the patches that each step leaves out of each image"
    )

    @field_validator("class_weights", mode="before")
    @classmethod
    def read_class_weights(cls, weights):
        """Names that YAML takes for numbers are names all the same."""
        if isinstance(weights, str) and weights != "balanced":
            raise UserError(f"{weights!r} is no weighting; say balanced, {{name: 2.0}}, or a list of a number each.")
        return {str(name): weight for name, weight in weights.items()} if isinstance(weights, dict) else weights

    @model_validator(mode="after")
    def refuse_lopsided_losses(self):
        weights = self.class_weights
        numbers = weights.values() if isinstance(weights, dict) else weights if isinstance(weights, list) else []
        if wrong := [number for number in numbers if not 0 < number < inf]:
            raise UserError(f"class_weights: {wrong[0]:g} is no weight; give positive numbers.")
        if self.class_weights == "balanced" and self.logit_adjustment is not None:
            raise UserError(
                "class_weights: balanced and logit_adjustment both make up for rare classes, and together for twice as "
                "much; leave one of the two out."
            )
        if self.focal_gamma != 2.0 and self.loss != "focal":
            raise UserError("focal_gamma is of the focal loss; say loss: focal, or leave it out.")
        return self

    @model_validator(mode="after")
    def refuse_contradictions(self):
        if self.lora and self.freeze != "none":
            raise UserError("lora freezes the trunk already; leave out freeze.")
        if self.head_only_steps and self.freeze == "trunk":
            raise UserError("freeze: trunk trains the head alone in every step; leave out head_only_steps.")
        return self

    def refuse_what_needs_classes(self) -> None:
        """Raises: UserError where a field says something of labels, which masked images do not have."""
        plain = type(self)()
        for name in ("loss", "label_smoothing", "class_weights", "logit_adjustment", "distillation"):
            if getattr(self, name) != getattr(plain, name):
                raise UserError(f"optimization.{name} needs labels, and masked images have none; leave it out.")
        if self.progressive_resizing is not None:
            raise UserError(
                "optimization.progressive_resizing: which patches are hidden is drawn for whole images; leave it out."
            )
