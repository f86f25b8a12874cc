"""Published files become ours and are the same function as the library that reads them."""

import re

import numpy as np
import pytest
import torch
from einops import rearrange
from parity.comparing import randomise
from PIL.Image import Resampling
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer as OfTorchvision

from vit_hf import VisionTransformerForImageClassification, VisionTransformerModel
from vit_hf.conversion.original.convert import authors_processor, convert_from_original, from_original
from vit_hf.conversion.pretrained import load_any

SIZES = {"img_size": 24, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 3, "mlp_ratio": 2, "num_classes": 5}
HEADS = {"num_attention_heads": 3}
PIXELS = torch.randn(2, 3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def prepared(model: nn.Module) -> nn.Module:
    randomise(model)
    return model.double().eval()


def build_timm(**words) -> nn.Module:
    return prepared(VisionTransformer(**SIZES | words))


def saved(state, folder):
    torch.save(state, folder / "model.pth")
    return folder / "model.pth"


def assert_same_logits(found, theirs, tolerance=1e-11):
    assert isinstance(found, VisionTransformerForImageClassification)
    torch.testing.assert_close(found(PIXELS).logits, theirs(PIXELS), rtol=0, atol=tolerance)


def assert_same_tokens(found, theirs, tolerance=1e-11):
    assert isinstance(found, VisionTransformerModel)
    torch.testing.assert_close(found(PIXELS).last_hidden_state, theirs(PIXELS), rtol=0, atol=tolerance)


# What each file holds beside timm's keys, or calls otherwise.
def of_deit_iii(state):
    return {re.sub(r"\.ls(\d)\.gamma$", r".gamma_\1", key): tensor for key, tensor in state.items()}


def of_dinov2(state):
    named = {key.replace("reg_token", "register_tokens"): tensor for key, tensor in state.items()}
    return named | {"mask_token": torch.ones(1, 24)}


@pytest.mark.parametrize(
    ("words", "changed", "wrapper"),
    [
        ({}, dict, "model"),
        ({"qkv_bias": False, "qk_norm": True}, dict, "state_dict"),
        ({"init_values": 0.1, "no_embed_class": True}, of_deit_iii, "model"),
        ({"global_pool": "avg"}, dict, "model"),
        ({"class_token": False, "global_pool": "avg", "fc_norm": False}, dict, "model"),
    ],
)
def test_deit_deit_iii_and_fine_tuned_mae_are_the_same_function(words, changed, wrapper, tmp_path):
    theirs = build_timm(**words)
    found = from_original(saved({wrapper: changed(theirs.state_dict())}, tmp_path), **HEADS)
    assert_same_logits(found, theirs)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "encoder.", "teacher.backbone."])
def test_dino_with_its_projection_is_our_model_of_tokens(prefix, tmp_path, caplog):
    theirs = build_timm(num_classes=0)
    state = theirs.state_dict() | {"head.mlp.0.weight": torch.ones(4, 24), "head.last_layer.weight_v": torch.ones(4, 4)}
    found = from_original(saved({f"{prefix}{key}": tensor for key, tensor in state.items()}, tmp_path), **HEADS)
    assert_same_tokens(found, theirs.forward_features)
    assert "projection of DINO" in caplog.text


def test_pretrained_mae_leaves_its_decoder_out(tmp_path, caplog):
    theirs = build_timm(num_classes=0)
    decoder = {f"decoder_{key}": tensor for key, tensor in theirs.state_dict().items() if key.startswith("blocks.0.")}
    state = {"mask_token": torch.ones(1, 1, 8)} | decoder | theirs.state_dict()
    found = from_original(saved({"model": state}, tmp_path), **HEADS)
    assert_same_tokens(found, theirs.forward_features)
    assert "decoder_blocks.0.norm1.weight" in caplog.text
    assert "and 7 more left out: it paints or hides" in caplog.text


def test_dinov2_adds_no_positions_to_its_registers(tmp_path):
    """timm reads these files with a class token whose position is added to it beforehand."""
    theirs = build_timm(reg_tokens=2, no_embed_class=True, init_values=1.0, num_classes=0)
    state = theirs.state_dict()
    of_class = torch.randn(1, 1, 24, dtype=torch.float64)
    state = of_dinov2(state) | {"pos_embed": torch.cat([of_class, state["pos_embed"]], dim=1)}
    state["cls_token"] = state["cls_token"] - of_class
    found = from_original(saved(state, tmp_path), **HEADS)
    assert found.config.num_register_tokens == 2
    assert_same_tokens(found, theirs.forward_features)


def test_distilled_deit_converts_with_its_two_heads_and_without_them(tmp_path):
    from timm.models.deit import VisionTransformerDistilled

    theirs = prepared(VisionTransformerDistilled(**SIZES))
    path = saved({"model": theirs.state_dict()}, tmp_path)
    found = from_original(path, **HEADS)
    assert_same_logits(found, theirs)
    theirs.distilled_training = True
    torch.testing.assert_close(found(PIXELS).distillation_logits, theirs.train()(PIXELS)[1], rtol=0, atol=1e-11)
    theirs.eval()
    assert_same_tokens(from_original(path, **HEADS, num_labels=0), theirs.forward_features)


@pytest.mark.parametrize("representation", [None, 24])
@pytest.mark.parametrize("first_release", [False, True])
def test_torchvision_is_the_same_function(representation, first_release, tmp_path):
    theirs = prepared(OfTorchvision(24, 4, 2, 3, 24, 48, num_classes=5, representation_size=representation))
    state = theirs.state_dict()
    if first_release:
        state = {key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): state[key] for key in state}
    found = from_original(saved(state, tmp_path), **HEADS)
    assert_same_logits(found, theirs)


def as_npz(theirs: nn.Module, *, scanned: bool = False, forerunner: bool = False) -> dict[str, np.ndarray]:
    """Weights of timm's as Google writes them."""
    state = {key: tensor.numpy() for key, tensor in theirs.state_dict().items()}
    attention, norm, mlp = (
        ("MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3")
        if forerunner
        else ("MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")
    )
    blocks = []
    for layer in range(2):
        start = f"blocks.{layer}."
        block = {
            **norm_arrays("LayerNorm_0", state, f"{start}norm1"),
            **norm_arrays(norm, state, f"{start}norm2"),
            **dense_arrays(f"{mlp}/Dense_0", state, f"{start}mlp.fc1"),
            **dense_arrays(f"{mlp}/Dense_1", state, f"{start}mlp.fc2"),
            **attention_arrays(attention, state, f"{start}attn.qkv", ("query", "key", "value"), f"{start}attn.proj"),
        }
        blocks.append(block)
    layers = (
        {f"Transformer/encoderblock/{key}": np.stack([block[key] for block in blocks]) for key in blocks[0]}
        if scanned
        else {
            f"Transformer/encoderblock_{n}/{key}": array
            for n, block in enumerate(blocks)
            for key, array in block.items()
        }
    )
    ends = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        ("Transformer/posembed_input/pos_embedding" if forerunner else "pos_embedding"): state["pos_embed"],
        **norm_arrays("Transformer/encoder_norm", state, "norm"),
    }
    if "cls_token" in state:
        ends["cls"] = state["cls_token"]
    if "head.weight" in state:
        ends |= dense_arrays("head", state, "head")
    if "attn_pool.latent" in state:
        pool = {
            "probe": state["attn_pool.latent"],
            **attention_arrays("MultiHeadDotProductAttention_0", state, "attn_pool.q", ("query",), "attn_pool.proj"),
            **attention_arrays(
                "MultiHeadDotProductAttention_0", state, "attn_pool.kv", ("key", "value"), "attn_pool.proj"
            ),
            **norm_arrays("LayerNorm_0", state, "attn_pool.norm"),
            **dense_arrays("MlpBlock_0/Dense_0", state, "attn_pool.mlp.fc1"),
            **dense_arrays("MlpBlock_0/Dense_1", state, "attn_pool.mlp.fc2"),
        }
        ends |= {f"MAPHead_0/{key}": array for key, array in pool.items()}
    return layers | ends


def norm_arrays(name, state, theirs):
    return {f"{name}/scale": state[f"{theirs}.weight"], f"{name}/bias": state[f"{theirs}.bias"]}


def dense_arrays(name, state, theirs):
    return {f"{name}/kernel": state[f"{theirs}.weight"].T, f"{name}/bias": state[f"{theirs}.bias"]}


def attention_arrays(name, state, stacked, parts, output):
    kernels = rearrange(state[f"{stacked}.weight"], "(parts heads e) d -> parts d heads e", parts=len(parts), heads=3)
    biases = rearrange(state[f"{stacked}.bias"], "(parts heads e) -> parts heads e", parts=len(parts), heads=3)
    arrays = {f"{name}/{part}/kernel": kernel for part, kernel in zip(parts, kernels, strict=True)}
    arrays |= {f"{name}/{part}/bias": bias for part, bias in zip(parts, biases, strict=True)}
    arrays[f"{name}/out/kernel"] = rearrange(state[f"{output}.weight"], "d (heads e) -> heads e d", heads=3)
    return arrays | {f"{name}/out/bias": state[f"{output}.bias"]}


def saved_npz(arrays, folder, prefix=""):
    np.savez(folder / "model.npz", **{f"{prefix}{key}": array for key, array in arrays.items()})
    return folder / "model.npz"


@pytest.mark.parametrize(("scanned", "forerunner"), [(False, True), (False, False), (True, False)])
@pytest.mark.parametrize(
    ("words", "prefix"),
    [
        ({}, ""),
        ({}, "opt/target/"),
        ({"global_pool": "avg", "class_token": False, "fc_norm": False}, "params/"),
        ({"global_pool": "map", "class_token": False}, "params/img/"),
    ],
)
def test_files_of_google_are_the_same_function(words, prefix, scanned, forerunner, tmp_path):
    theirs = build_timm(act_layer="gelu_tanh", **words)
    path = saved_npz(as_npz(theirs, scanned=scanned, forerunner=forerunner), tmp_path, prefix)
    found = from_original(path)
    assert found.config.num_attention_heads == 3
    assert_same_logits(found, theirs)


def test_google_files_are_read_by_timm_alike(tmp_path):
    """timm's own reader, so that the fixture above is Google's layout and not only ours."""
    written, theirs = build_timm(act_layer="gelu_tanh"), build_timm(act_layer="gelu_tanh")
    path = saved_npz(as_npz(written, forerunner=True), tmp_path)
    theirs.load_pretrained(str(path))
    assert_same_logits(from_original(path), theirs)


def test_pre_logits_are_our_pooler(tmp_path):
    theirs = build_timm(act_layer="gelu_tanh")
    kernel, bias = torch.randn(24, 24, dtype=torch.float64), torch.randn(24, dtype=torch.float64)
    arrays = as_npz(theirs) | {"pre_logits/kernel": kernel.numpy(), "pre_logits/bias": bias.numpy()}
    found = from_original(saved_npz(arrays, tmp_path))
    expected = theirs.head((theirs.forward_features(PIXELS)[:, 0] @ kernel + bias).tanh())
    torch.testing.assert_close(found(PIXELS).logits, expected, rtol=0, atol=1e-11)
    arrays |= {"pre_logits/kernel": kernel[:, :16].numpy()}
    with pytest.raises(ValueError, match=r"pre_logits is \(24, 16\)"):
        from_original(saved_npz(arrays, tmp_path))


def test_a_file_without_positions_holds_fixed_waves_and_needs_the_size(tmp_path):
    theirs = build_timm(global_pool="avg", class_token=False, fc_norm=False)
    arrays = {key: array for key, array in as_npz(theirs).items() if key != "pos_embedding"}
    with pytest.raises(ValueError, match="no image_size; say it"):
        from_original(saved_npz(arrays, tmp_path))
    assert from_original(saved_npz(arrays, tmp_path), image_size=24).config.position_embedding == "sincos_2d"


def test_heads_are_those_of_the_published_width_unless_said(tmp_path, caplog):
    for width, heads in [(128, 2), (1280, 16)]:
        theirs = VisionTransformer(**SIZES | {"embed_dim": width, "num_heads": 1, "depth": 1, "mlp_ratio": 0.1})
        path = saved(theirs.state_dict(), tmp_path)
        assert from_original(path).config.num_attention_heads == heads
        assert f"num_attention_heads={heads} is assumed" in caplog.text


def test_images_are_prepared_as_each_library_prepares_them(tmp_path):
    of_timm = build_timm()
    of_torchvision = OfTorchvision(24, 4, 2, 3, 24, 48)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    torch.save(of_timm.state_dict(), tmp_path / "timm.pth")
    for path, expected in [
        (tmp_path / "timm.pth", (mean, std, Resampling.BICUBIC, {"shortest_edge": 27})),
        (
            saved_npz(as_npz(of_timm), tmp_path),
            ([0.5] * 3, [0.5] * 3, Resampling.BILINEAR, {"height": 24, "width": 24}),
        ),
        (saved(of_torchvision.state_dict(), tmp_path), (mean, std, Resampling.BILINEAR, {"shortest_edge": 27})),
    ]:
        model, _, _, found = convert_from_original(path, **HEADS)
        processor = authors_processor(found.images, model.config)
        found = (list(processor.image_mean), list(processor.image_std), processor.resample, dict(processor.size))
        assert found == expected


def test_published_weights_are_compared_with_the_library_that_reads_them_too(tmp_path):
    torch.save(
        {"model": of_deit_iii(build_timm(init_values=0.1, no_embed_class=True).state_dict())}, tmp_path / "a.pth"
    )
    torch.save(build_timm(num_classes=0).state_dict(), tmp_path / "b.pth")
    torch.save(prepared(OfTorchvision(24, 4, 2, 3, 24, 48, num_classes=5)).state_dict(), tmp_path / "c.pth")
    np.savez(tmp_path / "d.npz", **as_npz(build_timm(act_layer="gelu_tanh").float(), forerunner=True))
    for name, words in [("a.pth", HEADS), ("b.pth", HEADS), ("c.pth", HEADS), ("d.npz", {})]:
        report = load_any(tmp_path / name, **words).compare()
        assert report is not None, name
        assert len(report.differences) >= 3, name
        assert report.passed, f"{name}\n{report}"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_what_it_is(dtype, tmp_path):
    theirs = build_timm().to(dtype)
    found = from_original(saved(theirs.state_dict(), tmp_path), **HEADS)
    assert found.dtype == dtype
    assert torch.equal(found.vit.layers[1].attention.qkv.weight, theirs.blocks[1].attn.qkv.weight)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (lambda state: {"stages.0.weight": torch.ones(1)}, "its keys are stages.0.weight.* Known are files of"),
        (lambda state: state | {"blocks.0.mlp.w12.weight": torch.ones(1)}, "SwiGLU"),
        (lambda state: state | {"blocks.0.lora.weight": torch.ones(1)}, "No rule covers .'blocks.0.lora.weight'"),
        (lambda state: {key: state[key] for key in state if key != "norm.bias"}, "norm.bias"),
        (lambda state: state | {"pos_embed": torch.ones(1, 8, 24)}, "positions for 7 patches, which is no square"),
        (lambda state: state | {"norm.bias": torch.ones(3)}, r"norm.bias of shape \(3,\).*\(24,\) there"),
    ],
)
def test_weights_of_another_architecture_are_refused_with_the_first_keys(changed, complaint, tmp_path):
    state = build_timm().state_dict()
    with pytest.raises(ValueError, match=complaint):
        from_original(saved(changed(state), tmp_path), **HEADS)
