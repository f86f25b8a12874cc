"""Maps of gradients and of hidden patches: numbers by hand, sums that must hold, and sentences."""

import sys

import pytest
import torch
from tiny import clips, images, tiny, tiny_swin, tiny_timesformer
from torch import nn

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
)
from vit_hf.errors import UserError
from vit_hf.explanation.gradient_maps import default_layer, grad_cam, hide, integrated_gradients, occlusion

NONE = torch.zeros(2).long()


def test_of_a_mean_of_tokens_the_map_is_what_the_classifier_makes_of_each():
    model = tiny(VisionTransformerForImageClassification, pooling="mean", class_token=False)
    pixels, targets = images(), torch.tensor([1, 3])
    tokens = model.vit(pixels).last_hidden_state
    expected = (tokens @ model.classifier.weight.T).gather(2, targets[:, None, None].expand(-1, 16, -1))[..., 0]
    found = grad_cam(model, pixels, targets, layer="vit.norm")
    torch.testing.assert_close(found.flatten(1), expected.clamp(min=0) / 16)


def test_the_layer_is_where_the_head_still_reads_patches():
    one = default_layer(tiny(VisionTransformerForImageClassification))
    assert one == "vit.layers.1.attention_norm"
    mean = default_layer(tiny(VisionTransformerForImageClassification, pooling="mean"))
    assert mean == "vit.layers.1.attention_norm"
    swin = default_layer(tiny_swin(SwinTransformerForImageClassification))
    assert swin == "swin.stages.1.layers.1.feed_forward_norm"
    clip = default_layer(tiny_timesformer(TimeSformerForVideoClassification))
    assert clip == "timesformer.layers.1.attention_norm"


def test_behind_the_last_attention_a_class_token_leaves_no_map():
    model = tiny(VisionTransformerForImageClassification)
    pixels = images()
    assert grad_cam(model, pixels, NONE, layer="vit.layers.1").sum() == 0
    assert grad_cam(model, pixels, NONE).sum() > 0


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ("vit.layers.1.attention_nor", "did you mean 'vit.layers.1.attention_norm'"),
        ("vit.pool", "no place for each patch"),
        ("vit.embeddings.patches.projection", None),
    ],
)
def test_layers_are_named_as_modules_are(layer, sentence):
    model = tiny(VisionTransformerForImageClassification)
    if sentence is None:
        assert grad_cam(model, images(), NONE, layer=layer).shape == (2, 4, 4)
        return
    with pytest.raises(UserError, match=sentence):
        grad_cam(model, images(), NONE, layer=layer)


def test_a_layer_that_takes_no_part_is_refused():
    model = tiny(VisionTransformerForImageClassification)
    model.spare = nn.LayerNorm(4)
    with pytest.raises(UserError, match="LayerNorm takes no part"):
        grad_cam(model, images(), NONE, layer="spare")


def test_gradients_along_the_way_add_up_to_what_the_image_adds():
    attribution = pytest.importorskip("captum.attr")
    model, pixels = tiny(VisionTransformerForImageClassification).double(), images().double()
    maps = integrated_gradients(model, pixels, NONE, steps=64)
    assert maps.shape == (2, 32, 32)
    assert (maps >= 0).all()
    added = model(pixels).logits[:, 0] - model(torch.zeros_like(pixels)).logits[:, 0]
    whole = attribution.IntegratedGradients(lambda given: model(given).logits).attribute(
        pixels, target=NONE, n_steps=64
    )
    torch.testing.assert_close(whole.sum((1, 2, 3)), added, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(maps, whole.sum(1).clamp(min=0).float(), rtol=1e-4, atol=1e-6)


def test_without_captum_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UserError, match="pip install captum"):
        integrated_gradients(tiny(VisionTransformerForImageClassification), images(), NONE)


def test_hidden_squares_lie_around_their_patch():
    pixels = torch.ones(1, 8, 12)
    hidden = hide(pixels, (0, 1, 2), 1, (2, 2))
    assert hidden[0, 2:4, 4:6].sum() == 0
    assert hidden.sum() == 96 - 4
    corner = hide(pixels, (0, 0, 0), 3, (2, 2))
    assert corner[0, :4, :4].sum() == 0
    assert corner.sum() == 96 - 16
    clip = hide(torch.ones(2, 1, 8, 12), (1, 3, 5), 3, (2, 2))
    assert clip[0].sum() == 96
    assert clip[1, 0, 4:, 8:].sum() == 0
    assert clip[1].sum() == 96 - 16


class OnePatch(nn.Module):
    """Answers with what lies in the second patch of the first row."""

    def __init__(self, model):
        super().__init__()
        self.config, self.classifier = model.config, model.classifier

    def forward(self, pixel_values):
        found = pixel_values[..., 0, :8, 8:16].mean((-2, -1))
        found = found.mean(-1) if found.ndim == 2 else found
        return type("Answer", (), {"logits": torch.stack([found, -found], dim=1)})


def test_only_squares_that_hide_the_evidence_are_hot():
    model = OnePatch(tiny(VisionTransformerForImageClassification))
    found = occlusion(model, torch.ones(1, 3, 32, 32), torch.zeros(1).long(), side=1)
    expected = torch.zeros(1, 4, 4)
    expected[0, 0, 1] = torch.tensor([1.0, -1.0]).softmax(-1)[0] - 0.5
    torch.testing.assert_close(found, expected)
    around = occlusion(model, torch.ones(1, 3, 32, 32), torch.zeros(1).long(), side=3, batch=5)
    assert (around[0] > 0).nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_of_clips_one_frame_at_a_time_is_hidden():
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification), clips(batch=1)
    found = occlusion(model, pixels, torch.zeros(1).long(), side=9)
    assert found.shape == (1, 4, 4, 4)
    hidden = pixels.clone()
    hidden[0, 2] = 0
    with torch.no_grad():
        fall = model(pixels).logits.softmax(-1)[0, 0] - model(hidden).logits.softmax(-1)[0, 0]
    torch.testing.assert_close(found[0, 2], fall.clamp(min=0).expand(4, 4), rtol=1e-4, atol=1e-6)
