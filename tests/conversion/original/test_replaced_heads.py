"""People put heads of their own on published models: one Linear is the classifier, whatever it is called."""

from typing import Any

import pytest
import torch
from tiny import images

from vit_hf.commands.convert import main
from vit_hf.conversion import from_original
from vit_hf.errors import UserError

WIDTH, LABELS = 16, 7


def block(place: str, names: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    shapes = {
        key: value for name, shape in names.items() for key, value in weight_and_bias(f"{place}{name}", shape).items()
    }
    return {key: torch.randn(shape) * 0.2 for key, shape in shapes.items()}


def weight_and_bias(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def timm_encoder() -> dict[str, torch.Tensor]:
    layer = {"norm1": (WIDTH,), "attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH), "norm2": (WIDTH,)}
    layer |= {"mlp.fc1": (24, WIDTH), "mlp.fc2": (WIDTH, 24)}
    state = {**block("", {"patch_embed.proj": (WIDTH, 3, 8, 8), "norm": (WIDTH,)}), **block("blocks.0.", layer)}
    return {**state, "cls_token": torch.randn(1, 1, WIDTH), "pos_embed": torch.randn(1, 17, WIDTH)}


def torchvision_encoder() -> dict[str, torch.Tensor]:
    layer = {"ln_1": (WIDTH,), "self_attention.out_proj": (WIDTH, WIDTH), "ln_2": (WIDTH,)}
    layer |= {"mlp.0": (24, WIDTH), "mlp.3": (WIDTH, 24)}
    first = "encoder.layers.encoder_layer_0."
    state = {**block("", {"conv_proj": (WIDTH, 3, 8, 8), "encoder.ln": (WIDTH,)}), **block(first, layer)}
    state[f"{first}self_attention.in_proj_weight"] = torch.randn(3 * WIDTH, WIDTH)
    state[f"{first}self_attention.in_proj_bias"] = torch.randn(3 * WIDTH)
    return {**state, "class_token": torch.randn(1, 1, WIDTH), "encoder.pos_embedding": torch.randn(1, 17, WIDTH)}


def swin_encoder() -> dict[str, torch.Tensor]:
    """Two stages of one block each, 8 and 16 wide, in windows of 2 x 2 patches."""
    state = block("", {"patch_embed.proj": (8, 3, 2, 2), "patch_embed.norm": (8,), "norm": (WIDTH,)})
    for stage, width in enumerate((8, WIDTH)):
        layer = {"norm1": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width), "norm2": (width,)}
        state |= block(
            f"layers.{stage}.blocks.0.", {**layer, "mlp.fc1": (2 * width, width), "mlp.fc2": (width, 2 * width)}
        )
        state[f"layers.{stage}.blocks.0.attn.relative_position_bias_table"] = torch.randn(9, 2)
    state |= block("layers.0.downsample.", {"norm": (32,)})
    state["layers.0.downsample.reduction.weight"] = torch.randn(16, 32)
    return state


ENCODERS = {
    "timm": (timm_encoder, "head"),
    "torchvision": (torchvision_encoder, "heads.head"),
    "swin": (swin_encoder, "head"),
}
NAMES = ["heads", "head", "heads.0", "heads.1", "head.1", "heads.head.1", "head.fc", "fc", "classifier", "mlp_head.1"]
SAID: dict[str, Any] = {"num_attention_heads": 2}


def said_of(kind: str) -> dict[str, Any]:
    return {} if kind == "swin" else SAID


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ENCODERS)
def test_one_linear_under_any_name_is_the_classifier(kind, name, tmp_path):
    encoder, standard = ENCODERS[kind][0](), ENCODERS[kind][1]
    head = block("", {"": (LABELS, WIDTH)})
    for place, file in ((standard, "plain.pth"), (name, "replaced.pth")):
        torch.save(encoder | {f"{place}{key}": value for key, value in head.items()}, tmp_path / file)
    plain, replaced = (from_original(tmp_path / file, **said_of(kind)) for file in ("plain.pth", "replaced.pth"))
    assert replaced.config.num_labels == LABELS
    pixels = images(height=32, width=32)
    assert torch.equal(replaced(pixels).logits, plain(pixels).logits)


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_head_of_more_than_a_linear_is_refused_and_its_encoder_taken_alone(kind, tmp_path, capsys):
    encoder = ENCODERS[kind][0]()
    torch.save(encoder | block("", {"fc.0": (9, WIDTH), "fc.2": (LABELS, 9)}), tmp_path / "mlp.pth")
    torch.save(encoder, tmp_path / "bare.pth")
    with pytest.raises(UserError, match=r"a head of their own, \['fc.0.bias', .* no form in our words.* num_labels=0"):
        from_original(tmp_path / "mlp.pth", **said_of(kind))
    alone = from_original(tmp_path / "mlp.pth", num_labels=0, **said_of(kind))
    bare = from_original(tmp_path / "bare.pth", **said_of(kind))
    pixels = images(height=32, width=32)
    assert torch.equal(alone(pixels).last_hidden_state, bare(pixels).last_hidden_state)
    assert main([str(tmp_path / "mlp.pth"), str(tmp_path / "ours")]) == 2
    assert "--say num_labels=0" in capsys.readouterr().err


def test_keys_within_the_encoder_are_of_another_architecture(tmp_path):
    torch.save(timm_encoder() | {"blocks.0.gate.weight": torch.ones(1)}, tmp_path / "model.pth")
    with pytest.raises(UserError, match=r"No rule covers \['blocks.0.gate.weight'\].*of another architecture"):
        from_original(tmp_path / "model.pth", num_labels=0, **SAID)


def test_the_norms_of_a_backbone_of_mmsegmentation_are_accounted_for(tmp_path, caplog):
    state = swin_encoder()
    torch.save(state, tmp_path / "plain.pth")
    last = {f"norm1.{part}": state.pop(f"norm.{part}") for part in ("weight", "bias")}
    backbone = {**state, **last, **block("", {"norm0": (8,)})}
    head = block("decode_head.", {"conv_seg": (5, 8, 1, 1)})
    whole = {f"backbone.{key}": value for key, value in backbone.items()} | head
    torch.save({"meta": {"epoch": 3}, "state_dict": whole}, tmp_path / "segmenter.pth")
    found, plain = from_original(tmp_path / "segmenter.pth"), from_original(tmp_path / "plain.pth")
    pixels = images(height=32, width=32)
    assert torch.equal(found(pixels).last_hidden_state, plain(pixels).last_hidden_state)
    assert (
        "norm1 is taken for the norm of the model, and norm0.weight, norm0.bias of a backbone's maps left out"
        in caplog.text
    )
    assert "beside the model: decode_head.conv_seg" in caplog.text
