"""Our Swin Transformer, with the words of Swin V2 and the weights of transformers' or timm's, is the same function."""

import re
from typing import Any

import pytest
import timm
import torch
import transformers
from parity.comparing import NUM_LABELS, assert_equal, assert_same_classifier, randomise
from parity.test_swin import SIZES, TIMM, made_random, pixels
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor

from vit_hf import (
    SwinTransformerBackbone,
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
)
from vit_hf.commands.convert import main as convert
from vit_hf.conversion import from_original, from_timm, from_transformers, load_any, to_timm, to_transformers
from vit_hf.conversion.core.swin_rules import V2_WORDS
from vit_hf.conversion.original.convert import convert_from_original
from vit_hf.conversion.timm import swin as swin_timm
from vit_hf.conversion.transformers import swin as swin_transformers

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


def as_microsoft(theirs: Any) -> dict[str, Tensor]:
    """The state dict that the original's code saves: patches are merged at the end of a stage, and buffers are kept."""
    state: dict[str, Tensor] = {}
    for key, tensor in theirs.state_dict().items():
        name = re.sub(r"layers\.(\d+)\.downsample", lambda at: f"layers.{int(at[1]) - 1}.downsample", key)
        state[name.replace("head.fc.", "head.")] = tensor
    for number, stage in enumerate(theirs.layers):
        for place, block in enumerate(stage.blocks):
            start = f"layers.{number}.blocks.{place}"
            state[f"{start}.attn.relative_coords_table"] = block.attn.relative_coords_table
            state[f"{start}.attn.relative_position_index"] = block.attn.relative_position_index
            if block.attn_mask is not None:
                state[f"{start}.attn_mask"] = block.attn_mask
    return state


# What a model is, and the windows that its file tells; the last stage is one window.
MICROSOFTS = [
    ({"img_size": 16}, (4, None)),
    ({"img_size": 16, "window_size": 8}, (8, None)),
    ({"img_size": 16, "window_size": 8, **BOTH}, (8, [3, 2])),
    ({"img_size": 16, "qkv_bias": False}, (4, None)),
    (
        {"img_size": 32, "depths": [1, 2, 1], "num_heads": [1, 2, 4], "pretrained_window_sizes": (4, 3, 2)},
        (4, [4, 3, 2]),
    ),
    ({"img_size": 8, "depths": [2], "num_heads": [2], "pretrained_window_sizes": (6,)}, (4, [6])),
]


@pytest.mark.parametrize(("words", "expected"), MICROSOFTS, ids=str)
def test_the_originals_file_is_the_same_function(words, expected, tmp_path):
    theirs = of_timm(**words)
    torch.save({"model": as_microsoft(theirs)}, tmp_path / "swinv2.pth")
    ours, images = from_original(tmp_path / "swinv2.pth"), pixels(words["img_size"], words["img_size"])
    assert_equal(ours(images).logits, theirs(images))
    assert ours.config.image_size == words["img_size"]
    assert (ours.config.window_size, ours.config.pretrained_window_sizes) == expected
    back = to_timm(ours).state_dict()
    assert all(torch.equal(back[key], tensor) for key, tensor in theirs.state_dict().items())


def test_an_originals_trunk_has_no_head(tmp_path):
    theirs = of_timm(num_classes=0, img_size=16)
    torch.save(as_microsoft(theirs), tmp_path / "swinv2.pth")
    ours, images = from_original(tmp_path / "swinv2.pth"), pixels(16, 16)
    assert_equal(ours(images).last_hidden_state, theirs.forward_features(images).flatten(1, 2))


def test_windows_that_an_original_is_given_are_measured_by_its_own(tmp_path):
    """So Microsoft tunes at 256 and 384 pixels what learned at 192."""
    theirs = of_timm(img_size=16)
    torch.save(as_microsoft(theirs), tmp_path / "swinv2.pth")
    ours = from_original(tmp_path / "swinv2.pth", window_size=8, image_size=32)
    larger = of_timm(window_size=8, pretrained_window_sizes=(4, 4))
    larger.load_state_dict(theirs.state_dict())
    images = pixels(32, 32)
    assert_equal(ours(images).logits, larger(images))


def test_weights_without_buffers_do_not_tell_their_windows(tmp_path):
    theirs = of_timm(**BOTH)
    torch.save(theirs.state_dict(), tmp_path / "swinv2.pth")
    with pytest.raises(ValueError, match="say window_size and image_size, and pretrained_window_sizes"):
        from_original(tmp_path / "swinv2.pth")
    ours, images = from_original(tmp_path / "swinv2.pth", window_size=4, image_size=32, **BOTH), pixels(32, 32)
    assert_equal(ours(images).logits, theirs(images))


@pytest.mark.parametrize(
    ("published", "sides"),
    [
        ("12_192", [12, 12, 12, 6]),
        ("8_256", [8, 8, 8, 8]),
        ("16_256", [16, 16, 16, 8]),
        ("24_384", [24, 24, 24, 12]),
    ],
)
def test_the_size_of_images_is_that_in_the_names_of_microsofts_files(published, sides, tmp_path):
    """And those of 384 pixels are squeezed, as their configurations say, where of others the middle is cut out."""
    window, size = map(int, published.split("_"))
    learned = [12, 12, 12, 6] if window >= 16 and size == 384 else [0] * 4
    words = {"patch_size": 4, "embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "mlp_ratio": 1.0}
    theirs = of_timm(img_size=size, window_size=window, pretrained_window_sizes=learned, **words)
    assert [stage.blocks[0].window_size[0] for stage in theirs.layers] == sides
    torch.save(as_microsoft(theirs), tmp_path / "swinv2.pth")
    ours, _, files, found = convert_from_original(tmp_path / "swinv2.pth")
    assert (files.kind, ours.config.image_size, ours.config.window_size) == ("Swin V2", size, window)
    assert ours.config.pretrained_window_sizes == (learned if any(learned) else None)
    assert found.images is not None
    assert found.images["crop_pct"] == (None if size == 384 else 0.875)


@pytest.mark.parametrize("kind", ["transformers", "timm", "original"])
def test_the_command_converts_whatever_was_published(kind, tmp_path, capsys):
    source, words = tmp_path / "source", {**TIMM, "embed_dim": 32}
    if kind == "transformers":
        of_transformers().float().save_pretrained(source)
    elif kind == "original":
        source, kind = tmp_path / "swinv2.pth", "vit_hf"
        torch.save({"model": as_microsoft(of_timm(img_size=16).float())}, source)
    else:
        model = timm.create_model(swin_timm.ARCHITECTURE_V2, **words)
        randomise(model)
        timm.models.save_for_hf(model, source, safe_serialization=True, model_args=words)
    assert convert([str(source), str(tmp_path / "ours"), "--to", kind]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    functions = [line for line in printed.splitlines() if "equal within" in line and "pixels" not in line]
    assert len(functions) == 1 + (kind != "vit_hf")
    assert "NOT" not in printed
    again = load_any(tmp_path / "ours")
    assert (again.kind, type(again.model)) == (kind, SwinTransformerForImageClassification)
    assert again.model.config.attention == "cosine"
