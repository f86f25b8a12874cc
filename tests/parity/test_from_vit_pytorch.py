"""vit-pytorch's models, live or as state dicts, become ours and are the same function."""

import re

import pytest
import torch
from parity import tutorial
from parity.comparing import randomise
from torch import nn
from vit_pytorch.simple_vit import SimpleViT
from vit_pytorch.vit import ViT

from vit_hf.conversion.core.parity import compare, our_runnable
from vit_hf.conversion.original.vit_pytorch import from_vit_pytorch, vit_pytorch_runnable
from vit_hf.conversion.pretrained import load_any

SIZES = {"image_size": 24, "patch_size": 4, "dim": 24, "depth": 2, "mlp_dim": 40, "num_classes": 5}
# The names of 2022's vit-pytorch for those of the tutorial, which is written as it was then.
NAMES_OF_2022 = {
    r"^patches\.project\.": "to_patch_embedding.1.",
    r"^positions\.table$": "pos_embedding",
    r"^encoder\.layers\.(\d+)\.(\d)\.function\.": r"transformer.layers.\1.\2.fn.",
    r"^encoder\.layers\.": "transformer.layers.",
}
# As of late 2022, when norms had come around the patches and everything else was still the same.
NAMES_OF_NORMED_PATCHES = {
    r"^patches\.norm_before\.": "to_patch_embedding.1.",
    r"^patches\.project\.": "to_patch_embedding.2.",
    r"^patches\.norm_after\.": "to_patch_embedding.3.",
}
PIXELS = torch.randn(2, 3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def prepared(model: nn.Module) -> nn.Module:
    randomise(model)
    return model.double().eval()


class NormedPatches(tutorial.LinearPatches):
    def __init__(self, channels, patch_size, dim):
        super().__init__(channels, patch_size, dim)
        self.norm_before, self.norm_after = nn.LayerNorm(self.project.in_features), nn.LayerNorm(dim)

    def forward(self, image):
        return self.norm_after(self.project(self.norm_before(self.flatten(image))))


def names_of_2022(state, names=NAMES_OF_2022):
    renamed = {}
    for key, tensor in state.items():
        for pattern, replacement in names.items():
            key = re.sub(pattern, replacement, key)
        renamed[key] = tensor
    return renamed


def saved(state, folder):
    torch.save(state, folder / "model.pt")
    return folder / "model.pt"


def assert_same_logits(found, theirs, pixels=PIXELS, tolerance=1e-11):
    torch.testing.assert_close(found(pixels).logits, theirs(pixels), rtol=0, atol=tolerance)


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize(("heads", "dim_head"), [(3, 8), (2, 7), (1, 24)])
@pytest.mark.parametrize("live", [True, False])
def test_todays_vit_is_the_same_function(pool, heads, dim_head, live, tmp_path):
    theirs = prepared(ViT(**SIZES, heads=heads, dim_head=dim_head, pool=pool))
    source = theirs if live else saved(theirs.state_dict(), tmp_path)
    found = from_vit_pytorch(source, heads=heads)
    assert_same_logits(found, theirs)
    report = compare(our_runnable(found), vit_pytorch_runnable(theirs), PIXELS)
    assert len(report.differences) == 4
    assert report.worst.absolute < 1e-11, str(report)


@pytest.mark.parametrize("live", [True, False])
def test_the_simple_vit_is_the_same_function_up_to_its_waves_in_float32(live, tmp_path):
    theirs = prepared(SimpleViT(**SIZES, heads=3, dim_head=8))
    source = theirs if live else saved(theirs.state_dict(), tmp_path)
    found = from_vit_pytorch(source, heads=3, image_size=24)
    assert found.config.position_embedding == "sincos_2d"
    assert_same_logits(found, theirs, tolerance=1e-5)


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize(("heads", "dim_head"), [(3, 8), (2, 7), (1, 24)])
def test_the_vit_of_2022_is_the_same_function(pool, heads, dim_head, tmp_path):
    theirs = prepared(tutorial.ViT(**SIZES, heads=heads, dim_head=dim_head, pool=pool))
    path = saved({f"module.{key}": tensor for key, tensor in names_of_2022(theirs.state_dict()).items()}, tmp_path)
    found = from_vit_pytorch(path, heads=heads, pool=pool)
    assert found.config.pooling == {"cls": "cls", "mean": "mean_all"}[pool]
    assert_same_logits(found, theirs)


def test_the_vit_of_late_2022_is_the_same_function(tmp_path):
    theirs = prepared(tutorial.ViT(**SIZES, heads=3, dim_head=8, patches=NormedPatches))
    path = saved(names_of_2022(theirs.state_dict(), NAMES_OF_2022 | NAMES_OF_NORMED_PATCHES), tmp_path)
    found = from_vit_pytorch(path, heads=3, pool="cls")
    assert found.config.dual_patch_norm
    assert_same_logits(found, theirs)


def test_images_and_patches_that_are_no_squares_are_known_live_or_must_be_said(tmp_path):
    theirs = prepared(ViT(**SIZES | {"image_size": (24, 16), "patch_size": (4, 8)}, heads=3, dim_head=8))
    pixels = torch.randn(2, 3, 24, 16, dtype=torch.float64)
    assert_same_logits(from_vit_pytorch(theirs, image_size=(24, 16)), theirs, pixels)
    with pytest.raises(ValueError, match="positions for 12 patches, which is no square; say image_size"):
        from_vit_pytorch(theirs)
    with pytest.raises(ValueError, match="makes 4 x 2 patches .* positions for 12"):
        from_vit_pytorch(theirs, image_size=(16, 16))
    with pytest.raises(ValueError, match="A patch of 96 numbers is no square of 3 channels"):
        from_vit_pytorch(saved(theirs.state_dict(), tmp_path), heads=3, image_size=(24, 16))


def test_what_the_weights_do_not_tell_must_be_said(tmp_path, caplog):
    theirs = prepared(ViT(**SIZES, heads=3, dim_head=8))
    path = saved(theirs.state_dict(), tmp_path)
    with pytest.raises(ValueError, match="all heads together are 24 wide; say how many"):
        from_vit_pytorch(path)
    with pytest.raises(ValueError, match="heads=5"):
        from_vit_pytorch(path, heads=5)
    simple = SimpleViT(**SIZES, heads=3, dim_head=8)
    with pytest.raises(ValueError, match="no image_size; say it"):
        from_vit_pytorch(saved(simple.state_dict(), tmp_path), heads=3)
    of_2022 = tutorial.ViT(**SIZES, heads=3, dim_head=8)
    from_vit_pytorch(saved(names_of_2022(of_2022.state_dict()), tmp_path), heads=3)
    assert "pool='cls' is assumed" in caplog.text


def test_a_model_without_classes_becomes_our_model_of_tokens():
    theirs = prepared(ViT(**SIZES | {"num_classes": 0}, heads=3, dim_head=8))
    found = from_vit_pytorch(theirs)
    torch.testing.assert_close(found(PIXELS).last_hidden_state, theirs(PIXELS), rtol=0, atol=1e-11)


def test_dropout_of_a_live_model_is_kept_and_words_hold_over_the_weights():
    theirs = prepared(ViT(**SIZES, heads=3, dim_head=8, dropout=0.3, emb_dropout=0.2))
    config = from_vit_pytorch(theirs, layer_norm_eps=1e-3).config
    rates = (config.hidden_dropout_prob, config.attention_probs_dropout_prob, config.embedding_dropout_prob)
    assert rates == (0.3, 0.3, 0.2)
    assert config.layer_norm_eps == 1e-3


def test_other_models_of_vit_pytorch_are_refused_by_their_keys(tmp_path):
    theirs = prepared(ViT(**SIZES, heads=3, dim_head=8))
    more = saved(theirs.state_dict() | {"register_tokens": torch.zeros(2, 24)}, tmp_path)
    with pytest.raises(ValueError, match="No rule covers .'register_tokens'"):
        from_vit_pytorch(more, heads=3)
    with pytest.raises(ValueError, match="holds no ViT of vit-pytorch: none of its keys .stages.0.weight"):
        from_vit_pytorch(saved({"stages.0.weight": torch.ones(1)}, tmp_path), heads=3)


def test_weights_alone_are_compared_with_todays_model_and_those_of_2022_with_none(tmp_path):
    torch.save(prepared(ViT(**SIZES, heads=3, dim_head=8, pool="mean")).state_dict(), tmp_path / "vit.pt")
    torch.save(prepared(SimpleViT(**SIZES, heads=3, dim_head=8)).float().state_dict(), tmp_path / "simple.pt")
    for name in ("vit.pt", "simple.pt"):
        report = load_any(tmp_path / name, heads=3, image_size=24).compare()
        assert report is not None, name
        assert report.passed, f"{name}\n{report}"
    of_2022 = prepared(tutorial.ViT(**SIZES, heads=3, dim_head=8))
    loaded = load_any(saved(names_of_2022(of_2022.state_dict()), tmp_path), heads=3)
    assert loaded.compare() is None
    assert "nothing was compared" in " ".join(loaded.notes)
