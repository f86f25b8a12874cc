"""Every Vision Transformer of transformers that our words can say becomes ours, and is the same function."""

import json
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from vit_hf import (
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.conversion.core.parity import compare, our_runnable
from vit_hf.conversion.transformers.convert import (
    convert_from_transformers,
    from_transformers,
    to_transformers,
    transformers_runnable,
)

SIZES: dict[str, Any] = {
    "image_size": 24,
    "patch_size": 4,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
}
LABELS: dict[str, Any] = {"id2label": {0: "cat", 1: "dog", 2: "eel", 3: "fox", 4: "gnu"}}
BIASED = {"use_relative_position_bias": True}
SHARED = {"use_shared_relative_position_bias": True, "use_mask_token": True, "vocab_size": 30}
MASKED = {"encoder_stride": 4}
DECODER = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 30}
BOTH = {"text_config": TEXT, "vision_config": SIZES}
# Each class that saves models: its config, and what that says besides the sizes.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ViTModel": ("ViT", {}),
    "ViTForImageClassification": ("ViT", LABELS),
    "ViTForMaskedImageModeling": ("ViT", MASKED),
    "DeiTModel": ("DeiT", {}),
    "DeiTForImageClassification": ("DeiT", LABELS),
    "DeiTForImageClassificationWithTeacher": ("DeiT", LABELS),
    "DeiTForMaskedImageModeling": ("DeiT", MASKED),
    "ViTMAEModel": ("ViTMAE", {}),
    "ViTMAEForPreTraining": ("ViTMAE", DECODER),
    "ViTMSNModel": ("ViTMSN", {}),
    "ViTMSNForImageClassification": ("ViTMSN", LABELS),
    "Dinov2Model": ("Dinov2", {"mlp_ratio": 2}),
    "Dinov2WithRegistersModel": ("Dinov2WithRegisters", {"mlp_ratio": 2}),
    "DINOv3ViTModel": ("DINOv3ViT", {"hidden_size": 48}),
    "BeitModel": ("Beit", BIASED),
    "BeitForImageClassification": ("Beit", BIASED | LABELS),
    "BeitForMaskedImageModeling": ("Beit", SHARED),
    "CLIPVisionModel": ("CLIPVision", {}),
    "CLIPVisionModelWithProjection": ("CLIPVision", {"projection_dim": 8}),
    "CLIPModel": ("CLIP", BOTH),
    "CLIPForImageClassification": ("CLIP", BOTH | LABELS),
    "SiglipVisionModel": ("SiglipVision", {}),
    "SiglipModel": ("Siglip", BOTH),
    "SiglipForImageClassification": ("Siglip", BOTH | LABELS),
}
# What a config may say besides.
VARIANTS = [
    ("ViTModel", {"qkv_bias": False, "hidden_act": "gelu_new"}),
    ("ViTForImageClassification", {"image_size": [24, 16], "patch_size": [4, 8], "num_channels": 1}),
    ("ViTForImageClassification", {"head_dim": 10}),
    ("ViTForImageClassification", {"num_labels": 0}),
    ("DeiTForImageClassification", {"qkv_bias": False}),
    ("Dinov2Model", {"qkv_bias": False, "use_mask_token": False}),
    ("Dinov2WithRegistersModel", {"num_register_tokens": 1, "layerscale_value": 0.1}),
    ("DINOv3ViTModel", {"num_register_tokens": 3, "key_bias": True}),
    ("DINOv3ViTModel", {"query_bias": False, "value_bias": False, "proj_bias": False, "mlp_bias": False}),
    ("BeitModel", {"use_mean_pooling": False, "layer_scale_init_value": 0.0}),
    ("BeitModel", {"use_relative_position_bias": False}),
    ("BeitModel", {"use_relative_position_bias": False, "use_absolute_position_embeddings": True}),
    ("SiglipVisionModel", {"vision_use_head": False}),
    # Sizes that patches do not divide, of which a strided convolution leaves the rest unread.
    ("SiglipVisionModel", {"image_size": 20, "patch_size": 6}),
    ("ViTForImageClassification", {"image_size": [26, 19], "patch_size": [4, 8]}),
    *((name, {"image_size": 26}) for name in ("DeiTModel", "Dinov2Model", "DINOv3ViTModel", "BeitModel")),
    *((name, {"image_size": 27}) for name in ("CLIPVisionModel", "ViTMSNModel", "Dinov2WithRegistersModel")),
]
# Both make waves and softmax in float32 there.
SINGLE = {"DINOv3ViTModel": 1e-5}


@torch.no_grad()
def randomised(model: nn.Module) -> Any:
    """No parameter stays at a zero or one that could hide a fault."""
    for parameter in model.parameters():
        parameter.normal_(0.3 if parameter.ndim == 1 else 0.0, 0.3 if parameter.ndim == 1 else 0.2)
    return model.eval()


def build(name: str, **words) -> Any:
    kind, besides = MODELS[name]
    sizes = {} if "vision_config" in besides else SIZES
    config = getattr(transformers, f"{kind}Config")(**sizes | besides)
    for field, value in words.items():
        setattr(config, field, value)
    return randomised(getattr(transformers, name)(config))


def images(model, count: int = 3) -> Tensor:
    config = getattr(model.config, "vision_config", model.config)
    size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
    return torch.randn(count, config.num_channels, *size, dtype=torch.float64)


def assert_same_function(found, theirs, tolerance: float = 1e-11):
    report = compare(our_runnable(found), transformers_runnable(theirs), images(theirs))
    assert len(report.differences) >= 3
    assert report.worst.absolute < tolerance, str(report)


@pytest.mark.parametrize(("name", "words"), [*[(name, {}) for name in MODELS], *VARIANTS])
def test_each_model_becomes_ours_and_is_the_same_function(name, words):
    theirs = build(name, **words).double()
    found, _ = convert_from_transformers(theirs)
    assert found.dtype == torch.float64
    assert_same_function(found, theirs, SINGLE.get(name, 1e-11))


OUR_CLASSES = {
    "tokens": VisionTransformerModel,
    "classifier": VisionTransformerForImageClassification,
    "masked_image_modeling": VisionTransformerForMaskedImageModeling,
}
CLIP = {"pre_norm": True, "patch_bias": False, "final_norm": "pooled", "hidden_act": "quick_gelu"}
SIGLIP = {"class_token": False, "pooling": "attention", "hidden_act": "gelu_pytorch_tanh"}
BEIT = {"position_embedding": "relative_bias", "pooling": "mean", "final_norm": "pooled"}
CUT = {"image_size": 20, "patch_size": 6, "partial_patches": "cut"}
# Our task and words -> their class.
TARGETS = [
    ("tokens", {}, "ViTModel"),
    ("tokens", {"add_pooling_layer": True, "patch_embedding": "linear", "qkv_bias": False}, "ViTModel"),
    ("classifier", {}, "ViTForImageClassification"),
    (
        "classifier",
        {"final_norm": "pooled", "head_dim": 10, "position_embedding": "embedding"},
        "ViTForImageClassification",
    ),
    ("classifier", {"position_embedding": "sincos_2d"}, "ViTForImageClassification"),
    ("classifier", {"position_embedding": "none", "image_size": [24, 16]}, "ViTForImageClassification"),
    ("masked_image_modeling", {}, "ViTForMaskedImageModeling"),
    ("masked_image_modeling", {"pooling": "mean", "final_norm": "pooled"}, "ViTForMaskedImageModeling"),
    ("tokens", {"num_register_tokens": 1}, "DeiTModel"),
    ("classifier", {"num_register_tokens": 1}, "DeiTForImageClassification"),
    ("masked_image_modeling", {"num_register_tokens": 1}, "DeiTForMaskedImageModeling"),
    ("tokens", {"layer_scale_init_value": 0.1}, "Dinov2Model"),
    ("classifier", {"layer_scale_init_value": 0.1, "patch_embedding": "linear"}, "Dinov2ForImageClassification"),
    ("classifier", {"pooling": "mean"}, "Dinov2ForImageClassification"),
    ("classifier", {"pooling": "cls_mean"}, "Dinov2ForImageClassification"),
    ("classifier", {"pooling": "cls_mean", "num_register_tokens": 2}, "Dinov2WithRegistersForImageClassification"),
    ("classifier", {"pooling": "mean", "num_register_tokens": 3}, "Dinov2WithRegistersForImageClassification"),
    ("tokens", {"num_register_tokens": 4, "layer_scale_init_value": 1e-5}, "Dinov2WithRegistersModel"),
    ("tokens", {"position_embedding": "rotary", "hidden_size": 48}, "DINOv3ViTModel"),
    ("tokens", {"position_embedding": "rotary", "num_register_tokens": 2, "hidden_size": 48}, "DINOv3ViTModel"),
    ("tokens", BEIT, "BeitModel"),
    ("classifier", {**BEIT, "layer_scale_init_value": 0.1}, "BeitForImageClassification"),
    ("classifier", {"position_embedding": "relative_bias"}, "BeitForImageClassification"),
    ("tokens", CLIP, "CLIPVisionModel"),
    ("tokens", SIGLIP, "SiglipVisionModel"),
    ("tokens", {**SIGLIP, "qkv_bias": False}, "SiglipVisionModel"),
    ("tokens", {**SIGLIP, **CUT}, "SiglipVisionModel"),
    ("classifier", {**CUT, "patch_embedding": "linear"}, "ViTForImageClassification"),
    ("tokens", {**CLIP, "qkv_bias": False}, "CLIPVisionModel"),
    ("tokens", {**BEIT, "qkv_bias": False}, "BeitModel"),
    ("classifier", {"class_token": False, "pooling": "mean"}, "SiglipForImageClassification"),
]


def build_ours(task: str, **words) -> Any:
    fields = {**SIZES, "intermediate_size": 48, "patch_embedding": "conv", **words}
    if task == "classifier":
        fields |= LABELS
    return randomised(OUR_CLASSES[task](VisionTransformerConfig(**fields)))


@pytest.mark.parametrize(("task", "words", "name"), TARGETS)
def test_each_form_of_ours_becomes_a_stock_model_that_loads_without_code(task, words, name, tmp_path):
    model = build_ours(task, **words).double()
    if "relative_bias" in words.values() and model.config.qkv_bias:
        silence_keys(model)
    theirs = to_transformers(model)
    assert type(theirs).__name__ == name
    assert_same_function(model, theirs, SINGLE.get(name, 1e-11))

    theirs.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert "auto_map" not in saved
    assert saved["architectures"] == [name]
    auto = {
        "classifier": transformers.AutoModelForImageClassification,
        "masked_image_modeling": transformers.AutoModelForMaskedImageModeling,
    }
    loaded = auto.get(task, transformers.AutoModel).from_pretrained(tmp_path, dtype="auto")
    made_up = {key: tensor for key, tensor in loaded.state_dict().items() if key.startswith("pooler.dense")}
    assert_equal_states(made_up | loaded.state_dict(), made_up | theirs.state_dict())

    back = from_transformers(tmp_path)
    assert_equal_states(to_transformers(back).state_dict(), theirs.state_dict())
    if back.state_dict().keys() == model.state_dict().keys() and model.config.patch_embedding == "conv":
        assert_equal_states(back.state_dict(), model.state_dict())
    else:
        assert not {"patch_embedding", "position_embedding", "pooling", "qkv_bias"}.isdisjoint(words)


@torch.no_grad()
def silence_keys(model: nn.Module) -> None:
    """A bias of keys changes no attention, and BEiT has none."""
    for name, bias in model.named_parameters():
        if name.endswith("qkv.bias"):
            bias.view(3, -1)[1] = 0.0


def assert_equal_states(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_a_bias_of_keys_is_left_out_of_beit_which_changes_no_attention():
    model = build_ours("tokens", **BEIT).double()
    assert_same_function(model, to_transformers(model))


@pytest.mark.parametrize(
    ("task", "words", "complaint"),
    [
        ("classifier", {"pooling": "mean_all"}, "pooling='mean_all'"),
        ("classifier", {"qk_norm": True, "pooling": "mean"}, "qk_norm=True"),
        ("tokens", {"dual_patch_norm": True, "patch_embedding": "linear"}, "dual_patch_norm=True"),
        ("tokens", {"final_norm": "pooled"}, "final_norm='pooled'"),
        ("classifier", {"add_pooling_layer": True}, "add_pooling_layer=True with a classifier"),
        ("classifier", {"position_embedding": "rotary", "hidden_size": 48}, "a model for 'classifier'"),
        ("classifier", {**BEIT, "final_norm": "tokens"}, "final_norm='tokens' beside pooling='mean'"),
        ("tokens", {**BEIT, "image_size": [24, 16]}, "image_size=\\[24, 16\\] .it takes squares"),
        ("tokens", {"layer_scale_init_value": 0.1, "intermediate_size": 40}, "intermediate_size=40"),
        ("masked_image_modeling", {"image_size": [24, 16]}, "image_size=\\[24, 16\\]"),
        ("tokens", {**SIGLIP, "head_dim": 10}, "head_dim=10"),
        ("tokens", {**CLIP, "pooling": "mean"}, "pooling='mean'"),
    ],
)
def test_what_no_stock_model_represents_is_refused_by_the_names_of_its_fields(task, words, complaint):
    with pytest.raises(ValueError, match=f"no model that can represent .*{complaint}"):
        to_transformers(build_ours(task, **words))


def test_what_changes_only_in_training_is_said_in_the_log(caplog):
    fields = {"drop_path_rate": 0.1, "label_smoothing": 0.1, "embedding_dropout_prob": 0.2}
    to_transformers(build_ours("classifier", **fields, position_embedding="sincos_2d"))
    for field in (*fields, "position_embedding"):
        assert f"{field}=" in caplog.text


@pytest.mark.parametrize("words", [{"use_swiglu_ffn": True}, {"hidden_act": "leaky_relu"}])
def test_words_of_dinov2_that_we_lack_are_refused(words):
    config = transformers.Dinov2Config(**SIZES | words)
    with pytest.raises(ValueError, match="|".join(f"{name}={value!r}|{value}" for name, value in words.items())):
        from_transformers(transformers.Dinov2Model(config))


@pytest.mark.parametrize(
    ("name", "words", "complaint"),
    [
        (
            "BeitModel",
            {"use_shared_relative_position_bias": True},
            "use_relative_position_bias=True.* one bias for each layer",
        ),
        ("BeitModel", {"use_absolute_position_embeddings": True}, "use_relative_position_bias=True.* not both"),
        ("BeitModel", {"image_size": [24, 16]}, r"image_size=\[24, 16\].* wrong side"),
        ("DINOv3ViTModel", {"use_gated_mlp": True}, "use_gated_mlp=True.* no gate"),
        ("DINOv3ViTModel", {"query_bias": False}, "value_bias=True.* both a bias or none"),
        ("ViTModel", {"pooler_act": "relu"}, "pooler_act='relu'.* add_pooling_layer=False"),
    ],
)
def test_words_that_we_lack_are_refused_by_name_and_value(name, words, complaint):
    with pytest.raises(ValueError, match=complaint):
        from_transformers(build(name, **words))


@pytest.mark.parametrize(
    ("name", "config", "complaint"),
    [
        ("Dinov2Backbone", "Dinov2Config", "convert the encoder alone"),
        ("FocalNetModel", "FocalNetConfig", "vit, deit, vit_mae"),
        ("Swinv2Backbone", "Swinv2Config", "no like among our models.* Swinv2Model"),
    ],
)
def test_heads_and_families_that_we_lack_are_refused_with_what_would_do(name, config, complaint):
    small = {"embed_dim": 8, "depths": [1], "num_heads": [1]}
    sizes = small if name.startswith(("Swin", "FocalNet")) else SIZES
    theirs = randomised(getattr(transformers, name)(getattr(transformers, config)(**sizes, **LABELS)))
    with pytest.raises(ValueError, match=complaint):
        from_transformers(theirs)


def test_what_is_left_beside_the_encoder_is_named(caplog):
    from_transformers(build("SiglipModel"))
    assert "text_model is left out" in caplog.text
    assert "logit_scale" in caplog.text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_what_it_is_to_the_last_bit(dtype, tmp_path):
    theirs = build("ViTForImageClassification").to(dtype)
    theirs.save_pretrained(tmp_path)
    found = from_transformers(tmp_path)
    assert found.dtype == dtype
    assert_equal_states(to_transformers(found).state_dict(), theirs.state_dict())


@pytest.mark.parametrize(
    "name", ["ViTForImageClassification", "Dinov2Model", "DINOv3ViTModel", "CLIPModel", "BeitModel"]
)
def test_saved_models_are_read_under_their_old_names_and_from_shards(name, tmp_path):
    """transformers saves the names of its first releases."""
    theirs = build(name)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert_equal_states(from_transformers(tmp_path).state_dict(), convert_from_transformers(theirs)[0].state_dict())


def test_labels_and_the_problem_travel_both_ways():
    theirs = build("ViTForImageClassification", problem_type="multi_label_classification")
    found = from_transformers(theirs)
    assert found.config.id2label == LABELS["id2label"]
    back = to_transformers(found).config
    assert (back.id2label, back.label2id, back.problem_type) == (
        theirs.config.id2label,
        theirs.config.label2id,
        "multi_label_classification",
    )


def test_painted_images_are_the_same():
    theirs = build("ViTForMaskedImageModeling").double()
    found = from_transformers(theirs)
    masked = torch.rand(3, 36) < 0.5
    pixels = images(theirs)
    expected = theirs(pixels, bool_masked_pos=masked).reconstruction
    torch.testing.assert_close(found(pixels, bool_masked_pos=masked).reconstruction, expected, rtol=0, atol=1e-11)


@pytest.fixture
def folder(tmp_path):
    build("ViTForImageClassification").save_pretrained(tmp_path)
    return tmp_path


def rewrite(folder, **fields) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"architectures": ["ViTForDreams"]}, "ViTForDreams saved it, which transformers does not have"),
        ({"architectures": None}, "does not say which class saved it"),
        ({"model_type": "dreams"}, "type .dreams., which this version of transformers does not know"),
        ({"num_hidden_layers": 3}, r"lacks .*layers\.2\."),
        ({"num_hidden_layers": 1}, r"holds .*layer.*1\..* of two different models"),
        ({"hidden_size": 48}, "cannot be loaded by transformers"),
        ({"image_size": 32}, "cannot be loaded by transformers"),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_refused(folder, fields, complaint):
    rewrite(folder, **fields)
    with pytest.raises(ValueError, match=complaint):
        from_transformers(folder)


def test_weights_that_are_damaged_or_missing_are_refused(folder, tmp_path):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged, or do not belong together"):
        from_transformers(folder)
    weights.unlink()
    with pytest.raises(ValueError, match="cannot be loaded by transformers"):
        from_transformers(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="no config.json"):
        from_transformers(folder)


def test_a_model_of_ours_is_named_as_such(tmp_path):
    build_ours("tokens").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="vit_hf already"):
        from_transformers(tmp_path)


def test_a_model_saved_without_its_pooler_is_read_without_it(tmp_path):
    theirs = randomised(transformers.ViTModel(transformers.ViTConfig(**SIZES), add_pooling_layer=False))
    theirs.save_pretrained(tmp_path)
    found = from_transformers(tmp_path)
    assert not found.config.add_pooling_layer
    assert_same_function(found, theirs, 1e-4)
