"""Our TimeSformer with the weights of transformers', facebookresearch's or lucidrains' is the same function."""

from typing import Any

import pytest
import torch
import transformers
from einops import repeat
from parity.comparing import NUM_LABELS, TIGHT, assert_equal, randomise
from safetensors.torch import load_file
from timesformer_pytorch import TimeSformer
from torch import Tensor, nn
from torch.nn import functional

from vit_hf import TimeSformerForVideoClassification
from vit_hf.commands.convert import main as convert
from vit_hf.conversion import from_original, from_transformers, load_any, to_transformers
from vit_hf.conversion.core.preprocessing import preprocessing_words
from vit_hf.conversion.core.rules import translate, turned, under, weight_and_bias
from vit_hf.conversion.core.timesformer_rules import FACEBOOK, lucidrains_table, trunk_table
from vit_hf.conversion.original.convert import authors_processor, convert_from_original
from vit_hf.conversion.transformers.timesformer import frames_first
from vit_hf.training.recipe.yaml_files import model_sizes

SIZES: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "num_frames": 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_labels": NUM_LABELS,
}
LABELS = torch.tensor([3, 1])


def pixels(frames: int = 4, height: int = 32, width: int = 32, batch: int = 2) -> Tensor:
    return torch.randn(batch, frames, 3, height, width, dtype=torch.float64)


def of_transformers(name: str = "TimesformerForVideoClassification", **words) -> Any:
    theirs = getattr(transformers, name)(transformers.TimesformerConfig(**{**SIZES, **words}))
    randomise(theirs)
    return theirs.double().eval()


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"attention_type": "joint_space_time"},
        {"qkv_bias": False, "num_channels": 3},
        {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-3},
    ],
    ids=str,
)
def test_transformers_classifier_is_the_same_with_its_gradients(words):
    theirs = of_transformers(**words)
    ours = from_transformers(theirs)
    one, other = (pixels().requires_grad_() for _ in range(2))
    other.data.copy_(one.data)
    found, expected = ours(one, labels=LABELS), theirs(other, labels=LABELS)
    assert_equal(found.logits, expected.logits, tolerance=TIGHT)
    found.loss.backward()
    expected.loss.backward()
    assert_equal(one.grad, other.grad, tolerance=TIGHT)
    assert_equal(
        ours.timesformer.layers[0].attention.qkv.weight.grad,
        (theirs.timesformer.encoder.layer[0].attention.attention.qkv.weight.grad),
        tolerance=TIGHT,
    )


def test_transformers_layers_and_maps_of_space_are_the_same():
    theirs = of_transformers("TimesformerModel")
    ours, clips = from_transformers(theirs), pixels()
    found, expected = (model(clips, output_hidden_states=True, output_attentions=True) for model in (ours, theirs))
    assert len(found.hidden_states) == len(expected.hidden_states) == 3
    for one, other in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert_equal(one, frames_first(other, 4), tolerance=TIGHT)
    for one, other in zip(found.attentions, expected.attentions, strict=True):
        assert_equal(one, other, tolerance=TIGHT)


def test_each_of_transformers_frames_alone_is_ours_of_a_clip_of_one():
    """It classifies every frame of "space_only"; the original, and ours, the mean of their tokens."""
    theirs = of_transformers(attention_type="space_only")
    ours, clips = from_transformers(theirs), pixels()
    each = theirs(clips).logits
    assert each.shape == (8, NUM_LABELS)
    assert_equal(ours(clips.flatten(0, 1)[:, None]).logits, each, tolerance=TIGHT)
    assert ours(clips).logits.shape == (2, NUM_LABELS)


def test_transformers_mixes_time_and_space_where_ours_does_not():
    """With weights that ignore time, the order of frames is nothing to see: but theirs sees it in clips of 8."""
    theirs = of_transformers()
    with torch.no_grad():
        theirs.timesformer.embeddings.time_embeddings.zero_()
    ours, clips = from_transformers(theirs), pixels(frames=8)
    swapped = clips[:, [1, 0, *range(2, 8)]]
    assert_equal(ours(swapped).logits, ours(clips).logits, tolerance=TIGHT)
    assert (theirs(swapped).logits - theirs(clips).logits).abs().max() > 0.001


@pytest.mark.parametrize("attention_type", ["divided_space_time", "joint_space_time"])
def test_a_model_comes_back_from_transformers_bit_for_bit(attention_type):
    theirs = of_transformers(attention_type=attention_type)
    again = to_transformers(from_transformers(theirs))
    assert again.config.num_frames == 4
    assert again.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in again.state_dict().items())


def test_a_folder_of_transformers_is_compared_layer_by_layer(tmp_path):
    of_transformers().save_pretrained(tmp_path)
    loaded = load_any(tmp_path)
    report = loaded.compare()
    assert report is not None
    assert report.passed, report
    assert len(report.differences) == 4


def facebook(state: dict[str, Tensor], clips: Tensor, kind: str, heads: int) -> Tensor:
    """The original's function from its weights, written out from the paper's formulas (eq. 1 to 11)."""

    def linear(name: str, tokens: Tensor) -> Tensor:
        return functional.linear(tokens, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, tokens: Tensor) -> Tensor:
        return functional.layer_norm(tokens, tokens.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def attention(name: str, tokens: Tensor) -> Tensor:
        three = linear(f"{name}.qkv", tokens).unflatten(-1, (3, heads, -1)).transpose(-4, -2)  # ... heads 3 n e
        query, key, value = three.unbind(-3)
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        return linear(f"{name}.proj", (weights @ value).transpose(-3, -2).flatten(-2))

    batch, frames = clips.shape[:2]
    patches = functional.conv2d(
        clips.flatten(0, 1), state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=8
    )
    patches = patches.flatten(2).mT.unflatten(0, (batch, frames)) + state["pos_embed"][:, 1:]  # b t n d
    first = (state["cls_token"] + state["pos_embed"][:, :1]).expand(batch, -1, -1)  # b 1 d
    if kind != "space_only":
        times = state["time_embed"]
        patches = patches + times[0, [frame * times.shape[1] // frames for frame in range(frames)], None]
    each = repeat(first, "b 1 d -> b t 1 d", t=frames)
    for layer in range(2):
        name = f"blocks.{layer}"
        if kind == "divided_space_time":
            over_time = attention(f"{name}.temporal_attn", norm(f"{name}.temporal_norm1", patches.transpose(1, 2)))
            patches = patches + linear(f"{name}.temporal_fc", over_time.transpose(1, 2))
        if kind == "joint_space_time":
            tokens = torch.cat([each[:, 0], patches.flatten(1, 2)], dim=1)
            tokens = tokens + attention(f"{name}.attn", norm(f"{name}.norm1", tokens))
            each, patches = tokens[:, None, :1], tokens[:, 1:].unflatten(1, (frames, -1))
        else:
            moved = attention(f"{name}.attn", norm(f"{name}.norm1", torch.cat([each, patches], dim=2)))
            shared = moved[:, :, :1].mean(1, keepdim=True) if kind == "divided_space_time" else moved[:, :, :1]
            each, patches = each + shared, patches + moved[:, :, 1:]
        each, patches = (
            tokens
            + linear(f"{name}.mlp.fc2", functional.gelu(linear(f"{name}.mlp.fc1", norm(f"{name}.norm2", tokens))))
            for tokens in (each, patches)
        )
    return linear("head", norm("norm", each.mean(1))[:, 0])


def state_of_facebook(frames: int, kind: str, places: int = 16) -> dict[str, Tensor]:
    """Random weights under the original's names."""
    width, inner = 32, 48
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + places, width),
        "patch_embed.proj.weight": (width, 3, 8, 8),
        "patch_embed.proj.bias": (width,),
    }
    if kind != "space_only":
        shapes["time_embed"] = (1, frames, width)
    linears = {"norm": (width,), "head": (NUM_LABELS, width)}
    for layer in range(2):
        parts = {"norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        parts |= {"mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
        if kind == "divided_space_time":
            parts |= {"temporal_norm1": (width,), "temporal_fc": (width, width)}
            parts |= {"temporal_attn.qkv": (3 * width, width), "temporal_attn.proj": (width, width)}
        linears |= {f"blocks.{layer}.{name}": shape for name, shape in parts.items()}
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name: torch.randn(shape, dtype=torch.float64) * 0.3 for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time", "space_only"])
@pytest.mark.parametrize("frames", [8, 16, 96])
def test_the_originals_file_is_the_function_of_the_paper_and_comes_back_bit_for_bit(kind, frames, tmp_path):
    state = state_of_facebook(frames, kind)
    saved = {f"model.{key}": tensor for key, tensor in state.items()}
    torch.save({"model_state": saved, "epoch": 1}, tmp_path / "theirs.pyth")
    words = {"attention_type": kind} if kind == "space_only" else {}
    ours = from_original(tmp_path / "theirs.pyth", num_attention_heads=4, **words)
    assert ours.config.attention_type == kind
    assert ours.config.num_frames == (8 if kind == "space_only" else frames)
    for given in (frames, 5):  # positions of other clips are the nearest in time
        clips = pixels(frames=given, batch=1)
        assert_equal(ours(clips).logits, facebook(state, clips, kind, heads=4), tolerance=1e-11)
    table = [
        *under(trunk_table(FACEBOOK, ours.config), ours="timesformer."),
        *weight_and_bias(FACEBOOK.head, "classifier"),
    ]
    back = translate(ours.state_dict(), turned(table), 2)
    assert back.keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in back.items())


@pytest.mark.parametrize("size", ["b", "b_hr", "b_long"])
def test_every_published_size_converts_with_the_preprocessing_of_its_authors(size, tmp_path):
    """At a width of 32 and with patches of 8 pixels, not 16, so that images are half as large."""
    named = {"num_frames": 8, "image_size": 224, **model_sizes("timesformer")[size]}
    state = state_of_facebook(named["num_frames"], "divided_space_time", (named["image_size"] // 16) ** 2)
    torch.save({"model_state": state}, tmp_path / "theirs.pyth")
    ours, notes, files, found = convert_from_original(tmp_path / "theirs.pyth", num_attention_heads=4)
    assert (files.kind, notes) == ("TimeSformer", [])
    assert ours.config.num_frames == named["num_frames"]
    assert ours.config.image_size == named["image_size"] // 2
    assert torch.equal(ours.timesformer.embeddings.frame_positions.table, state["time_embed"][0])
    assert found.images is not None
    processor = authors_processor(found.images, ours.config)
    assert (
        preprocessing_words(processor).items()
        >= {
            "mean": [0.45] * 3,
            "std": [0.225] * 3,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
        }.items()
    )


def test_the_command_takes_a_file_to_transformers_and_back_with_its_preprocessing(tmp_path, capsys):
    state = {key: tensor.float() for key, tensor in state_of_facebook(4, "divided_space_time").items()}
    torch.save({"model_state": state}, tmp_path / "theirs.pyth")
    steps = [("theirs.pyth", "ours", "vit_hf"), ("ours", "stock", "transformers"), ("stock", "back", "vit_hf")]
    for source, dest, to in steps:
        say = ["--say", "num_attention_heads=4"] if source == "theirs.pyth" else []
        assert convert([str(tmp_path / source), str(tmp_path / dest), "--to", to, *say]) == 0
        said = capsys.readouterr().out.split("Next, you could")[1]
        assert "--model.family timesformer" in said
        assert ("one.mp4" in said) == (to == "vit_hf")
        assert f"--to {'transformers' if to == 'vit_hf' else 'vit_hf'}" in said
        assert list(load_any(tmp_path / dest).processor.image_std) == [0.225] * 3
    one, other = (load_file(tmp_path / folder / "model.safetensors") for folder in ("ours", "back"))
    assert one.keys() == other.keys()
    assert all(torch.equal(other[key], tensor) for key, tensor in one.items())
    assert convert([str(tmp_path / "ours"), str(tmp_path / "timm"), "--to", "timm"]) == 2
    assert "no conversion of a TimeSformer to timm; there is one to transformers" in capsys.readouterr().err


def test_a_model_of_lucidrains_is_not_offered_to_a_library_that_has_no_like(tmp_path, capsys):
    torch.save(of_lucidrains(rotary=True).float().state_dict(), tmp_path / "theirs.pt")
    said = ["num_attention_heads=3", "num_frames=4", "patch_size=8", "image_size=32"]
    assert convert([str(tmp_path / "theirs.pt"), str(tmp_path / "ours"), "--say", *said]) == 0
    out = capsys.readouterr().out
    assert "one.mp4" in out
    assert "--to" not in out.split("Next, you could")[1]


def of_lucidrains(*, rotary: bool, image_size: int = 32) -> Any:
    theirs = TimeSformer(
        dim=32,
        num_frames=4,
        num_classes=NUM_LABELS,
        image_size=image_size,
        patch_size=8,
        depth=2,
        heads=3,
        dim_head=8,
        rotary_emb=rotary,
    )
    randomise(theirs)
    theirs = theirs.double().eval()
    if rotary:  # which it made in single precision
        theirs.frame_rot_emb.inv_freqs = 10000.0 ** -(torch.arange(0, 8, 2).double() / 8)
        theirs.image_rot_emb.scales = 5.0 ** torch.linspace(0, 1, 2, dtype=torch.float64)
    return theirs


def ours_of(theirs: nn.Module, tmp_path) -> TimeSformerForVideoClassification:
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    return from_original(tmp_path / "theirs.pt", num_attention_heads=3, num_frames=4, patch_size=8, image_size=32)


@pytest.mark.parametrize("rotary", [True, False], ids=["rotary", "embedding"])
def test_lucidrains_is_the_same_with_its_mask_and_comes_back_bit_for_bit(rotary, tmp_path):
    theirs = of_lucidrains(rotary=rotary)
    # A grid of 3 x 5 has places that single precision, in which theirs makes them, holds exactly.
    ours, clips = ours_of(theirs, tmp_path), pixels(height=24, width=40) if rotary else pixels()
    assert_equal(ours(clips).logits, theirs(clips), tolerance=TIGHT)
    seen = torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert_equal(ours(clips, frame_mask=seen).logits, theirs(clips, mask=seen), tolerance=TIGHT)
    if rotary:  # which knows no size
        larger = pixels(frames=6, height=40, width=72)
        assert_equal(ours(larger).logits, theirs(larger), tolerance=TIGHT)
    table = [*under(lucidrains_table(ours.config), ours="timesformer."), *weight_and_bias("to_out.1", "classifier")]
    back = translate(ours.state_dict(), turned(table), 2)
    learned = {key for key, _ in theirs.named_parameters()}
    assert back.keys() == learned
    assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in back.items())


def test_lucidrains_shifted_tokens_are_refused(tmp_path):
    theirs = TimeSformer(
        dim=32,
        num_frames=4,
        num_classes=5,
        image_size=32,
        patch_size=8,
        depth=1,
        dim_head=8,
        shift_tokens=True,
    )
    with pytest.raises(ValueError, match=r"shift_tokens=True.*shift_tokens=False convert"):
        ours_of(theirs, tmp_path)


@pytest.mark.parametrize("rotary", [True, False], ids=["rotary", "embedding"])
def test_a_file_of_lucidrains_is_compared_layer_by_layer(rotary, tmp_path):
    torch.save(of_lucidrains(rotary=rotary).float().state_dict(), tmp_path / "theirs.pt")
    loaded = load_any(tmp_path / "theirs.pt", num_attention_heads=3, num_frames=4, patch_size=8, image_size=32)
    report = loaded.compare()
    assert report is not None, loaded.notes
    assert report.passed, report
    assert len(report.differences) == 3


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time"])
def test_a_file_of_the_original_is_compared_with_transformers(kind, tmp_path):
    torch.save({"model_state": state_of_facebook(8, kind)}, tmp_path / "theirs.pyth")
    loaded = load_any(tmp_path / "theirs.pyth", num_attention_heads=4)
    report = loaded.compare()
    assert report is not None, loaded.notes
    assert report.passed, report
    assert len(report.differences) == 4
