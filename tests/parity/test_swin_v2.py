"""Our Swin Transformer, with the words of Swin V2 and the weights of transformers' or timm's, is the same function."""

from typing import Any

import pytest
import timm
import torch
import transformers
from parity.comparing import NUM_LABELS, assert_equal, assert_same_classifier, randomise
from parity.test_swin import SIZES, TIMM, made_random, pixels
from timm.models.swin_transformer_v2 import SwinTransformerV2

from vit_hf import SwinTransformerBackbone, SwinTransformerConfig, SwinTransformerForImageClassification
from vit_hf.commands.convert import main as convert
from vit_hf.conversion import (
    from_timm,
    from_transformers,
    load_any,
    swin_timm,
    swin_transformers,
    to_timm,
    to_transformers,
)
from vit_hf.conversion.swin_rules import V2_WORDS

BOTH = {"pretrained_window_sizes": [3, 2]}


def of_transformers(name: str = "Swinv2ForImageClassification", **words) -> Any:
    sizes = {**SIZES, "num_labels": NUM_LABELS, "pretrained_window_sizes": [0, 0]}
    return made_random(getattr(transformers, name)(transformers.Swinv2Config(**{**sizes, **words})))


def of_timm(**words) -> Any:
    return made_random(SwinTransformerV2(**{**TIMM, "pretrained_window_sizes": (0, 0), **words}))


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"qkv_bias": False},
        {"window_size": 8},  # the last stage is one window
        {"window_size": 20},  # larger than any grid
        {"window_size": 3},  # does not divide the grids
        BOTH,
    ],
    ids=str,
)
def test_transformers_classifier_is_the_same_with_its_gradients(words):
    theirs = of_transformers(**words)
    ours = from_transformers(theirs)
    table = swin_transformers.table_for(ours.config, "Swinv2ForImageClassification")
    assert_same_classifier(ours, theirs, table, (32, 32), logits_of=lambda model, images: model(images).logits)


@pytest.mark.parametrize("size", [(48, 64), (28, 44), (33, 45)])
def test_transformers_is_the_same_for_images_of_any_size(size):
    theirs = of_transformers("Swinv2Model", window_size=3)
    ours, images = from_transformers(theirs), pixels(*size)
    found, expected = ours(images), theirs(images)
    assert_equal(found.last_hidden_state, expected.last_hidden_state)
    assert_equal(found.pooler_output, expected.pooler_output)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"qkv_bias": False, "mlp_ratio": 3.0},
        {"window_size": (4, 2), "patch_size": (2, 4)},
        {"img_size": (32, 48), "in_chans": 1},
        {"window_size": 20},
        {"img_size": (16, 64), "window_size": 8},  # covers one side of a stage, which is shifted along the other
        {"img_size": 18, "window_size": 4, "depths": [1, 1]},  # an odd grid is merged, too
        BOTH,
    ],
    ids=str,
)
def test_timms_classifier_is_the_same(words):
    theirs = of_timm(**words)
    ours, size = from_timm(theirs), words.get("img_size", 32)
    height, width = (size, size) if isinstance(size, int) else size
    images = pixels(height, width, words.get("in_chans", 3))
    assert_equal(ours(images).logits, theirs(images))
    with torch.no_grad():  # which computes attention otherwise
        assert_equal(ours(images).logits, theirs(images))


def test_gradients_are_timms():
    theirs = of_timm()
    ours = from_timm(theirs)
    assert_same_classifier(ours, theirs, swin_timm.table_for(ours.config, head=True), (32, 32))


@pytest.mark.parametrize("words", [{}, {"window_size": 20}, BOTH], ids=str)
def test_there_and_back_again_timms_weights_are_the_same_bit_for_bit(words):
    theirs = of_timm(**words)
    back = to_timm(from_timm(theirs))
    assert all(torch.equal(back.state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())
    images = pixels(32, 32)
    assert_equal(back.double()(images), theirs(images))


@pytest.mark.parametrize("name", ["Swinv2Model", "Swinv2ForImageClassification"])
def test_there_and_back_again_transformers_weights_are_the_same_bit_for_bit(name):
    theirs = of_transformers(name, **BOTH)
    back = to_transformers(from_transformers(theirs))
    assert (type(back), back.config.pretrained_window_sizes) == (type(theirs), [3, 2])
    assert all(torch.equal(back.state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("to", [to_timm, to_transformers])
def test_words_of_swin_and_of_swin_v2_together_have_no_form_elsewhere(to):
    ours = SwinTransformerForImageClassification(SwinTransformerConfig(**{**SIZES, **V2_WORDS, "block": "pre_norm"}))
    with pytest.raises(ValueError, match="cannot represent block='pre_norm', attention='cosine'"):
        to(ours)


def test_transformers_swin_v2_has_a_position_too_many():
    theirs = of_transformers(use_absolute_embeddings=True)
    with pytest.raises(RuntimeError, match="must match the size"):
        theirs(pixels(32, 32))
    with pytest.raises(ValueError, match="a position too many"):
        from_transformers(theirs)
    ours = SwinTransformerForImageClassification(SwinTransformerConfig(**{**SIZES, **V2_WORDS, "ape": True}))
    with pytest.raises(ValueError, match="a position too many"):
        to_transformers(ours)


def test_a_backbone_of_swin_v2_has_no_like_in_transformers():
    with pytest.raises(ValueError, match="no like of SwinTransformerBackbone"):
        to_transformers(SwinTransformerBackbone(SwinTransformerConfig(**{**SIZES, **V2_WORDS})))


@pytest.mark.parametrize("kind", ["transformers", "timm"])
def test_the_command_converts_whatever_was_published(kind, tmp_path, capsys):
    source, words = tmp_path / "source", {**TIMM, "embed_dim": 32}
    if kind == "transformers":
        of_transformers().float().save_pretrained(source)
    else:
        model = timm.create_model(swin_timm.ARCHITECTURE_V2, **words)
        randomise(model)
        timm.models.save_for_hf(model, source, safe_serialization=True, model_args=words)
    assert convert([str(source), str(tmp_path / "ours"), "--to", kind]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.count("equal within") == 2
    again = load_any(tmp_path / "ours")
    assert (again.kind, type(again.model)) == (kind, SwinTransformerForImageClassification)
    assert again.model.config.attention == "cosine"
