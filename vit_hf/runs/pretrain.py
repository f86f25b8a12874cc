"""Training on masked images, without labels: the beginning of a classifier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard, ModelCardData

from ..cards.trained import code_block, escape
from ..families import FAMILIES
from ..files import name_for_others
from ..plots.galleries import draw_reconstructions
from ..training.trainer.trainer import Trainer
from .prepared_run import PreparedRun
from .results import save_history
from .train import run_trainer

IMAGES_PAINTED = 8


@dataclass(frozen=True)
class PretrainedRun:
    """A model that has learned to paint masked images. loss: the mean absolute error of the hidden pixels of `split`,
    in standard deviations."""

    prepared: PreparedRun
    trainer: Trainer
    split: str
    loss: float
    seconds: float

    @property
    def folder(self) -> Path:
        return Path(str(self.trainer.args.output_dir))

    def save(self) -> None:
        """recipe.yaml, metrics.json, README.md and two pictures, beside the weights."""
        prepared, trainer, folder = self.prepared, self.trainer, self.folder
        metrics = {"split": self.split, "loss": self.loss, "training_seconds": round(self.seconds, 1)}
        save_history(prepared.recipe, trainer, metrics, folder, split=prepared.watched)
        draw_reconstructions(*paint(prepared, trainer), folder / "reconstructions.png")
        card(prepared, folder, metrics).save(folder / "README.md")


def pretrain(prepared: PreparedRun, resume: str | bool | None = None, *, anyway: bool = False) -> PretrainedRun:
    """Train on masked images, and measure on the held-out split; resume, anyway: as in `train`."""
    trainer = prepared.trainer(resume_anyway=anyway)
    seconds = run_trainer(trainer, resume)
    trainer.save_model()
    split = prepared.data.held_out
    loss = trainer.evaluate(prepared.masked(split), metric_key_prefix="final")["final_loss"]  # pyright: ignore[reportArgumentType]
    return PretrainedRun(prepared, trainer, split, loss, seconds)


@torch.inference_mode()
def paint(prepared: PreparedRun, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """-> images, the same with the hidden squares gray, and with them painted; each b c h w, from 0 to 1"""
    images = prepared.masked(prepared.data.held_out)
    batch = images.__getitems__(range(min(IMAGES_PAINTED, len(images))))
    model: Any = trainer.model
    device = next(model.parameters()).device
    outputs = model.eval()(**{name: values.to(device) for name, values in batch.items()})
    hidden = model.pixels_of(batch["bool_masked_pos"], model.config.patch_grid)
    mean, std = prepared.preparation.mean, prepared.preparation.std
    shown = batch["pixel_values"] * std + mean
    painted = outputs.reconstruction.cpu() * std + mean
    return shown, torch.where(hidden, 0.5, shown), torch.where(hidden, painted, shown)


def card(prepared: PreparedRun, folder: Path, metrics: dict[str, Any]) -> ModelCard:
    recipe, settings = prepared.recipe, prepared.recipe.data
    name = recipe.card.name or folder.resolve().name
    source = name_for_others(settings.name)
    data = ModelCardData(
        library_name="transformers",
        license=recipe.card.license,
        tags=sorted({"vision", recipe.model.family, "masked-image-modeling", "custom_code", *recipe.card.tags}),
        model_name=name,
    )
    return ModelCard(
        f"---\n{data.to_yaml()}\n---\n\n# {escape(name)}\n\n{recipe.card.description or ''}\n\n"
        f"A {FAMILIES[recipe.model.family].title} of {prepared.model.num_parameters():,} parameters that learned to "
        f"paint the hidden part of images (SimMIM, arXiv:2111.09886) from {len(prepared.batches['train']):,} images of "
        f"{escape(source)}, without their labels. It is meant as the beginning of a classifier.\n\n"
        f"Mean absolute error of the hidden pixels of the {metrics['split']} split, in standard deviations: "
        f"{metrics['loss']:.4f}.\n\n![Images, hidden and painted](reconstructions.png)\n\n"
        "![Loss during training](training_curve.png)\n\n"
        f"## Recipe\n\n{code_block((folder / 'recipe.yaml').read_text(encoding='utf-8'))}\n"
    )
