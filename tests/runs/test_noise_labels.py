"""What is chosen by validation says nothing of the test split: on labels that are noise, its figure is chance."""

from pathlib import Path

import numpy as np
from PIL import Image

from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import Recipe

MODEL = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SEEDS, IMAGES = 20, 160


def noise_folders(root: Path) -> Path:
    """As many images of each of two classes, which show nothing."""
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        folder = root / ("heads" if number % 2 else "tails")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def test_the_figure_of_a_chosen_checkpoint_lies_around_chance_where_labels_are_noise(tmp_path: Path):
    photos, around = noise_folders(tmp_path / "photos"), 0
    for seed in range(SEEDS):
        training = {"output_dir": str(tmp_path / str(seed)), "max_steps": 10, "eval_steps": 2, "learning_rate": 3e-3}
        training |= {"per_device_train_batch_size": 16, "load_best_model_at_end": True, "seed": seed}
        sections = {
            "model": {**MODEL, "intermediate_size": 32},
            "data": {"name": str(photos), "split_seed": seed, "validation_fraction": 0.3},
            "training": {**training, "eval_strategy": "steps", "use_cpu": True, "disable_tqdm": True},
        }
        run = train_prepared(prepare(Recipe(**sections)))  # pyright: ignore[reportArgumentType]
        assert run.trainer.state.best_model_checkpoint is not None
        low, high = run.intervals["accuracy"]
        around += low <= 0.5 <= high
    assert around >= 17
