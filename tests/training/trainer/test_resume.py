import json
from pathlib import Path
from typing import Any

import pytest
import torch
from killable_runs import Averages, KillAt, Killed, small_images, small_trainer
from safetensors.torch import load_file, save_file
from transformers import EarlyStoppingCallback

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches.streaming import StreamedBatches
from vit_hf.training.trainer import checkpoints
from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.trainer import Trainer

LAST = 18


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoints, "flush_to_disk", lambda path: None)


def everything(trainer: Trainer, averages: Averages | None = None) -> dict[str, Any]:
    """All that a run ends with: weights, moments, averages, what it reported."""
    optimizer: Any = trainer.optimizer
    moments = optimizer.state_dict()["state"]
    found = {f"weights.{name}": value for name, value in trainer.model.state_dict().items()}  # pyright: ignore
    found |= {f"moments.{index}.{name}": own[name] for index, own in moments.items() for name in own}
    if averages:
        found |= {f"averages.{name}": value for name, value in averages.weights.items()}
        found["averages.steps"] = torch.tensor(averages.steps)
    if trainer.average:
        found |= {f"ema.{name}": torch.as_tensor(value) for name, value in trainer.average.state_dict().items()}
        assert trainer.average.updates == trainer.state.global_step
    found["reports"] = reproducible((trainer.run_folder / "metrics.jsonl").read_text())
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    assert one.keys() == other.keys()
    same = {
        name: torch.equal(one[name], other[name]) if isinstance(one[name], torch.Tensor) else one[name] == other[name]
        for name in one
    }
    return [name for name, is_same in same.items() if not is_same]


def killed_and_resumed(folder: Path, steps: list[int], **settings: Any) -> dict[str, Any]:
    """Killed while each of these steps runs, then resumed to the end."""
    for number, step in enumerate(steps):
        killed = small_trainer(folder, Averages(), KillAt(step), **settings)
        with pytest.raises(Killed):
            killed.train(resume_from_checkpoint=number > 0)
    averages = Averages()
    trainer = small_trainer(folder, averages, **settings)
    trainer.train(resume_from_checkpoint=True)
    return everything(trainer, averages)


def uninterrupted(folder: Path, **settings: Any) -> dict[str, Any]:
    averages = Averages()
    trainer = small_trainer(folder, averages, **settings)
    trainer.train()
    assert trainer.state.global_step == LAST
    return everything(trainer, averages)


def test_a_run_killed_at_any_step_ends_as_if_it_had_not_been(tmp_path: Path):
    settings = {"eval_strategy": "steps", "eval_steps": 5}
    expected = uninterrupted(tmp_path / "whole", **settings)
    for step in (1, 6, 11):  # resumed from the start, from the end of an epoch, from the middle of the second
        found = killed_and_resumed(tmp_path / f"killed_{step}", [step], **settings)
        assert differing(expected, found) == [], f"killed in step {step + 1}"


@pytest.mark.parametrize(
    "settings",
    [
        {"logging_strategy": "epoch", "eval_strategy": "epoch", "save_strategy": "epoch"},
        {"logging_strategy": "epoch", "eval_strategy": "epoch", "save_steps": 2},  # a checkpoint as the epoch ends
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
        {"max_steps": 18, "dataloader_drop_last": False, "lr_scheduler_type": "cosine", "warmup_steps": 4},
        {"optim": "sgd", "optim_args": "momentum=0.9", "logging_first_step": True, "eval_on_start": True},
    ],
    ids=["epochs", "steps and epochs", "accumulation", "max_steps", "sgd"],
)
def test_so_does_a_run_of_other_strategies(tmp_path: Path, settings: dict[str, Any]):
    step = 13 if settings.get("save_steps") == 2 else 11  # behind the end of an epoch, or in the middle of one
    expected = uninterrupted(tmp_path / "whole", **settings)
    assert differing(expected, killed_and_resumed(tmp_path / "killed", [step], **settings)) == []


def test_so_does_a_run_with_workers_that_is_killed_twice(tmp_path: Path):
    expected = uninterrupted(tmp_path / "whole")
    assert differing(expected, killed_and_resumed(tmp_path / "killed", [7, 10], dataloader_num_workers=2)) == []


def test_so_does_a_run_of_adapters(tmp_path: Path):
    pytest.importorskip("peft")
    settings = {"optimization": {"lora": {"rank": 2, "dropout": 0.2}, "ema": {"decay": 0.9}}}
    expected = uninterrupted(tmp_path / "whole", **settings)
    assert any("lora_A" in name for name in expected)
    assert differing(expected, killed_and_resumed(tmp_path / "killed", [11], **settings)) == []


class Numbered:
    """Shards of 14 images each, in memory, with the face of a streamed data set."""

    num_shards = 3

    def __init__(self, index: int = 0):
        self.index, self.row = index, 0

    def shard(self, num_shards: int, index: int) -> "Numbered":
        return Numbered(index)

    def __iter__(self):
        while self.row < 14:
            self.row += 1
            yield self.index * 14 + self.row - 1

    def state_dict(self) -> dict[str, int]:
        return {"row": self.row}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.row = state["row"]


def streaming(folder: Path, *callbacks: Any, max_steps: int = LAST) -> Trainer:
    images = small_images(AugmentationPlan.of({"shift": 0.2}), images=42)
    trainer = small_trainer(folder, *callbacks, max_steps=max_steps)
    trainer.train_dataset = StreamedBatches(
        Numbered(), lambda rows, number: images.__getitems__(list(rows)), batch=4, block=8
    )
    return trainer


@pytest.mark.parametrize("step", [2, 7, 14])
def test_so_does_a_run_on_a_stream(tmp_path: Path, step: int):
    whole, resumed = Averages(), Averages()
    expected = streaming(tmp_path / "whole", whole)
    expected.train()
    with pytest.raises(Killed):
        streaming(tmp_path / "killed", Averages(), KillAt(step)).train()
    found = streaming(tmp_path / "killed", resumed)
    found.train(resume_from_checkpoint=True)
    assert differing(everything(expected, whole), everything(found, resumed)) == []


# 6 steps are an epoch: ended in the middle of one, at its end, in the first.
@pytest.mark.parametrize("steps", [4, 8, 12])
@pytest.mark.parametrize("begin", [small_trainer, streaming], ids=["images", "a stream"])
def test_a_run_that_has_ended_takes_no_step_more_however_often_it_is_resumed(tmp_path: Path, begin: Any, steps: int):
    averages = Averages()
    first = begin(tmp_path, averages, max_steps=steps)
    first.train()
    expected = everything(first, averages)
    for _ in range(2):
        averages = Averages()
        again = begin(tmp_path, averages, max_steps=steps)
        again.train(resume_from_checkpoint=True)
        assert again.state.global_step == steps
        found = everything(again, averages)
        assert found.keys() == expected.keys()
        assert [name for name in differing(expected, found) if name != "reports"] == []
        assert found["reports"] == expected["reports"]


def test_a_run_that_had_ended_goes_on_where_more_steps_are_asked_for(tmp_path: Path):
    expected = uninterrupted(tmp_path / "whole", lr_scheduler_type="constant")
    short = {"lr_scheduler_type": "constant", "max_steps": 9, "logging_steps": 3}
    small_trainer(tmp_path / "short", Averages(), **short).train()
    averages = Averages()
    longer = small_trainer(tmp_path / "short", averages, lr_scheduler_type="constant")
    longer.train(resume_from_checkpoint=True)
    found = everything(longer, averages)
    assert [name for name in differing(expected, found) if name != "reports"] == []


def test_the_training_loss_of_a_resumed_run_is_that_of_all_its_steps(tmp_path: Path):
    killed_and_resumed(tmp_path, [10])
    lines = reproducible((tmp_path / "metrics.jsonl").read_text())
    losses = [line["loss"] for line in lines if "loss" in line]
    # Reports after 4, 8, 12 and 16 steps hold a mean each; the last two steps are in the total only.
    assert sum(loss * 4 for loss in losses) < lines[-1]["train_loss"] * LAST
    assert [line["step"] for line in lines] == [4, 8, 12, 16, 18]


def test_early_stopping_goes_on_counting(tmp_path: Path):
    def stopping() -> EarlyStoppingCallback:
        return EarlyStoppingCallback(early_stopping_patience=2, early_stopping_threshold=100.0)

    watch = {"eval_strategy": "steps", "eval_steps": 3, "metric_for_best_model": "accuracy", "greater_is_better": True}
    whole = small_trainer(tmp_path / "whole", stopping(), **watch)
    whole.train()
    with pytest.raises(Killed):
        small_trainer(tmp_path / "killed", stopping(), KillAt(7), **watch).train()
    resumed = small_trainer(tmp_path / "killed", stopping(), **watch)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == whole.state.global_step < LAST
    again = small_trainer(tmp_path / "killed", stopping(), **watch)
    again.train(resume_from_checkpoint=True)  # it had stopped
    assert again.state.global_step == whole.state.global_step
    assert differing(everything(whole), everything(again)) == []


def test_the_best_model_comes_back_with_every_tensor(tmp_path: Path):
    watch = {"eval_strategy": "steps", "eval_steps": 3, "metric_for_best_model": "loss", "load_best_model_at_end": True}
    # Steps this large make later checkpoints worse, so that the best is not the last.
    trainer = small_trainer(tmp_path, learning_rate=0.1, save_total_limit=1, **watch)
    trainer.train()
    best = Path(str(trainer.state.best_model_checkpoint))
    assert best.name != f"checkpoint-{LAST}"
    weights = load_file(best / "model.safetensors")
    state = trainer.model.state_dict()  # pyright: ignore
    assert weights.keys() == state.keys()
    assert [name for name in weights if not torch.equal(weights[name], state[name])] == []


def test_weights_that_do_not_fit_are_named_and_not_left_out(tmp_path: Path):
    small_trainer(tmp_path, max_steps=3).train()
    file = tmp_path / "checkpoint-3" / "model.safetensors"
    weights = load_file(file)
    weights["old_name"] = weights.pop("classifier.weight")
    save_file(weights, file, metadata={"format": "pt"})
    checkpoints.write_manifest(file.parent)
    with pytest.raises(ValueError, match=r"(?s)are not those of this model.*classifier.weight.*old_name"):
        small_trainer(tmp_path, max_steps=6).train(resume_from_checkpoint=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"per_device_train_batch_size": 2}, "run.images_of_one_step was 4 and is 2"),
        ({"seed": 7}, "run.seed was 42 and is 7"),
        ({"recipe": {"training": {"learning_rate": 0.5}}}, "training.learning_rate was 0.01 and is 0.5"),
    ],
)
def test_a_run_that_changed_is_refused_with_what_changed_unless_told(tmp_path: Path, change: dict, named: str, capsys):
    recipe = {"training": {"learning_rate": 0.01}}
    small_trainer(tmp_path, recipe=recipe, max_steps=3).train()
    with pytest.raises(ValueError, match=f"{named}.*--resume-anyway"):
        small_trainer(tmp_path, **{"recipe": recipe, "max_steps": 6, **change}).train(resume_from_checkpoint=True)
    trainer = small_trainer(tmp_path, **{"recipe": recipe, "max_steps": 6, "resume_anyway": True, **change})
    assert trainer.train(resume_from_checkpoint=True).global_step == 6
    assert named in capsys.readouterr().out


def test_what_no_weight_depends_on_may_change(tmp_path: Path):
    small_trainer(tmp_path, recipe={"training": {"output_dir": "a", "save_steps": 3}}, max_steps=3).train()
    recipe = {"training": {"output_dir": "b", "dataloader_num_workers": 4}}
    small_trainer(tmp_path, recipe=recipe, max_steps=6).train(resume_from_checkpoint=True)


def test_another_set_of_parts_is_refused(tmp_path: Path):
    small_trainer(tmp_path, Averages(), max_steps=3).train()
    with pytest.raises(ValueError, match="remembers Averages, ema, and this run has ema"):
        small_trainer(tmp_path, max_steps=6).train(resume_from_checkpoint=True)


def test_a_folder_with_checkpoints_is_not_trained_over(tmp_path: Path):
    small_trainer(tmp_path, max_steps=3).train()
    with pytest.raises(ValueError, match=r"up to checkpoint-3; go on with it \(--resume\)"):
        small_trainer(tmp_path, max_steps=3).train()


def test_without_a_checkpoint_the_run_begins(tmp_path: Path, capsys):
    assert small_trainer(tmp_path, max_steps=2).train(resume_from_checkpoint=True).global_step == 2
    assert "from the start" in capsys.readouterr().out


def test_a_checkpoint_of_the_model_alone_says_so(tmp_path: Path):
    small_trainer(tmp_path, max_steps=3, save_only_model=True).train()
    with pytest.raises(ValueError, match="holds a model only"):
        small_trainer(tmp_path, max_steps=6).train(resume_from_checkpoint=True)


def test_no_file_of_a_checkpoint_needs_pickle(tmp_path: Path):
    small_trainer(tmp_path, Averages(), max_steps=3).train()
    folder = tmp_path / "checkpoint-3"
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".py", ".pt"}
    for path in folder.glob("*.pt"):
        torch.load(path, weights_only=True)
    assert json.loads((folder / "states" / "Averages.json").read_text()) == {"steps": 3}
