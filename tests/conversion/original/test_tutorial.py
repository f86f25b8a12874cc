"""Each alternative that the tutorial teaches becomes a stock model of transformers, or is refused by its name."""

from itertools import product

import pytest
import torch

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.conversion import from_transformers, to_transformers

SIZES = {"image_size": 24, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
OF_THE_TUTORIAL = {"qkv_bias": False, "layer_norm_eps": 1e-5, "final_norm": "pooled", "head_dim": 10}
POSITIONS = [("learned", "normal"), ("learned", "trunc_normal"), ("embedding", "normal")]
SWIN_ENDS = {"class_token": False, "pooling": "mean", "final_norm": "tokens", "head_dim": None}


def build(**words) -> VisionTransformerForImageClassification:
    fields = {**SIZES, "intermediate_size": 48, "num_labels": 5, **OF_THE_TUTORIAL, **words}
    model = VisionTransformerForImageClassification(VisionTransformerConfig(**fields))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.1, 0.2)
    return model.double().eval()


@pytest.mark.parametrize(("patches", "positions"), list(product(["linear", "conv"], POSITIONS)))
def test_the_class_token_of_the_tutorial_goes_there_and_back(patches, positions):
    words = {"position_embedding": positions[0], "position_embedding_init": positions[1]}
    model = build(patch_embedding=patches, **words)
    theirs: torch.nn.Module = to_transformers(model)
    assert type(theirs).__name__ == "ViTForImageClassification"
    pixels = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    expected = model(pixels).logits
    torch.testing.assert_close(theirs(pixels).logits, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(from_transformers(theirs)(pixels).logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("patches", "positions"), list(product(["linear", "conv"], POSITIONS)))
def test_the_mean_over_all_tokens_is_nobodys_and_refused(patches, positions):
    words = {"position_embedding": positions[0], "position_embedding_init": positions[1]}
    with pytest.raises(ValueError, match="pooling='mean_all'"):
        to_transformers(build(patch_embedding=patches, pooling="mean_all", **words))


@pytest.mark.parametrize("patches", ["linear", "conv"])
def test_swins_ends_are_those_of_a_siglip_classifier(patches):
    model = build(patch_embedding=patches, **SWIN_ENDS)
    theirs: torch.nn.Module = to_transformers(model)
    assert type(theirs).__name__ == "SiglipForImageClassification"
    pixels = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    torch.testing.assert_close(theirs(pixels).logits, model(pixels).logits, rtol=0, atol=1e-12)
