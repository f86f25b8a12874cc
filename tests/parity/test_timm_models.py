"""Each of timm's Vision Transformers converts both ways, or is refused; the list in the documentation is this one."""

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from vit_hf.conversion import from_timm, to_timm
from vit_hf.conversion.timm.convert import save_timm
from vit_hf.conversion.timm.coverage import LIST, Trial, as_markdown, tiny_timm, try_all


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return try_all()


def test_the_list_in_the_documentation_is_up_to_date(trials):
    written, found = LIST.read_text(encoding="utf-8"), as_markdown(trials)
    assert written == found, "python -m vit_hf.conversion.timm.coverage writes it anew"


def test_more_than_five_of_six_of_the_standard_ones_convert(trials):
    standard = [trial for trial in trials if trial.standard]
    assert len(standard) > 150
    assert sum(trial.reason is None for trial in standard) / len(standard) >= 0.85


def test_a_model_is_judged_by_what_it_is_and_not_by_its_name():
    model = tiny_timm("vit_giant_patch14_dinov2")
    with pytest.raises(ValueError, match="mlp_layer=GluMlp, not Mlp"):
        from_timm(model)
    plain = VisionTransformer(img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=3)
    plain.pretrained_cfg = model.pretrained_cfg
    assert from_timm(plain).config.num_labels == 3


def test_conversion_copies_the_weights_of_a_live_model():
    theirs = tiny_timm("vit_base_patch16_224")
    model = from_timm(theirs)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_what_timms_convolution_leaves_unread_is_cut_both_ways(tmp_path):
    """As of SigLIP's 384 pixels in patches of 14."""
    sizes = {"img_size": 20, "patch_size": 6, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 3}
    theirs = VisionTransformer(**sizes, class_token=False, global_pool="map").eval()
    theirs.pretrained_cfg = tiny_timm("vit_so400m_patch14_siglip_384").pretrained_cfg
    model = from_timm(theirs).eval()
    assert (model.config.partial_patches, model.config.patch_grid) == ("cut", (3, 3))
    pixels = torch.randn(2, 3, 20, 20)
    save_timm(to_timm(model), tmp_path / "timm")
    back = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True).eval()
    with torch.no_grad():
        expected = theirs(pixels)
        torch.testing.assert_close(model(pixels).logits, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(back(pixels), expected, rtol=0, atol=1e-5)
    assert from_timm(back).config.partial_patches == "cut"
