"""Our Swin Transformer with the weights of transformers', timm's or the original's is the same function."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from parity.comparing import NUM_LABELS, assert_equal, assert_same_classifier, randomise
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
    SwinTransformerForMaskedImageModeling,
)
from vit_hf.commands.convert import main as convert
from vit_hf.conversion import from_original, from_timm, from_transformers, load_any, to_timm, to_transformers
from vit_hf.conversion.timm import swin as swin_timm
from vit_hf.conversion.transformers import swin as swin_transformers

SIZES: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
    "mlp_ratio": 2.0,
}
TIMM = {"img_size": 32, **{name: SIZES[name] for name in list(SIZES)[1:]}, "num_classes": NUM_LABELS}


def of_transformers(name: str = "SwinForImageClassification", **words) -> Any:
    config = transformers.SwinConfig(**{**SIZES, "num_labels": NUM_LABELS, **words})
    return made_random(getattr(transformers, name)(config))


def of_timm(**words) -> Any:
    return made_random(SwinTransformer(**{**TIMM, **words}))


def made_random(model: nn.Module) -> nn.Module:
    randomise(model)
    return model.double().eval()


def pixels(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, height, width, dtype=torch.float64)


def logits_of(model: Any, images: Tensor) -> Tensor:
    outputs = model(images)
    return outputs if isinstance(outputs, Tensor) else outputs.logits


WORDS = [
    {"qkv_bias": False},
    {"hidden_act": "gelu_pytorch_tanh"},
    {"use_absolute_embeddings": True},
    {"depths": [1, 3], "num_heads": [1, 2]},
    {"window_size": 8},  # the last stage is one window, and is not shifted
    {"window_size": 3},  # does not divide the grids
    {"image_size": [32, 48], "num_channels": 1},
]


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_transformers_classifier_is_the_same_with_its_gradients(words):
    theirs = of_transformers(**words)
    ours = from_transformers(theirs)
    table = swin_transformers.table_for(ours.config, "SwinForImageClassification")
    size = words.get("image_size", (32, 32))
    assert_same_classifier(
        ours, theirs, table, (*size, words.get("num_channels", 3)), logits_of=lambda model, images: model(images).logits
    )


# Dividing or not; beyond the configured size; not square; and patches that do not divide the image.
@pytest.mark.parametrize("size", [(32, 32), (48, 64), (28, 44), (33, 45), (17, 91)])
def test_transformers_is_the_same_for_images_of_any_size(size):
    theirs = of_transformers("SwinModel", window_size=3)
    ours, images = from_transformers(theirs), pixels(*size)
    found, expected = ours(images), theirs(images)
    assert_equal(found.last_hidden_state, expected.last_hidden_state)
    assert_equal(found.pooler_output, expected.pooler_output)


PAINTERS = [("SwinForMaskedImageModeling", 1), ("Swinv2ForMaskedImageModeling", 2)]


def painter_of_transformers(name: str, **words: Any) -> Any:
    config = transformers.SwinConfig if name.startswith("SwinFor") else transformers.Swinv2Config
    return made_random(getattr(transformers, name)(config(**{**SIZES, "encoder_stride": 4, **words})))


@pytest.mark.parametrize(("name", "version"), PAINTERS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_transformers_masked_images_are_painted_the_same_both_ways(name, version, share, channels):
    theirs = painter_of_transformers(name, num_channels=channels)
    ours, images = from_transformers(theirs), pixels(32, 32, channels)
    assert type(ours) is SwinTransformerForMaskedImageModeling
    back = to_transformers(ours)
    hidden = torch.rand(2, 256) < share
    expected = theirs(images, bool_masked_pos=hidden)
    for model in (ours, back.double()):
        found = model(images, bool_masked_pos=hidden)
        assert_equal(found.reconstruction, expected.reconstruction)
        torch.testing.assert_close(found.loss, expected.loss, atol=1e-6, rtol=1e-6)  # they count in float32
    assert type(back) is type(theirs)
    assert back.state_dict().keys() == theirs.state_dict().keys()
    assert_equal(ours(images).reconstruction, theirs(images).reconstruction)


def test_a_head_that_paints_other_squares_is_refused():
    with pytest.raises(ValueError, match="encoder_stride=8: our model paints 4 pixels"):
        from_transformers(painter_of_transformers("SwinForMaskedImageModeling", encoder_stride=8))


@pytest.mark.parametrize("size", [(32, 32), (33, 45), (12, 12)])
def test_transformers_backbone_gives_the_same_maps(size):
    """Its windows are filled up and shifted even where they cover a stage, as in the original's code for detection."""
    theirs = of_transformers("SwinBackbone", out_features=["stem", "stage1", "stage2"], window_size=7)
    ours, images = from_transformers(theirs), pixels(*size)
    for found, expected in zip(ours(images).feature_maps, theirs(images).feature_maps, strict=True):
        assert_equal(found, expected)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"qkv_bias": False, "mlp_ratio": 3.0},
        {"window_size": (4, 2), "patch_size": (2, 4)},
        {"img_size": (32, 48), "in_chans": 1},
        {"window_size": 8},  # the last stage is one window
        {"window_size": 20},  # larger than any grid: every stage is one window
        {"img_size": (16, 64), "window_size": 8},  # covers one side of a stage, which is shifted along the other
        {"img_size": 20, "window_size": 3, "depths": [1, 1]},  # padded
        {"img_size": 18, "window_size": 4, "depths": [1, 1]},  # an odd grid is merged, too
    ],
    ids=str,
)
def test_timms_classifier_is_the_same(words):
    theirs = of_timm(**words)
    ours, size = from_timm(theirs), words.get("img_size", 32)
    height, width = (size, size) if isinstance(size, int) else size
    images = pixels(height, width, words.get("in_chans", 3))
    assert_equal(ours(images).logits, theirs(images))
    assert_equal(ours.swin(images).last_hidden_state, theirs.forward_features(images).flatten(1, 2))


def test_timm_alone_rolls_before_it_pads():
    """So in its shifted blocks windows reach across the padding, which its mask knows nothing of."""
    theirs = of_timm(window_size=7)
    ours, images = from_timm(theirs), pixels(32, 32)
    assert_equal(ours(images).logits, to_transformers(ours)(images).logits)
    assert (ours(images).logits - theirs(images)).abs().max() > 1e-3


def test_gradients_are_timms():
    theirs = of_timm(window_size=4)
    ours = from_timm(theirs)
    assert_same_classifier(ours, theirs, swin_timm.table_for(ours.config, head=True), (32, 32))


def test_dropout_leaves_out_the_same_units_and_paths_in_training():
    rates = {"proj_drop_rate": 0.3, "drop_path_rate": 0.4}
    theirs = of_timm(**rates)
    ours, images = from_timm(theirs), pixels(32, 32)
    assert [layer.drop_path.rate for stage in ours.swin.stages for layer in stage.layers] == pytest.approx(
        [getattr(block.drop_path1, "drop_prob", 0.0) for stage in theirs.layers for block in stage.blocks], abs=1e-7
    )
    for stage in theirs.layers:  # timm draws paths by its own numbers
        for block in stage.blocks:
            block.drop_path1 = block.drop_path2 = nn.Identity()
    for stage in ours.swin.stages:
        for layer in stage.layers:
            layer.drop_path.rate = 0.0
    # Units are drawn in the order of the windows in both.
    torch.manual_seed(3)
    expected = theirs.train()(images)
    torch.manual_seed(3)
    assert_equal(ours.train()(images).logits, expected)
    assert (theirs.eval()(images) - expected).abs().max() > 0.1


@pytest.mark.parametrize("words", [{}, {"window_size": 20}, {"img_size": (16, 64), "window_size": 8}], ids=str)
def test_there_and_back_again_timms_weights_are_the_same_bit_for_bit(words):
    theirs = of_timm(**words)
    back = to_timm(from_timm(theirs))
    assert all(torch.equal(back.state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())
    height, width = theirs.patch_embed.img_size
    images = pixels(height, width)
    assert torch.equal(back(images), theirs(images))


@pytest.mark.parametrize("name", ["SwinModel", "SwinForImageClassification", "SwinBackbone"])
def test_there_and_back_again_transformers_weights_are_the_same_bit_for_bit(name):
    theirs = of_transformers(name, use_absolute_embeddings=True)
    back = to_transformers(from_transformers(theirs))
    assert type(back) is type(theirs)
    for key, tensor in theirs.state_dict().items():
        # A backbone of theirs has a norm that it never uses.
        assert torch.equal(back.state_dict()[key], tensor) or (name, key[:14]) == ("SwinBackbone", "swin.layernorm")


def as_microsoft(theirs: Any) -> dict[str, Tensor]:
    """The state dict that the original's code saves: patches are merged at the end of a stage, and buffers are kept."""
    state = {}
    for key, tensor in theirs.state_dict().items():
        name = key.replace("head.fc.", "head.").replace("layers.1.downsample", "layers.0.downsample")
        state[name] = tensor
        if name.endswith("relative_position_bias_table"):
            state[name.replace("bias_table", "index")] = torch.zeros(16, 16, dtype=torch.long)
    return state | {"layers.0.blocks.1.attn_mask": torch.zeros(16, 16, 16)}


def test_the_originals_file_is_the_same_function(tmp_path):
    theirs = of_timm(img_size=56, patch_size=4, window_size=7, embed_dim=32, num_heads=[1, 2], mlp_ratio=4.0)
    torch.save({"model": as_microsoft(theirs)}, tmp_path / "swin.pth")
    ours, images = from_original(tmp_path / "swin.pth", image_size=56), pixels(56, 56)
    assert_equal(ours(images).logits, theirs(images))
    assert (ours.config.num_heads, ours.config.window_size, ours.config.patch_size) == ([1, 2], 7, 4)


def test_an_originals_last_window_tells_the_size_of_images_where_others_are_larger(tmp_path):
    theirs = of_timm(img_size=16, window_size=8)
    torch.save({"model": as_microsoft(theirs)}, tmp_path / "swin.pth")
    ours, images = from_original(tmp_path / "swin.pth"), pixels(16, 16)
    assert_equal(ours(images).logits, theirs(images))
    assert (ours.config.image_size, ours.config.window_size) == (16, 8)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"window_size": [2, 4]}, "window_size"),
        ({"mask_padding": True}, "mask_padding"),
        ({"window_size": 20}, "smaller than window_size"),
        ({"patch_norm": False}, "patch_norm"),
    ],
)
def test_what_transformers_has_no_words_for_is_named(words, reason):
    ours = SwinTransformerForImageClassification(SwinTransformerConfig(**{**SIZES, **words}))
    with pytest.raises(ValueError, match=reason):
        to_transformers(ours)


@pytest.mark.parametrize("words", [{"head_dim": 4}, {"always_partition": True, "window_size": 8}], ids=str)
def test_what_we_have_no_words_for_is_named(words):
    with pytest.raises(ValueError, match="no form in our words"):
        from_timm(of_timm(**words))


def published(kind: str, folder: Path) -> Any:
    """Where a model lies as its library saves it, and what must be said beside it."""
    if kind == "transformers":
        of_transformers().float().save_pretrained(folder)
    elif kind == "timm":
        import timm

        model = timm.create_model(swin_timm.ARCHITECTURE, **{**TIMM, "embed_dim": 32})
        randomise(model)
        timm.models.save_for_hf(model, folder, safe_serialization=True, model_args={**TIMM, "embed_dim": 32})
    else:
        theirs = of_timm(img_size=56, patch_size=4, window_size=7).float()
        torch.save({"model": as_microsoft(theirs)}, folder / "swin.pth")
        return folder / "swin.pth"
    return folder


@pytest.mark.parametrize("kind", ["transformers", "timm", "original"])
@pytest.mark.parametrize("to", ["vit_hf", "transformers", "timm"])
def test_the_command_converts_whatever_was_published(kind, to, tmp_path, capsys):
    (tmp_path / "source").mkdir()
    source = published(kind, tmp_path / "source")
    assert convert([str(source), str(tmp_path / "ours"), "--to", to]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    functions = [line for line in printed.splitlines() if "equal within" in line and "pixels" not in line]
    assert len(functions) == 1 + (to != "vit_hf")
    assert "NOT" not in printed
    assert "swin" in (tmp_path / "ours" / "README.md").read_text()
    again = load_any(tmp_path / "ours")
    assert (again.kind, type(again.model)) == (to, SwinTransformerForImageClassification)
