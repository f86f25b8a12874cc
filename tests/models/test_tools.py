"""What the rest of the ecosystem does to a model: compile, place, quantize, adapt, mask with flex."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny import V2, clips, images, tiny, tiny_config, tiny_swin, tiny_timesformer

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerModel,
)

Classifier = VisionTransformerForImageClassification
POSITIONS = ["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


@pytest.mark.parametrize("position_embedding", POSITIONS)
def test_one_graph_holds_the_whole_model_in_training(position_embedding):
    model = tiny(
        Classifier,
        position_embedding=position_embedding,
        num_register_tokens=1,
        pooling="attention",
        drop_path_rate=0.2,
        layer_scale_init_value=0.1,
    ).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    compiled(images(), labels=torch.tensor([0, 1])).loss.backward()
    assert model.vit.layers[0].attention.qkv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("words", [{"ape": True}, V2], ids=["v1", "v2"])
def test_one_graph_holds_all_of_swin_in_training(words):
    model = tiny_swin(SwinTransformerForImageClassification, drop_path_rate=0.2, **words).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    compiled(images(height=28, width=36), labels=torch.tensor([0, 1])).loss.backward()
    assert model.swin.stages[1].layers[1].attention.qkv.weight.grad.abs().sum() > 0


def test_swins_compiled_code_computes_the_same():
    model, pixels = tiny_swin(SwinTransformerForImageClassification), images(height=28, width=36)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True)(pixels).logits
        torch.testing.assert_close(compiled, model(pixels).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("words", [{"ape": True}, V2], ids=["v1", "v2"])
def test_swin_loads_through_the_meta_device(words, tmp_path):
    model = tiny_swin(SwinTransformerForImageClassification, **words)
    model.save_pretrained(tmp_path)
    placed = SwinTransformerForImageClassification.from_pretrained(tmp_path, device_map="auto")
    pixels = images()
    torch.testing.assert_close(placed(pixels).logits.cpu(), model(pixels).logits)


CLIP_FORMS = [("divided_space_time", "learned"), ("divided_space_time", "rotary"), ("joint_space_time", "embedding")]


@pytest.mark.parametrize(("attention_type", "position_embedding"), CLIP_FORMS)
def test_one_graph_holds_all_of_timesformer_in_training(attention_type, position_embedding):
    words = {"attention_type": attention_type, "position_embedding": position_embedding, "drop_path_rate": 0.2}
    model = tiny_timesformer(TimeSformerForVideoClassification, **words).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    seen = torch.tensor([[1, 1, 1], [1, 1, 0]])
    compiled(clips(frames=3), labels=torch.tensor([0, 1]), frame_mask=seen).loss.backward()
    assert model.timesformer.layers[0].attention.qkv.weight.grad.abs().sum() > 0


def test_timesformer_loads_through_the_meta_device(tmp_path):
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification), clips()
    model.save_pretrained(tmp_path)
    placed = TimeSformerForVideoClassification.from_pretrained(tmp_path, device_map="auto")
    torch.testing.assert_close(placed(pixels).logits.cpu(), model(pixels).logits)


def test_compiled_code_computes_the_same():
    model, pixels = tiny(Classifier), images()
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True)(pixels).logits
        torch.testing.assert_close(compiled, model(pixels).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("position_embedding", POSITIONS)
def test_loading_through_the_meta_device_loses_nothing(position_embedding, tmp_path):
    model = tiny(VisionTransformerModel, position_embedding=position_embedding)
    model.save_pretrained(tmp_path)
    placed = VisionTransformerModel.from_pretrained(tmp_path, device_map="auto")
    pixels = images()
    torch.testing.assert_close(placed(pixels).last_hidden_state.cpu(), model(pixels).last_hidden_state)


def test_the_meta_device_builds_the_largest_without_memory():
    with torch.device("meta"):
        model = VisionTransformerModel(tiny_config(hidden_size=4096, num_hidden_layers=48))
    assert next(model.parameters()).is_meta


def test_blocks_and_embeddings_are_what_is_never_split():
    model = tiny(VisionTransformerModel)
    names = {type(module).__name__ for module in model.modules()}
    assert set(model._no_split_modules) <= names


# A classifier of each family, what it takes, and its first block.
FAMILIES = {
    "vit": lambda **words: (tiny(Classifier, **words), images(), "vit.layers.0"),
    "swin": lambda **words: (
        tiny_swin(SwinTransformerForImageClassification, **words),
        images(height=28, width=36),
        "swin.stages.0.layers.0",
    ),
    "swin, v2": lambda **words: (
        tiny_swin(SwinTransformerForImageClassification, **V2, **words),
        images(height=28, width=36),
        "swin.stages.0.layers.0",
    ),
    "timesformer": lambda **words: (
        tiny_timesformer(TimeSformerForVideoClassification, **words),
        clips(),
        "timesformer.layers.0",
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_learns_on_the_attention(family):
    model, pixels, block = FAMILIES[family]()
    adapted = get_peft_model(model, LoraConfig(target_modules=["qkv", "output"], modules_to_save=["classifier"]))
    before = adapted(pixel_values=pixels).logits
    adapted(pixel_values=pixels, labels=torch.tensor([0, 1])).loss.backward()
    trained = {name for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    assert any(f"{block}.attention.qkv.lora_A" in name for name in trained)
    assert all("lora_" in name or "modules_to_save" in name for name in trained)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
        assert not torch.allclose(adapted(pixel_values=pixels).logits, before)
        whole = adapted.eval()(pixel_values=pixels).logits
        torch.testing.assert_close(adapted.merge_and_unload()(pixels).logits, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_linears_can_be_quantized_to_eight_bits(family, tmp_path):
    from torchao.quantization import Int8Tensor, Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    model, pixels, block = FAMILIES[family]()
    model.save_pretrained(tmp_path)
    quantized = type(model).from_pretrained(tmp_path, quantization_config=TorchAoConfig(Int8WeightOnlyConfig()))
    assert isinstance(quantized.get_submodule(f"{block}.attention.qkv").weight, Int8Tensor)
    with torch.no_grad():
        exact = model(pixels).logits
        error = (quantized(pixels).logits - exact).abs().max() / exact.abs().max()
    assert 0 < error < 0.05


def test_biases_of_windows_are_refused_by_backends_that_take_none():
    model = tiny_swin(SwinTransformerForImageClassification)
    with pytest.raises(ValueError, match="does not support"):
        model.set_attn_implementation("flex_attention")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # transformers and torch compile the mask in old ways
def test_timesformers_flex_attention_agrees():
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification, num_hidden_layers=1), clips(frames=3)
    logits = []
    for backend in ("sdpa", "flex_attention"):
        model.set_attn_implementation(backend)
        with torch.no_grad():
            logits.append(model(pixels).logits)
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # transformers and torch compile the mask in old ways
def test_flex_attention_agrees_with_and_without_a_mask():
    model = tiny(VisionTransformerModel, position_embedding="rotary")
    pixels, seen = images(), torch.ones(2, 16)
    seen[0, 10:] = 0
    results = {}
    for backend in ("sdpa", "flex_attention"):
        model.set_attn_implementation(backend)
        with torch.no_grad():
            results[backend] = [model(pixels, attention_mask=mask).pooler_output for mask in (None, seen)]
    for sdpa, flex in zip(*results.values(), strict=True):
        torch.testing.assert_close(flex, sdpa, atol=1e-5, rtol=1e-5)
