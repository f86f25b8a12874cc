from typing import Any

import pytest
import torch
from tiny import images, tiny, tiny_config
from transformers import (
    AutoBackbone,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
)

from vit_hf import (
    VisionTransformerBackbone,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.errors import UserError

POSITIONS = ["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"]


@pytest.mark.parametrize(
    ("auto", "ours"),
    [
        (AutoModel, VisionTransformerModel),
        (AutoModelForImageClassification, VisionTransformerForImageClassification),
        (AutoModelForMaskedImageModeling, VisionTransformerForMaskedImageModeling),
        (AutoBackbone, VisionTransformerBackbone),
    ],
)
def test_the_auto_classes_know_ours(auto, ours):
    assert type(auto.from_config(tiny_config())) is ours


@pytest.mark.parametrize("position_embedding", POSITIONS)
@pytest.mark.parametrize(("height", "width"), [(48, 48), (16, 64), (8, 8), (72, 24)])
def test_images_of_another_size_work(position_embedding, height, width):
    model = tiny(VisionTransformerModel, position_embedding=position_embedding, num_register_tokens=2)
    tokens = model(images(height=height, width=width)).last_hidden_state
    assert tokens.shape == (2, 3 + height * width // 64, 32)


@pytest.mark.parametrize("position_embedding", POSITIONS)
def test_the_native_size_gives_the_native_result_whatever_came_before(position_embedding):
    model, pixels = tiny(VisionTransformerModel, position_embedding=position_embedding), images()
    before = model(pixels).last_hidden_state
    model(images(height=16, width=24))
    assert torch.equal(model(pixels).last_hidden_state, before)


def test_a_larger_image_is_seen_as_the_model_of_that_size_would_see_it():
    small = tiny(VisionTransformerModel, position_embedding="sincos_2d", image_size=[16, 32])
    large = tiny(VisionTransformerModel, position_embedding="rotary", image_size=[48, 32])
    other = tiny(VisionTransformerModel, position_embedding="rotary", image_size=[16, 32])
    other.load_state_dict(large.state_dict())
    pixels = images(height=48, width=32)
    assert torch.equal(other(pixels).last_hidden_state, large(pixels).last_hidden_state)
    assert small(pixels).last_hidden_state.shape == (2, 25, 32)


def test_rows_and_columns_are_not_mixed_up():
    """A model that looks at positions alone, on an image two patches high and four wide."""
    model = tiny(VisionTransformerModel, image_size=[16, 32], position_embedding="sincos_2d")
    tokens = model.embeddings(torch.zeros(1, 3, 16, 32), (2, 4))[0, 1:].reshape(2, 4, 32)
    by_column, by_row = tokens[..., :16], tokens[..., 16:]
    assert torch.allclose(by_column[0], by_column[1])
    assert torch.allclose(by_row[:, :1].expand_as(by_row), by_row)
    assert not torch.allclose(by_column[:, 0], by_column[:, 1])


REFUSED = [
    (torch.zeros(3, 32, 32), r"shape \(3, 32, 32\) are not \(batch, channels, height, width\); add the batch"),
    (torch.zeros(2, 5), r"shape \(2, 5\) are not"),
    (torch.zeros(1, 1, 32, 32), "have 1 channels, the model takes 3; .* num_channels=1"),
    (torch.zeros(1, 3, 32, 30), "30 pixels do not divide into patches of 8; the nearest that do are 24 or 32"),
    (torch.zeros(1, 3, 4, 32), "4 pixels do not divide into patches of 8; the nearest that do are 8"),
    (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "torch.uint8; the model takes floats"),
    (None, "pixel_values are missing"),
]


@pytest.mark.parametrize(("pixels", "sentence"), REFUSED)
def test_what_is_no_image_is_refused_in_a_sentence(pixels, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny(VisionTransformerForImageClassification)(pixels)


def test_pixels_that_are_no_numbers_are_refused_when_asked():
    model, pixels = tiny(VisionTransformerForImageClassification), images(batch=3)
    pixels[1, 0, 5, 5] = float("nan")
    with pytest.raises(ValueError, match=r"Images \[1\] of the batch hold NaN or infinite pixels"):
        model(pixels, check_finite=True)
    assert model(pixels).logits.isnan().any()


def test_a_misspelt_option_is_refused():
    with pytest.raises(TypeError, match="output_atentions"):
        tiny(VisionTransformerForImageClassification)(images(), output_atentions=True)


def test_hidden_states_are_the_embeddings_and_what_each_layer_made_of_them():
    model, pixels = tiny(VisionTransformerModel), images()
    out = model(pixels, output_hidden_states=True)
    assert torch.equal(out.hidden_states[0], model.embeddings(pixels, (4, 4)))
    assert torch.equal(out.hidden_states[1], model.layers[0](out.hidden_states[0], (4, 4)))
    assert torch.equal(model.norm(out.hidden_states[2]), out.last_hidden_state)
    assert len(out.hidden_states) == 3


def test_registers_stand_between_the_class_token_and_the_patches():
    model = tiny(VisionTransformerModel, num_register_tokens=2)
    plain = tiny(VisionTransformerModel)
    plain.load_state_dict(model.state_dict(), strict=False)
    pixels = images()
    with_registers, without = (m.embeddings(pixels, (4, 4)) for m in (model, plain))
    assert torch.equal(with_registers[:, 1:3], model.embeddings.register_tokens.expand(2, -1, -1))
    assert torch.equal(with_registers[:, [0, *range(3, 19)]], without)


def test_no_labels_give_the_features():
    model = tiny(VisionTransformerForImageClassification, num_labels=0)
    pixels = images()
    assert torch.equal(model(pixels).logits, model.vit(pixels, pooled_only=True).pooler_output)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("position_embedding", ["learned", "rotary", "relative_bias"])
def test_the_class_token_alone_gives_the_same_logits_and_gradients_as_all_tokens(position_embedding, backend):
    model = tiny(
        VisionTransformerForImageClassification,
        position_embedding=position_embedding,
        num_register_tokens=1,
        qk_norm=True,
        layer_scale_init_value=0.5,
    ).double()
    model.set_attn_implementation(backend)
    pixels, labels = images().double(), torch.tensor([1, 4])
    alone, whole = model(pixels, labels=labels), model(pixels, labels=labels, output_hidden_states=True)
    torch.testing.assert_close(alone.logits, whole.logits, rtol=1e-12, atol=1e-12)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(alone.loss, parameters), torch.autograd.grad(whole.loss, parameters), rtol=1e-9, atol=1e-12
    )


def test_a_taught_head_answers_from_its_own_token_and_the_logits_are_the_mean_of_both():
    model = tiny(VisionTransformerForImageClassification, num_register_tokens=2, distillation_token=True).double()
    pixels = images().double()
    tokens, out = model.vit(pixels).last_hidden_state, model(pixels)
    of_class, taught = model.classifier(tokens[:, 0]), model.distillation_classifier(tokens[:, 1])
    torch.testing.assert_close(out.distillation_logits, taught, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(out.logits, (of_class + taught) / 2, rtol=1e-12, atol=1e-12)
    assert tiny(VisionTransformerForImageClassification)(images()).distillation_logits is None


def test_only_the_class_token_leaves_the_last_layer_when_nothing_else_is_looked_at():
    model, pixels = tiny(VisionTransformerModel), images()
    assert model(pixels, pooled_only=True).last_hidden_state.shape == (2, 1, 32)
    assert model(pixels).last_hidden_state.shape == (2, 17, 32)
    for looks in [{"output_attentions": True}, {"output_hidden_states": True}, {"attention_mask": torch.ones(2, 16)}]:
        assert tiny(VisionTransformerModel)(pixels, pooled_only=True, **looks).last_hidden_state.shape == (2, 17, 32)
    assert tiny(VisionTransformerModel, pooling="mean")(pixels, pooled_only=True).last_hidden_state.shape == (2, 17, 32)


def test_a_hook_in_the_last_layer_sees_all_tokens():
    model, seen = tiny(VisionTransformerForImageClassification), []
    with model.vit.layers[-1].feed_forward.register_forward_hook(lambda module, given, made: seen.append(made.shape)):
        model(images())
    assert seen == [(2, 17, 32)]


def test_labels_give_the_loss_and_its_gradient():
    model = tiny(VisionTransformerForImageClassification)
    out = model(images(), labels=torch.tensor([1, 4]))
    assert out.loss.item() == pytest.approx(torch.nn.functional.cross_entropy(out.logits, torch.tensor([1, 4])).item())
    out.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_tuple_is_returned_to_who_asks_for_one():
    model, pixels = tiny(VisionTransformerForImageClassification), images()
    (logits,) = model(pixels, return_dict=False)
    assert torch.equal(logits, model(pixels).logits)


def test_every_initial_value_is_drawn_as_its_word_says():
    models: list[Any] = [
        VisionTransformerModel(tiny_config(position_embedding_init=word, hidden_size=256, image_size=256))
        for word in ("trunc_normal", "normal")
    ]
    trunc, normal = models
    assert trunc.embeddings.positions.table.std().item() == pytest.approx(0.02, rel=0.02)
    assert normal.embeddings.positions.table.std().item() == pytest.approx(1.0, rel=0.02)
    assert normal.embeddings.class_token.std().item() == pytest.approx(1.0, rel=0.2)
    assert trunc.embeddings.class_token.std().item() == pytest.approx(0.02, rel=0.2)
    assert (trunc.layers[0].attention.qkv.bias == 0).all()
    assert trunc.layers[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert (trunc.norm.weight == 1).all()


@pytest.mark.parametrize("position_embedding", ["learned", "embedding", "relative_bias"])
@pytest.mark.parametrize(("word", "spread"), [("trunc_normal", 0.02), ("normal", 1.0)])
def test_all_kinds_of_positions_begin_as_their_word_says_also_where_a_file_lacks_them(position_embedding, word, spread):
    """transformers draws no values for a module that owns no weights itself, as those with an nn.Embedding do not."""
    fields = {"position_embedding": position_embedding, "position_embedding_init": word}
    config = tiny_config(hidden_size=256, num_attention_heads=16, image_size=256, num_hidden_layers=1, **fields)
    missing = VisionTransformerModel.from_pretrained(None, config=config, state_dict={})
    for model in (VisionTransformerModel(config), missing):
        (table,) = [weight for name, weight in model.named_parameters() if ".table" in name]
        assert table.std().item() == pytest.approx(spread, rel=0.02)


def test_masked_patches_show_nothing_of_themselves():
    model = tiny(VisionTransformerForMaskedImageModeling, image_size=[16, 32])
    masked = torch.zeros(1, 8, dtype=torch.bool)
    masked[0, 5] = True  # second row, second column
    image = images(1, 16, 32)
    other = image.clone()
    other[:, :, 8:, 8:16] = 9.0
    first, second = (model(pixels, masked) for pixels in (image, other))
    assert torch.equal(first.reconstruction, second.reconstruction)
    assert first.loss != second.loss
    error = (first.reconstruction - image).abs()[:, :, 8:, 8:16].mean()
    assert first.loss.item() == pytest.approx(error.item(), rel=1e-4)


def test_the_painted_image_has_the_shape_of_the_image():
    model = tiny(VisionTransformerForMaskedImageModeling, patch_size=[8, 4], num_channels=2)
    out = model(images(2, 24, 40, channels=2))
    assert out.reconstruction.shape == (2, 2, 24, 40)
    assert out.loss is None


def test_one_patch_is_painted_from_its_own_token():
    model = tiny(VisionTransformerForMaskedImageModeling)
    tokens = torch.zeros(1, 17, 32)
    tokens[0, 1 + 6] = 1.0  # second row, third column
    painted = (model.paint(tokens, (4, 4)) - model.paint(torch.zeros(1, 17, 32), (4, 4))).abs().sum(1)[0]
    assert (painted[8:16, 16:24] > 0).all()
    painted[8:16, 16:24] = 0
    assert (painted == 0).all()


def test_only_the_model_for_masked_images_takes_a_mask_of_patches():
    with pytest.raises(ValueError, match="needs a mask token"):
        tiny(VisionTransformerModel)(images(), bool_masked_pos=torch.zeros(2, 16, dtype=torch.bool))


def test_a_backbone_maps_the_layers_it_is_asked_for():
    model = tiny(VisionTransformerBackbone, out_features=["stem", "stage2"], num_register_tokens=1)
    pixels = images(height=24, width=40)
    out = model(pixels)
    assert [feature.shape for feature in out.feature_maps] == [(2, 32, 3, 5)] * 2
    assert model.channels == [32, 32]
    last = model.vit(pixels).last_hidden_state[:, 2:]
    assert torch.equal(out.feature_maps[1].flatten(2).mT, last)
    assert out.hidden_states is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("position_embedding", POSITIONS)
def test_half_precision_stays_finite_forwards_and_backwards(dtype, position_embedding):
    model = tiny(
        VisionTransformerForImageClassification,
        position_embedding=position_embedding,
        qk_norm=True,
        layer_scale_init_value=0.1,
        pooling="attention",
    ).to(dtype)
    out = model(images(), labels=torch.tensor([0, 1]))
    out.loss.backward()
    assert out.logits.dtype == dtype
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_autocast_agrees_with_full_precision():
    model, pixels = tiny(VisionTransformerForImageClassification, position_embedding="relative_bias"), images()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(pixels).logits
    torch.testing.assert_close(mixed.float(), model(pixels).logits, atol=0.03, rtol=0.03)


def test_checkpointing_recomputes_the_same_gradients():
    model = tiny(VisionTransformerForImageClassification, drop_path_rate=0.5, hidden_dropout_prob=0.1).train()
    pixels, labels, gradients = images(8), torch.arange(8) % 5, []
    for checkpointing in (False, True):
        if checkpointing:
            # transformers 5.17 knows it by the older of two names.
            new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
            getattr(model, new if hasattr(model, new) else old)()
        torch.manual_seed(3)
        model.zero_grad()
        model(pixels, labels=labels).loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_the_norm_before_the_layers_is_the_last_thing_done_to_the_embeddings():
    model, plain = tiny(VisionTransformerModel, pre_norm=True, patch_bias=False), tiny(VisionTransformerModel)
    assert "embeddings.patches.projection.bias" not in model.state_dict()
    plain.load_state_dict(model.state_dict(), strict=False)
    torch.nn.init.zeros_(plain.embeddings.patches.projection.bias)
    grid, pixels = (4, 4), images()
    expected = model.embeddings.norm(plain.embeddings(pixels, grid))
    torch.testing.assert_close(model.embeddings(pixels, grid), expected)
    assert not torch.allclose(expected, plain.embeddings(pixels, grid))


@pytest.mark.parametrize("patch_embedding", ["conv", "linear"])
def test_what_is_left_over_of_whole_patches_is_cut_off_where_the_configuration_says_so(patch_embedding):
    words = {"image_size": [20, 26], "patch_size": [6, 8], "partial_patches": "cut", "patch_embedding": patch_embedding}
    model = tiny(VisionTransformerModel, **words)
    assert model.config.patch_grid == (3, 3)
    pixels = images(height=20, width=26)
    tokens = model(pixels).last_hidden_state
    assert torch.equal(tokens, model(pixels[..., :18, :24]).last_hidden_state)
    assert model(images(height=29, width=32)).last_hidden_state.shape == (2, 1 + 4 * 4, 32)
    with pytest.raises(UserError, match="5 pixels do not divide into patches of 6; the nearest that do are 6"):
        model(images(height=5, width=26))
    backbone = tiny(VisionTransformerBackbone, **words)
    assert backbone(pixels).feature_maps[0].shape == (2, 32, 3, 3)


def test_no_head_paints_what_would_be_cut_off():
    with pytest.raises(UserError, match="20 pixels do not divide into patches of 6; the nearest that do are 18 or 24"):
        tiny(VisionTransformerForMaskedImageModeling, image_size=20, patch_size=6, partial_patches="cut")
    model = tiny(VisionTransformerForMaskedImageModeling, image_size=18, patch_size=6, partial_patches="cut")
    with pytest.raises(UserError, match="20 pixels do not divide into patches of 6"):
        model(images(height=20, width=18))
