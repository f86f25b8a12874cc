from pathlib import Path

import pytest
import torch
from killable_runs import small_images, small_trainer

from vit_hf.data.batches.dataset import ImageBatches


def train_on(images: ImageBatches, folder: Path, workers: int) -> int:
    """-> steps taken"""
    trainer = small_trainer(folder, dataloader_num_workers=workers, max_steps=2)
    trainer.train_dataset = images
    return trainer.train().global_step


@pytest.mark.parametrize("workers", [0, 1])
def test_pixels_that_break_on_the_device_stop_the_run_by_the_name_of_their_image(tmp_path: Path, workers: int):
    images = small_images()
    images.check_finite = True
    assert train_on(images, tmp_path / "whole", workers) == 2
    images.preparation.mean = torch.tensor([[[torch.nan]]])
    with pytest.raises(ValueError, match=r"train\[\d+\] has NaN or infinite pixels once it is prepared"):
        train_on(images, tmp_path / "broken", workers)
