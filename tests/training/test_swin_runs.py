"""A Swin Transformer trains as a ViT does: it learns, resumes to the bit, and begins pretrained."""

import pytest
import torch
from tiny import V2, tiny_swin
from training.small_runs import NAMES, Noise, trainer_of, weights_of

from vit_hf import SwinTransformerForImageClassification, SwinTransformerModel
from vit_hf.runs.initial_model import build_classifier, build_masked_image_model, continue_classifier


def small_swin(**fields):
    torch.manual_seed(0)
    fields = {"image_size": 8, "window_size": 3, "drop_path_rate": 0.3, "id2label": NAMES, **fields}
    return tiny_swin(SwinTransformerForImageClassification, **fields)


def test_it_learns_by_heart(tmp_path):
    data = Noise(8)
    trainer = trainer_of(
        small_swin(drop_path_rate=0.0), tmp_path, data=data, max_steps=60, per_device_train_batch_size=8
    )
    trainer.train()
    logits = trainer.model.eval()(data.pixels).logits
    assert (logits.argmax(-1) == data.labels).all()


@pytest.mark.parametrize(
    ("optimization", "words"), [({}, {}), ({"ema": {"decay": 0.5}, "layer_decay": 0.7}, {}), ({}, V2)]
)
def test_a_resumed_run_ends_with_the_same_bits(optimization, words, tmp_path):
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    whole = trainer_of(small_swin(**words), tmp_path / "whole", optimization, **settings)
    whole.train()
    resumed = trainer_of(small_swin(**words), tmp_path / "whole", optimization, **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    expected = weights_of(whole.model)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(resumed.model).items())


def test_a_pretrained_encoder_becomes_a_classifier_with_other_windows():
    pretrained = tiny_swin(SwinTransformerModel)
    settings = {"window_size": 3, "image_size": 24, "drop_path_rate": 0.2}
    model = continue_classifier(pretrained, settings, ["ant", "bee"], "there")
    assert model.swin.stages[0].layers[0].attention.relative_bias.table.shape == (25, 2)
    assert model.swin.stages[1].layers[1].drop_path.rate == pytest.approx(0.2)
    assert torch.equal(model.swin.state_dict()["norm.weight"], pretrained.state_dict()["norm.weight"])
    with pytest.raises(ValueError, match="are of a model with embed_dim=8, which cannot be changed"):
        continue_classifier(pretrained, {"embed_dim": 16}, ["ant"], "there")


def test_a_size_by_name_is_a_model_that_knows_its_labels():
    with torch.device("meta"):
        model = build_classifier("swin", {"embed_dim": 96, "depths": [2, 2, 6, 2]}, ["ant", "bee"])
    assert model.config.id2label == {0: "ant", 1: "bee"}
    with pytest.raises(ValueError, match="The family timesformer has no model for masked images; vit, swin has"):
        build_masked_image_model("timesformer", {})
