"""Training on masked images, without labels: the beginning of a classifier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard, ModelCardData

from ..cards.trained import code_block, escape
from ..families import FAMILIES
from ..files import name_for_others
from ..finished_folder import aside_of_run, begin_aside, put_in_place, weights_kept
from ..plots.galleries import draw_reconstructions
from ..training.trainer.trainer import Trainer
from ..weight_hash import hash_in_words, weight_hash
from .prepared_run import PreparedRun
from .results import save_history
from .train import OnceItBegins, make_room, run_trainer, writing

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
        """recipe.yaml, metrics.json, README.md and two pictures beside the weights, and all of it in place."""
        prepared, trainer, aside = self.prepared, self.trainer, aside_of_run(self.folder)
        metrics = {"split": self.split, "loss": self.loss, "training_seconds": round(self.seconds, 1)}
        metrics["weights_sha256"] = weight_hash(aside)
        with weights_kept(self.folder):
            save_history(prepared.recipe, trainer, metrics, aside, split=prepared.watched)
            draw_reconstructions(*paint(prepared, trainer), aside / "reconstructions.png")
            card(prepared, self.folder, metrics).save(aside / "README.md")
        put_in_place(self.folder)


def pretrain(
    prepared: PreparedRun, resume: str | bool | None = None, *, anyway: bool = False, overwrite: bool = False
) -> PretrainedRun:
    """Train on masked images, and measure on the held-out split; resume, anyway, overwrite: as in `train_prepared`."""
    with writing(prepared):
        return pretrain_alone(prepared, resume, anyway=anyway, overwrite=overwrite)


def pretrain_alone(prepared: PreparedRun, resume: str | bool | None, *, anyway: bool, overwrite: bool) -> PretrainedRun:
    """As `pretrain`, where nobody else writes."""
    trainer = prepared.trainer(resume_anyway=anyway)
    make_room(trainer, resume, overwrite=overwrite)
    trainer.add_callback(OnceItBegins(lambda: begin_aside(trainer.run_folder)))
    seconds = run_trainer(trainer, resume)
    trainer.save_model(str(aside_of_run(trainer.run_folder)))
    split = prepared.data.held_out
    with weights_kept(trainer.run_folder, writes=trainer.is_world_process_zero()):
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
        f"Weights: {hash_in_words(metrics['weights_sha256'])}.\n\n"
        f"## Recipe\n\n{code_block((aside_of_run(folder) / 'recipe.yaml').read_text(encoding='utf-8'))}\n"
    )
