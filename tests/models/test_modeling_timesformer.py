"""What a TimeSformer is to its users: clips of any size, maps of space and time, masks, and where it begins."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from tiny import clips, images, shaken, tiny, tiny_timesformer

from vit_hf import (
    TimeSformerConfig,
    TimeSformerForVideoClassification,
    TimeSformerModel,
    VisionTransformerForImageClassification,
)

Classifier: Any = TimeSformerForVideoClassification
KINDS = ["divided_space_time", "joint_space_time", "space_only"]
FORMS = [
    {"attention_type": "divided_space_time", "position_embedding": "learned"},
    {"attention_type": "divided_space_time", "position_embedding": "rotary", "class_attention": "all"},
    {"attention_type": "joint_space_time", "position_embedding": "embedding"},
    {"attention_type": "space_only", "position_embedding": "rotary"},
]


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
@pytest.mark.parametrize(("frames", "height", "width"), [(4, 32, 32), (1, 32, 32), (7, 48, 16)])
def test_clips_of_any_length_and_size_are_classified_and_teach(words, frames, height, width):
    model = tiny_timesformer(Classifier, **words).train()
    outputs = model(clips(frames=frames, height=height, width=width), labels=torch.tensor([0, 1]))
    outputs.loss.backward()
    assert outputs.logits.shape == (2, 5)
    assert model.timesformer.layers[0].attention.qkv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
def test_each_clip_of_a_batch_is_classified_by_itself(words):
    model, pixels = tiny_timesformer(Classifier, **words).double(), clips(3).double()
    alone = torch.cat([model(clip[None]).logits for clip in pixels])
    torch.testing.assert_close(model(pixels).logits, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
def test_masked_frames_change_nothing(words):
    model, pixels = tiny_timesformer(Classifier, **words).double(), clips().double()
    seen = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    other = pixels.clone()
    other[0, 2:] = 100 * torch.randn(2, 3, 32, 32)
    assert torch.equal(model(other, frame_mask=seen).logits, model(pixels, frame_mask=seen).logits)
    assert not torch.allclose(model(other).logits, model(pixels).logits)
    torch.testing.assert_close(model(pixels, frame_mask=torch.ones(2, 4)).logits, model(pixels).logits)


@pytest.mark.parametrize("words", [FORMS[1], FORMS[3]], ids=lambda words: "-".join(words.values()))
def test_a_masked_clip_is_a_shorter_one_where_positions_know_no_length(words):
    model, pixels = tiny_timesformer(Classifier, **words).double(), clips(1).double()
    seen = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(model(pixels, frame_mask=seen).logits, model(pixels[:, :3]).logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_frames_is_seen_only_where_attention_sees_time(kind):
    model, pixels = tiny_timesformer(Classifier, attention_type=kind).double(), clips().double()
    difference = (model(pixels.flip(1)).logits - model(pixels).logits).abs().max()
    assert difference < 1e-12 if kind == "space_only" else difference > 1e-4


def test_maps_of_space_and_of_time_are_shown_for_each_layer():
    model = tiny_timesformer(Classifier)
    outputs = model(clips(frames=3), output_attentions=True, output_hidden_states=True)
    assert [tuple(one.shape) for one in outputs.attentions] == [(2 * 3, 4, 17, 17)] * 2
    assert [tuple(one.shape) for one in outputs.temporal_attentions] == [(2 * 16, 4, 3, 3)] * 2
    for one in (*outputs.attentions, *outputs.temporal_attentions):
        torch.testing.assert_close(one.sum(-1), torch.ones(one.shape[:-1]))
    assert [tuple(one.shape) for one in outputs.hidden_states] == [(2, 1 + 3 * 16, 32)] * 3
    joint = tiny_timesformer(Classifier, attention_type="joint_space_time")(clips(frames=3), output_attentions=True)
    assert joint.attentions[0].shape == (2, 4, 49, 49)
    assert joint.temporal_attentions is None


def test_a_map_of_time_belongs_to_its_place():
    """Only one place changes over time: the maps of all the others stay as they are."""
    model, pixels = tiny_timesformer(TimeSformerModel, num_hidden_layers=1), clips(1)
    other = pixels.clone()
    other[:, 2, :, 8:16, 16:24] += 1  # second row, third column
    one, another = (model(given, output_attentions=True).temporal_attentions[0] for given in (pixels, other))
    changed = (one - another).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [1 * 4 + 2]


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
def test_the_backends_agree_with_and_without_a_mask(words):
    model, pixels, results = tiny_timesformer(Classifier, **words).double(), clips().double(), {}
    seen = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    for backend in ("eager", "sdpa"):
        model.set_attn_implementation(backend)
        results[backend] = [model(pixels, frame_mask=mask).logits for mask in (None, seen)]
    for eager, sdpa in zip(*results.values(), strict=True):
        torch.testing.assert_close(eager, sdpa, rtol=0, atol=1e-12)


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
def test_the_class_token_alone_is_what_it_is_among_all(words):
    model, pixels = tiny_timesformer(TimeSformerModel, **words).double(), clips().double()
    alone = model(pixels, pooled_only=True)
    assert alone.last_hidden_state.shape == (2, 1, 32)
    torch.testing.assert_close(alone.pooler_output, model(pixels).pooler_output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize("class_attention", ["frames", "all"])
def test_what_a_hook_was_given_stays_as_it_was(class_attention, projection):
    model = tiny_timesformer(TimeSformerModel, class_attention=class_attention, temporal_projection=projection)
    given: list[tuple[str, torch.Tensor, torch.Tensor]] = []

    def keep(name, made):
        made = made[0] if isinstance(made, tuple) else made
        given.append((name, made, made.clone()))

    for name, module in model.layers.named_modules():
        module.register_forward_hook(lambda module, before, made, name=name: keep(name, made))
    with torch.inference_mode():
        model(clips())
    assert {"0", "0.temporal_attention", "0.temporal_projection", "1.attention"} <= {name for name, _, _ in given}
    assert not [name for name, made, before in given if not torch.equal(made, before)]


@pytest.mark.parametrize("words", FORMS, ids=lambda words: "-".join(words.values()))
def test_checkpointing_gradients_changes_none(words):
    model, pixels, gradients = tiny_timesformer(Classifier, **words).double().train(), clips().double(), []
    for checkpointing in (False, True):
        if checkpointing:
            new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
            getattr(model, new if hasattr(model, new) else old)()
        model.zero_grad()
        model(pixels, labels=torch.tensor([0, 1])).loss.backward()
        gradients.append(model.timesformer.embeddings.class_token.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("word", "spread"), [("trunc_normal", 0.02), ("normal", 1.0)])
def test_a_table_of_all_places_begins_as_its_word_says(word, spread):
    words = {"position_embedding": "embedding", "position_embedding_init": word}
    model: Any = TimeSformerModel(TimeSformerConfig(image_size=128, hidden_size=48, num_hidden_layers=1, **words))
    assert model.embeddings.clip_positions.table.weight.std().item() == pytest.approx(spread, rel=0.05)


def test_time_begins_as_nothing():
    model: Any = Classifier(TimeSformerConfig(image_size=16, hidden_size=12, num_hidden_layers=2, intermediate_size=8))
    for layer in model.timesformer.layers:
        assert not layer.temporal_projection.weight.any()
        assert layer.temporal_attention.qkv.weight.any()
    assert not model.timesformer.embeddings.frame_positions.table.any()


@pytest.mark.parametrize("kind", ["divided_space_time", "space_only"])
@pytest.mark.parametrize("position_embedding", ["learned", "embedding", "none"])
def test_a_model_of_images_sees_still_clips_as_before(kind, position_embedding):
    vit = tiny(VisionTransformerForImageClassification, position_embedding=position_embedding, qk_norm=True).double()
    model, picture = Classifier.from_image_model(vit, num_frames=6, attention_type=kind), images().double()
    assert model.config.num_frames == 6
    # One frame is the same sum in the same order; of several, products of other sizes round in other places.
    assert torch.equal(model(picture[:, None]).logits, vit(picture).logits)
    still = model(picture[:, None].expand(-1, 6, -1, -1, -1)).logits
    torch.testing.assert_close(still, vit(picture).logits, rtol=0, atol=4e-15)


def test_a_still_clip_teaches_the_projection_of_time_first():
    vit = tiny(VisionTransformerForImageClassification)
    model = Classifier.from_image_model(vit)
    model(clips(), labels=torch.tensor([0, 1])).loss.backward()
    layer = model.timesformer.layers[0]
    assert layer.temporal_projection.weight.grad.abs().sum() > 0
    assert torch.equal(layer.temporal_attention.qkv.weight, vit.vit.layers[0].attention.qkv.weight)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"num_register_tokens": 2}, "num_register_tokens=2, which has no form in clips; it takes 0"),
        ({"pooling": "mean"}, "pooling='mean'.*takes 'cls'"),
        ({"position_embedding": "sincos_2d"}, "takes 'learned' or 'embedding' or 'none'"),
    ],
)
def test_an_image_model_without_a_form_in_clips_is_refused(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        Classifier.from_image_model(tiny(VisionTransformerForImageClassification, **words))


def test_merged_projections_are_the_same_function_in_fewer_weights(tmp_path):
    model: Any = shaken(tiny_timesformer(Classifier)).double()
    pixels = clips().double()
    before, weights = model(pixels).logits, model.num_parameters()
    merged = model.merge_temporal_projections()
    torch.testing.assert_close(merged(pixels).logits, before, rtol=0, atol=1e-12)
    assert merged.num_parameters() == weights - 2 * (32 * 32 + 32)
    merged.save_pretrained(tmp_path)
    loaded = deepcopy(Classifier.from_pretrained(tmp_path, dtype=torch.float64))  # out of the mapped file
    assert torch.equal(loaded(pixels).logits, merged(pixels).logits)


@pytest.mark.parametrize(
    ("pixels", "complaint"),
    [
        (torch.zeros(2, 3, 32, 32), r"pixel_values\[:, None\]"),
        (torch.zeros(2, 3, 4, 32, 32), r"4 channels in each of 3 frames.*transpose\(1, 2\)"),
        (torch.zeros(2, 4, 3, 30, 32), "30 pixels do not divide into patches of 8"),
        (torch.zeros(2, 4, 3, 32, 32, dtype=torch.uint8), "takes floats"),
    ],
)
def test_what_is_no_batch_of_clips_is_refused(pixels, complaint):
    with pytest.raises(ValueError, match=complaint):
        tiny_timesformer(Classifier)(pixels)


def test_a_mask_of_other_frames_is_refused():
    with pytest.raises(ValueError, match=r"frame_mask of shape \(2, 3\).*\(2, 4\)"):
        tiny_timesformer(Classifier)(clips(), frame_mask=torch.ones(2, 3))
    nothing = torch.tensor([[True] * 4, [False] * 4])
    with pytest.raises(ValueError, match=r"hides every frame of the clips \[1\]"):
        tiny_timesformer(Classifier)(clips(), frame_mask=nothing)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"attention_type": "joint_space_time", "position_embedding": "rotary"}, "does not hold apart; take"),
        ({"attention_type": "space_only", "class_attention": "all"}, "leave it out"),
        ({"num_frames": 0}, "num_frames=0 must be greater than 0"),
        ({"num_frame": 8}, "did you mean 'num_frames'"),
        ({"hidden_size": 30}, "hidden_size=30 does not divide"),
    ],
)
def test_a_config_that_no_model_can_be_built_from_says_what_would_do(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        TimeSformerConfig(**{"hidden_size": 32, "num_attention_heads": 4, **words})
