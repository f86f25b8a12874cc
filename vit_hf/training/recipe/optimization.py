"""The `optimization:` section of a recipe: what `TrainingArguments` has no words for."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ...errors import UserError
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

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0, description="the product of the two matrices is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | None = Field(
        default=None, description="ends of the names of Linears; by default every one in the layers"
    )


class MaskingSettings(Section):
    """Which patches a model for masked images has to paint. Source: SimMIM (arXiv:2111.09886)."""

    ratio: float = Field(default=0.6, gt=0, lt=1, description="share of the image that is hidden")
    patch_size: int | None = Field(default=None, ge=1, description="side of a hidden square; by default 2 patches")


class OptimizationSettings(Section):
    """What is minimized, over which weights, in which steps."""

    batch_size: int | None = Field(
        default=None, ge=1, description="of a whole step: over all processes and accumulated batches"
    )
    scale_learning_rate_from: int | None = Field(
        default=None, ge=1, description="the batch that training.learning_rate is meant for; scaled in proportion"
    )
    optimizer: Literal["lamb", "lion", "muon"] | None = Field(
        default=None, description="timm's, instead of the one that training.optim names"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor on the learning rate for each layer further from the head"
    )
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="spread over all labels; in training only")
    temperature_scaling: bool = Field(
        default=True, description="classes: where there is a validation split, it chooses config.temperature at the end"
    )
    ema: EmaSettings | None = None
    distillation: DistillationSettings | None = None
    freeze: Freeze = Field(
        default="none", description="nothing, the trunk (a linear probe), or patterns of names such as vit.layers.0.*"
    )
    head_only_steps: int = Field(default=0, ge=0, description="first steps in which only the head learns")
    lora: LoraSettings | None = None
    masking: MaskingSettings | None = Field(default=None, description="for model.task: masked_image_modeling")

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
        for name in ("loss", "label_smoothing", "distillation"):
            if getattr(self, name) != getattr(plain, name):
                raise UserError(f"optimization.{name} needs labels, and masked images have none; leave it out.")
