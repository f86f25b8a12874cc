"""Losses, averages, layer decay and optimizers against timm's."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from timm.data.mixup import mixup_target
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.models.vision_transformer import VisionTransformer
from timm.optim import muon as timm_muon
from timm.optim import param_groups_layer_decay
from timm.utils import ModelEmaV3
from torch import nn
from training.small_runs import small_model, trainer_of, weights_of

from vit_hf.training.ema import MovingAverage
from vit_hf.training.losses import binary_cross_entropy, cross_entropy
from vit_hf.training.optimizer import parameter_groups
from vit_hf.training.trainer import muon

LOGITS, LABELS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 4, 2, 2, 1, 3])


def equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_on_labels_and_on_mixed_images_are_timms(smoothing: float):
    mixed = mixup_target(LABELS, 5, lam=0.3, smoothing=smoothing)
    plain = mixup_target(LABELS, 5, lam=0.3, smoothing=0.0)
    equal(binary_cross_entropy(LOGITS, LABELS, smoothing), BinaryCrossEntropy(smoothing)(LOGITS, LABELS))
    equal(binary_cross_entropy(LOGITS, plain, smoothing), BinaryCrossEntropy()(LOGITS, mixed))
    equal(cross_entropy(LOGITS, plain, smoothing), SoftTargetCrossEntropy()(LOGITS, mixed))
    if smoothing:
        equal(cross_entropy(LOGITS, LABELS, smoothing), LabelSmoothingCrossEntropy(smoothing)(LOGITS, LABELS))


def test_the_moving_average_is_timms():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ours, theirs = MovingAverage(model, decay=0.9, warm_up=False), ModelEmaV3(model, decay=0.9)
    for _ in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(8, 3))
        ours.update(model)
        theirs.update(model)
    for name, tensor in theirs.module.state_dict().items():
        torch.testing.assert_close(ours.average[name], tensor, rtol=0, atol=1e-6)


def test_layers_decay_as_in_timm():
    # But for the last norm, which timm counts to the last layer, and BEiT and MAE to the head, as we do.
    theirs = VisionTransformer(img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    kept = theirs.no_weight_decay()
    expected = {
        id(parameter): (group["lr_scale"], group["weight_decay"])
        for group in param_groups_layer_decay(theirs, 0.05, no_weight_decay_list=kept, layer_decay=0.5)
        for parameter in group["params"]
    }
    by_name = {name: expected[id(parameter)] for name, parameter in theirs.named_parameters()}
    ours = small_model()
    decaying = [f"{name}.weight" for name, module in ours.named_modules() if isinstance(module, nn.Linear)]
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in parameter_groups(ours, decaying, learning_rate=1.0, weight_decay=0.05, layer_decay=0.5)
        for parameter in group["params"]
    }
    pairs = {
        "cls_token": "vit.embeddings.class_token",
        "pos_embed": "vit.embeddings.positions.table",
        "patch_embed.proj.weight": "vit.embeddings.patches.projection.weight",
        "head.weight": "classifier.weight",
        "head.bias": "classifier.bias",
        **{
            f"blocks.{layer}.{theirs}": f"vit.layers.{layer}.{ours}"
            for layer in (0, 1)
            for theirs, ours in {
                "norm1.weight": "attention_norm.weight",
                "attn.qkv.weight": "attention.qkv.weight",
                "attn.proj.bias": "attention.output.bias",
                "mlp.fc2.weight": "feed_forward.outer.weight",
            }.items()
        },
    }
    names = dict(ours.named_parameters())
    assert {name: found[id(names[other])] for name, other in pairs.items()} == {name: by_name[name] for name in pairs}


@pytest.mark.parametrize("word", ["lamb", "lion"])
def test_timms_optimizers_train_within_the_trainer_over_groups(tmp_path, word: str):
    model = small_model()
    before = weights_of(model)
    trainer = trainer_of(model, tmp_path, {"optimizer": word, "layer_decay": 0.5}, weight_decay=0.1, max_steps=3)
    trainer.train()
    assert type(trainer.optimizer.optimizer).__name__.lower() == word
    assert {round(group["initial_lr"], 8) for group in trainer.optimizer.param_groups} == {0.01, 0.005, 0.0025, 0.00125}
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert all(torch.isfinite(torch.tensor(losses)))


def test_muon_finds_what_timms_finds(monkeypatch: pytest.MonkeyPatch):
    """In double precision, for half of it rounds products of several matrices in another order."""
    exact = timm_muon.zeropower_via_newtonschulz
    monkeypatch.setattr(timm_muon, "zeropower_via_newtonschulz", partial(exact, dtype=torch.float64))
    monkeypatch.setattr(muon, "PRECISION", torch.float64)
    numbers = {"lr": 0.01, "weight_decay": 0.1}
    model = small_model(position_embedding="embedding", patch_embedding="conv", num_hidden_layers=3).double()
    other = deepcopy(model)
    ours, theirs = muon.Muon(model.parameters(), **numbers), timm_muon.Muon(other.parameters(), **numbers)
    for seed in range(4):
        torch.manual_seed(seed)
        for one, again in zip(model.parameters(), other.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            again.grad = one.grad.clone()
        ours.step()
        theirs.step()
    for (name, one), again in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, again, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")
