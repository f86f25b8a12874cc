import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from made_images import class_folders
from torch.optim.lr_scheduler import LambdaLR
from transformers import EvalPrediction, TrainerControl, TrainerState, ViTForImageClassification

from vit_hf.commands.benchmark import main
from vit_hf.commands.benchmark.budget import STEPS, ProcessorBudget
from vit_hf.commands.benchmark.opponents import EXAMPLE_SCRIPT, accuracy_and_f1, opponents_of
from vit_hf.commands.benchmark.recipe import DEFAULT, MATCHED
from vit_hf.commands.benchmark.trained_pairs import Outcome, verdict
from vit_hf.errors import UserError
from vit_hf.runs.prepared_run import PreparedRun
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.recipe import Recipe
from vit_hf.training.recipe.yaml_files import write_yaml

MODEL = {
    "family": "vit",
    "image_size": 8,
    "patch_size": 4,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "position_embedding": "sincos_2d",
    "class_token": False,
    "pooling": "mean",
}


def recipe_of(folder: Path, **training: Any) -> Recipe:
    common = {"output_dir": str(folder / "out"), "num_train_epochs": 1, "per_device_train_batch_size": 4}
    return Recipe(
        model=MODEL,  # pyright: ignore[reportArgumentType]
        data={"name": str(folder / "photos"), "train": {"shift": 0.1}, "mix": {"mixup": 0.8}},  # pyright: ignore[reportArgumentType]
        optimization={"ema": {"decay": 0.9}},  # pyright: ignore[reportArgumentType]
        training={**common, "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", **training},
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for split, count in {"train": 12, "validation": 4, "test": 6}.items():
        class_folders(tmp_path / "photos" / split, {"cat": count, "dog": count})
    return tmp_path


def test_a_budgeted_schedule_follows_the_clock_and_not_the_steps():
    now = [100.0]
    budget = ProcessorBudget(20, clock=lambda: now[0])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / STEPS)
    arguments: Any = SimpleNamespace(load_best_model_at_end=True)
    budget.on_train_begin(arguments, None, None, lr_scheduler=schedule)
    rates = []
    for moment in (100.0, 105.0, 119.0, 119.0):
        now[0] = moment
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert rates == pytest.approx([2.0, 1.5, 0.1, 0.1])


def test_a_budgeted_training_looks_so_many_times_and_stops_when_its_time_is_used_up():
    now = [0.0]
    budget = ProcessorBudget(10, looks=2, clock=lambda: now[0])
    arguments: Any = SimpleNamespace(load_best_model_at_end=False)
    seen = []
    for moment in (1.0, 5.5, 6.0, 10.5):
        now[0] = moment
        state, control = TrainerState(), TrainerControl()
        budget.on_step_end(arguments, state, control)
        seen.append((control.should_evaluate, control.should_training_stop, control.should_save))
    assert seen == [(False, False, False), (True, False, False), (False, False, False), (True, True, False)]


def prepared_by(recipe: Recipe) -> PreparedRun:
    return prepare(recipe)


def test_the_matched_pair_is_one_function_with_one_set_of_weights_and_batches(photos: Path):
    first = prepared_by(recipe_of(photos))
    ours, theirs = opponents_of(first.recipe, first.model.config)[:2]
    assert (ours.pair, theirs.pair) == (MATCHED, MATCHED)
    assert ours.recipe == theirs.recipe
    runs = prepare(ours.recipe), prepare(theirs.recipe)
    trainers = ours.trainer(runs[0]), theirs.trainer(runs[1])
    assert isinstance(trainers[1].model, ViTForImageClassification)
    pixels = torch.randn(3, 3, 8, 8)
    logits = [trainer.model.eval()(pixel_values=pixels).logits for trainer in trainers]  # pyright: ignore[reportOptionalMemberAccess]
    assert torch.allclose(*logits, atol=1e-6)
    batches = [run.batches["train"].__getitems__([0, 5])["pixel_values"] for run in runs]
    assert torch.equal(*batches)
    assert trainers[0].average is None  # pyright: ignore[reportAttributeAccessIssue]


def test_by_default_ours_is_the_recipe_and_theirs_is_as_it_comes(photos: Path):
    first = prepared_by(recipe_of(photos, eval_strategy="epoch"))
    ours, theirs = opponents_of(first.recipe, first.model.config)[2:]
    assert (ours.pair, theirs.pair) == (DEFAULT, DEFAULT)
    assert ours.recipe == first.recipe
    assert theirs.recipe.data.train == EXAMPLE_SCRIPT
    assert theirs.recipe.data.mix is None
    trainer = theirs.trainer(prepare(theirs.recipe))
    assert trainer.model.config.hidden_size == 16  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    assert trainer.model.vit.embeddings.cls_token.shape == (1, 1, 16)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    assert trainer.args.load_best_model_at_end
    assert trainer.args.learning_rate == first.arguments.learning_rate


def test_no_checkpoint_is_chosen_by_a_test_split(photos: Path):
    class_folders(photos / "photos" / "more", {"cat": 12, "dog": 12})
    recipe = recipe_of(photos, eval_strategy="epoch")
    content = recipe.content()
    content["data"]["name"] = str(photos / "photos" / "more")
    first = prepare(Recipe(**content))
    theirs = opponents_of(first.recipe, first.model.config)[3]
    prepared = prepare(theirs.recipe)
    assert theirs.trainer(prepared).args.load_best_model_at_end is (prepared.watched == "validation")


def test_a_family_without_a_like_in_their_vit_is_named(photos: Path):
    content = recipe_of(photos).content()
    content["model"] = {"family": "swin"}
    with pytest.raises(UserError, match="A swin for classification has no like"):
        opponents_of(Recipe(**content), None)


def test_macro_f1_is_the_mean_over_classes_however_many_images_each_has():
    logits = torch.eye(2)[[0, 0, 0, 1]].numpy()
    figures = accuracy_and_f1(EvalPrediction(logits, torch.tensor([0, 0, 1, 1]).numpy()))
    assert figures["accuracy"] == 0.75
    assert figures["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_a_verdict_gives_mean_and_spread_over_seeds_and_the_difference_of_a_pair():
    def outcome(name: str, seed: int, accuracy: float) -> Outcome:
        return Outcome(DEFAULT, name, "ViT", seed, "test", accuracy, accuracy - 0.1, 2.0, 3.0, [])

    ours = [outcome("ours", 0, 0.8), outcome("ours", 1, 0.9)]
    words = verdict([*ours, outcome("theirs", 0, 0.7), outcome("theirs", 1, 0.76)])
    assert "85.0% (80.0% to 90.0%)" in words
    assert "63.0% (60.0% to 66.0%)" in words
    assert "+12.0 points of accuracy, +12.0 of macro F1" in words


def test_the_whole_comparison_trains_both_pairs_for_every_seed_within_its_time(photos: Path, capsys):
    recipe = photos / "recipe.yaml"
    given = recipe_of(photos, learning_rate=1e-3, warmup_steps=0.1, lr_scheduler_type="cosine")
    write_yaml(recipe, given.content())
    out = photos / "figures.json"
    words = ["recipe", str(recipe), "--seeds", "3", "4", "--processor-minutes", "0.01", "--json", str(out)]
    assert main([*words, "--output", str(photos / "trained")]) == 0
    trainings = json.loads(out.read_text())["trainings"]
    assert [one["pair"] for one in trainings] == [MATCHED] * 4 + [DEFAULT] * 4
    assert [one["seed"] for one in trainings] == [3, 4] * 4
    assert [one["model"] for one in trainings[4:]] == ["VisionTransformerForImageClassification"] * 2 + [
        "ViTForImageClassification"
    ] * 2
    assert all(0.009 < one["processor_minutes"] < 0.1 for one in trainings)
    assert "vit_hf against transformers" in capsys.readouterr().out


def test_a_count_of_warm_up_steps_is_no_share_of_a_time(photos: Path, capsys):
    recipe = photos / "recipe.yaml"
    write_yaml(recipe, recipe_of(photos, warmup_steps=40).content())
    assert main(["recipe", str(recipe), "--processor-minutes", "1", "--output", str(photos / "trained")]) == 2
    assert "say a share of it" in capsys.readouterr().err
