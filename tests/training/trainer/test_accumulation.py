"""One step over 64 images is the same step, however the images are divided into batches."""

import pytest
import torch
from training.small_runs import Noise, small_model, trainer_of, weights_of


def one_step(folder, batch: int, accumulated: int, images: int, **optimization):
    trainer = trainer_of(
        small_model(),
        folder,
        optimization,
        data=Noise(images),
        max_steps=1,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulated,
        optim="sgd",
        max_grad_norm=0.0,
        train_sampling_strategy="sequential",  # our own order has no ragged batch
    )
    trainer.train()
    return weights_of(trainer.model), trainer.state.log_history[0]["loss"]


@pytest.mark.parametrize("optimization", [{}, {"loss": "bce"}])
@pytest.mark.parametrize(("batch", "accumulated", "images"), [(16, 4, 64), (16, 4, 53), (8, 8, 64)])
def test_accumulated_batches_add_up_to_the_whole_one(tmp_path, batch, accumulated, images, optimization):
    whole, loss = one_step(tmp_path, images, 1, images, **optimization)
    parts, parts_loss = one_step(tmp_path, batch, accumulated, images, **optimization)
    start = small_model().state_dict()
    assert parts_loss == pytest.approx(loss, abs=1e-6)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=0, atol=1e-6)
    assert any((whole[name] - start[name]).abs().max() > 1e-4 for name in whole)
