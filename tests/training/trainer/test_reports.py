"""What a run reports, in the places where it is looked at."""

from pathlib import Path

import pytest
from training.small_runs import small_model, trainer_of

from vit_hf.training.trainer.callbacks import reproducible

FIGURES = {"train/loss", "train/images_per_second", "train/mfu", "train/peak_memory_gib", "train/data_wait"}
EVALUATIONS = {"eval/loss", "eval/accuracy", "eval/ema_loss", "eval/ema_accuracy"}


def test_tensorboard_shows_the_figures_of_the_log(tmp_path: Path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer_of(
        small_model(), tmp_path, {"ema": {}}, eval_strategy="steps", eval_steps=1, report_to="tensorboard"
    ).train()
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    shown = events.EventAccumulator(str(file))
    shown.Reload()
    assert set(shown.Tags()["scalars"]) >= FIGURES | EVALUATIONS
    logged = [line["loss"] for line in reproducible((tmp_path / "metrics.jsonl").read_text()) if "loss" in line]
    assert [event.value for event in shown.Scalars("train/loss")] == pytest.approx(logged)
