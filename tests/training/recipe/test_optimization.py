from pathlib import Path

import pytest
from pydantic import ValidationError
from training.small_runs import small_model, trainer_of

from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.recipe.recipe import load_recipe

EVERYTHING = {
    "batch_size": 64,
    "scale_learning_rate_from": 256,
    "layer_decay": 0.65,
    "loss": "bce",
    "label_smoothing": 0.1,
    "ema": {"decay": 0.999, "warm_up": False, "final": False},
    "distillation": {"teacher": "outputs/big", "kind": "soft", "temperature": 2.0, "alpha": 0.3},
    "freeze": ["vit.embeddings.*"],
    "head_only_steps": 10,
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("model: {size: ti, image_size: 32, patch_size: 4}\ndata: {name: digits}\n")
    return path


def test_a_recipe_says_all_of_it_and_says_it_again(recipe: Path, tmp_path: Path):
    loaded = load_recipe(
        recipe, ["--optimization", "x"][:0] + [f"--optimization.{key}={value}" for key, value in EVERYTHING.items()]
    )
    assert loaded.optimization == OptimizationSettings(**EVERYTHING)  # pyright: ignore[reportArgumentType]
    loaded.save(tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == loaded


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optimization.layr_decay", "0.5"], "'layr_decay'; did you mean 'layer_decay'"),
        (["--optimization.ema", "{decy: 0.9}"], r"optimization.ema: .*did you mean 'decay'"),
        (["--optimization.ema.decay", "1.0"], r"optimization.ema.decay: .*given: 1.0"),
        (["--optimization.distillation", "{teacher: x, kind: token}"], "write model.distillation_token: true"),
        (["--optimization.distillation", "{teacher: x, kind: hard, temperature: 2}"], "does not change which class"),
        (["--optimization", "{lora: {}, freeze: trunk}"], "value"),
        (["--optimization.lora", "{}", "--optimization.freeze", "trunk"], "lora freezes the trunk already"),
        (["--optimization.freeze", "trunk", "--optimization.head_only_steps", "3"], "leave out head_only_steps"),
        (["--optimization.loss", "mae"], r"optimization.loss: .*'cross_entropy', 'bce'"),
        (["--optimization.class_weights", "heavy"], "'heavy' is no weighting; say balanced"),
        (["--optimization.class_weights", "[1, 0]"], "0 is no weight; give positive numbers"),
        (["--optimization.focal_gamma", "1"], "focal_gamma is of the focal loss"),
        (
            ["--optimization.class_weights", "balanced", "--optimization.logit_adjustment", "1"],
            "together for twice as much",
        ),
        (["--optimization.early_stopping", "{patience: 0}"], "early_stopping.patience: .*given: 0"),
        (["--training.train_sampling_strategy", "group_by_length"], "images have none"),
        (["--optimization.masking", "{}"], "say model.task: masked_image_modeling"),
        (["--model.task", "masked_image_modeling", "--optimization.loss", "bce"], "optimization.loss needs labels"),
        (["--model.task", "segmentation"], "'classification' or 'masked_image_modeling'"),
        (["--training.report_to", "trackio"], "trackio is not installed; pip install trackio"),
    ],
)
def test_a_wrong_word_is_a_sentence(recipe: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vit_hf.training.recipe.arguments.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe, words)


def test_every_field_is_described_or_speaks_for_itself():
    section = OptimizationSettings.model_fields
    undescribed = [name for name, field in section.items() if not field.description]
    assert undescribed == ["early_stopping", "ema", "distillation", "lora"]


def test_settings_do_not_change_under_way():
    with pytest.raises(ValidationError):
        OptimizationSettings().layer_decay = 0.5  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("optimization", "arguments", "message"),
    [
        ({}, {"label_smoothing_factor": 0.1}, "optimization.label_smoothing: 0.1 instead"),
        ({"loss": "mse"}, {}, "loss: mse is not for one class of each image.* cross_entropy or bce or focal is"),
        (
            {"ema": {}},
            {
                "load_best_model_at_end": True,
                "eval_strategy": "steps",
                "save_strategy": "steps",
                "save_only_model": True,
            },
            "save_only_model leaves averaged weights out",
        ),
    ],
)
def test_fields_of_which_one_would_undo_the_other_are_refused(tmp_path, optimization, arguments, message: str):
    with pytest.raises(ValueError, match=message):
        trainer_of(small_model(), tmp_path, optimization, **arguments)
