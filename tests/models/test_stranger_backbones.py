"""What a classifier learned, as the backbone of a model of transformers', by someone who does not have the package."""

from pathlib import Path

import pytest
import torch
from hub_server.server import HubServer
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file
from strangers import run_as_stranger
from tiny import images, tiny, tiny_swin
from transformers import AutoBackbone, SwinConfig, SwinModel

from vit_hf import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    VisionTransformerBackbone,
    VisionTransformerForImageClassification,
)

SIDE = 64
SWIN = {"image_size": SIDE, "depths": [1] * 4, "num_heads": [2] * 4}

BUILD = """
from transformers import AutoBackbone, AutoConfig, Mask2FormerConfig, Mask2FormerForUniversalSegmentation

def segmenter(backbone):
    config = Mask2FormerConfig(
        backbone_config=backbone.config, feature_size=32, mask_feature_size=32, hidden_dim=32, dim_feedforward=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=4,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    assert type(model.model.pixel_level_module.encoder) is type(backbone)
    model.model.pixel_level_module.encoder = backbone
    return model.eval()

pixels = load_file("pixels.st")["pixels"]
"""

# A folder: AutoBackbone says which class, which loads the weights.
FROM_FOLDER = """
config = AutoConfig.from_pretrained(folder, trust_remote_code=True, out_indices=[1, 2, 3, 4])
backbone = type(AutoBackbone.from_config(config, trust_remote_code=True)).from_pretrained(folder, config=config)
"""

SAVE = """
assert type(backbone).__module__.startswith("transformers_modules"), type(backbone).__module__
model = segmenter(backbone)
with torch.no_grad():
    maps = model.model.pixel_level_module.encoder(pixels).feature_maps
    logits = model(pixels).class_queries_logits
save_file({"logits": logits, **{f"map{number}": part for number, part in enumerate(maps)}}, "found.st")
model.save_pretrained("segmenter")
"""

# The segmenter's folder names the family and does not hold its code, which the classifier's does.
LOAD = """
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
AutoBackbone.from_config(config, trust_remote_code=True)
try:
    Mask2FormerForUniversalSegmentation.from_pretrained("segmenter")
except KeyError as error:
    assert config.model_type in str(error), error  # of transformers before it registers such configurations itself
AutoConfig.register(config.model_type, type(config), exist_ok=True)
again = Mask2FormerForUniversalSegmentation.from_pretrained("segmenter").eval()
with torch.no_grad():
    assert torch.equal(again(pixels).class_queries_logits, load_file("found.st")["logits"])
"""

CASES = {
    "vit": (
        lambda: tiny(VisionTransformerForImageClassification, image_size=SIDE, num_hidden_layers=4),
        VisionTransformerBackbone,
    ),
    "swin": (lambda: tiny_swin(SwinTransformerForImageClassification, **SWIN), SwinTransformerBackbone),
}


def assert_learned(folder: Path, head: type, source: Path | str) -> None:
    """The maps that the stranger found are those of the saved encoder, to the bit."""
    backbone = head.from_pretrained(source, out_indices=[1, 2, 3, 4]).eval()  # pyright: ignore[reportAttributeAccessIssue]
    found, pixels = load_file(folder / "found.st"), load_file(folder / "pixels.st")["pixels"]
    with torch.no_grad():
        for number, expected in enumerate(backbone(pixels).feature_maps):
            assert torch.equal(found[f"map{number}"], expected)


@pytest.mark.parametrize("case", CASES)
def test_a_stranger_segments_on_a_saved_encoder_and_loads_the_segmenter_again(case, tmp_path):
    build, head = CASES[case]
    build().save_pretrained(tmp_path)
    save_file({"pixels": images(height=SIDE, width=SIDE)}, tmp_path / "pixels.st")
    run_as_stranger(BUILD + FROM_FOLDER + SAVE, tmp_path)
    assert_learned(tmp_path, head, tmp_path)
    run_as_stranger(BUILD + LOAD, tmp_path)


def test_a_stranger_takes_a_backbone_from_the_hub(hub: HubServer, tmp_path):
    build, head = CASES["vit"]
    build().save_pretrained(tmp_path / "saved")
    HfApi().create_repo("you/photos")
    HfApi().upload_folder(repo_id="you/photos", folder_path=tmp_path / "saved")
    save_file({"pixels": images(height=SIDE, width=SIDE)}, tmp_path / "pixels.st")
    program = """
words = {"trust_remote_code": True, "out_indices": [1, 2, 3, 4]}
backbone = AutoBackbone.from_pretrained("you/photos", **words)
"""
    run_as_stranger(BUILD + program + SAVE, tmp_path, HF_HUB_OFFLINE="0", HF_HUB_CACHE=str(tmp_path / "theirs"))
    assert_learned(tmp_path, head, tmp_path / "saved")


def outcome(folder: Path) -> str:
    try:
        return str(AutoBackbone.from_pretrained(folder, trust_remote_code=True).out_indices)
    except Exception as error:  # noqa: BLE001 - whichever it is
        return type(error).__name__


def test_a_folder_of_ours_is_a_backbone_to_transformers_where_one_of_its_own_is(tmp_path):
    """5.17 to 5.23 ask the Hub first whether a repository of that name exists, and so take no folder at all."""
    build, _ = CASES["swin"]
    build().save_pretrained(tmp_path / "ours")
    sizes = {"image_size": SIDE, "embed_dim": 8, "depths": [1] * 4, "num_heads": [2] * 4, "window_size": 4}
    SwinModel(SwinConfig(**sizes)).save_pretrained(tmp_path / "theirs")
    assert outcome(tmp_path / "ours") == outcome(tmp_path / "theirs")
