"""Models with fewer tokens: equal to the plain model where nothing is alike to lose, and to loops where there is."""

from typing import Any

import pytest
import torch
from tiny import images, tiny, tiny_swin, tiny_timesformer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification
from transformers.dynamic_module_utils import get_class_from_dynamic_module

import vit_hf
from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerBackbone,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
    drop_patches,
    merge_tokens,
)
from vit_hf.errors import UserError
from vit_hf.fewer_tokens.matching import chosen_patches
from vit_hf.fewer_tokens.put_on import FewerTokens, every_token, fewer_tokens_of, put_on, token_for_each_patch

ARRANGEMENTS = {
    "class token": {},
    "mean": {"pooling": "mean", "class_token": False},
    "mean of all": {"pooling": "mean_all", "num_register_tokens": 2},
    "both": {"pooling": "cls_mean"},
    "attention": {"pooling": "attention", "num_register_tokens": 1},
    "attention to patches": {"pooling": "attention_patches", "final_norm": "pooled"},
    "distilled": {"distillation_token": True, "num_register_tokens": 1},
    "rotary": {"position_embedding": "rotary", "qk_norm": True, "pooling": "mean"},
}
arrangements = pytest.mark.parametrize("fields", ARRANGEMENTS.values(), ids=ARRANGEMENTS)


def classifier(**fields: Any) -> Any:
    return tiny(VisionTransformerForImageClassification, **{"num_hidden_layers": 3, **fields})


@arrangements
@pytest.mark.parametrize("masked", [False, True])
def test_merging_nothing_gives_the_plain_model_to_the_bit(fields, masked):
    model, pixels = classifier(**fields), images()
    options = {"attention_mask": torch.rand(2, 16) < 0.7} if masked else {}
    expected = model(pixels, **options)
    put_on(model, FewerTokens((0, 0, 0), dropped=0.5))  # of which evaluation drops nothing
    model.vit.fewer_tokens = FewerTokens((0, 0, 0))
    found = model(pixels, **options)
    assert fewer_tokens_of(model) is not None
    assert torch.equal(found.logits, expected.logits)


@arrangements
@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_merging_equal_tokens_changes_nothing(fields, backend):
    """Patches come in pairs of equal ones, and nothing says where they lie: half of the tokens say all."""
    model = classifier(**{**fields, "position_embedding": "none"})
    model.set_attn_implementation(backend)
    pixels = images(width=16).unfold(3, 8, 8).repeat_interleave(2, dim=3).flatten(3)  # every patch twice, side by side
    expected = model(pixels).logits
    merge_tokens(model, [8, 0, 0])
    seen = tokens_by_layer(model)
    torch.testing.assert_close(model(pixels).logits, expected, rtol=1e-5, atol=1e-6)
    prefix = model.config.num_prefix_tokens
    assert [count - prefix for count in seen] == [16, 8, 8]


def tokens_by_layer(model: Any) -> list[int]:
    seen: list[int] = []
    for layer in model.vit.layers:
        layer.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[1]))
    return seen


@arrangements
def test_all_tokens_of_which_merged_ones_are_equal_give_the_same_answer(fields):
    """Also where the merged ones were unlike: positions, sizes and pooling are those of a model that has their mean in
    the place of each."""
    model, pixels = merge_tokens(classifier(**fields), 4), images()
    plain = every_token(classifier(**fields))
    expected = model(pixels).logits
    with token_for_each_patch(model):
        torch.testing.assert_close(model(pixels).logits, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(plain(pixels).logits, expected, atol=1e-3)


def logits_by_loops(model: Any, pixels: Tensor, r: int) -> Tensor:
    """Of one image, by a model of a class token whose patches' mean is read: each sum is written out."""
    trunk, config = model.vit, model.config
    heads, width = config.num_attention_heads, config.attention_head_size
    tokens = trunk.embeddings(pixels[None], config.patch_grid)[0]
    sizes = torch.ones(len(tokens))
    for layer in trunk.layers:
        split = layer.attention.qkv(layer.attention_norm(tokens)).unflatten(-1, (3, heads, width))
        query, key, value = (split[:, part] for part in range(3))  # n heads e
        mixed = torch.zeros(len(tokens), heads, width)
        for head in range(heads):
            for one in range(len(tokens)):
                shares = torch.stack(
                    [
                        size * (query[one, head] @ other / width**0.5).exp()
                        for size, other in zip(sizes, key[:, head], strict=True)
                    ]
                )
                mixed[one, head] = (shares[:, None] * value[:, head]).sum(0) / shares.sum()
        tokens = tokens + layer.attention.output(mixed.flatten(1))
        mean_keys = key.mean(1)
        best = []
        for one in range(1, len(tokens), 2):
            cosines = {
                other: float(functional.cosine_similarity(mean_keys[one], mean_keys[other], dim=0))
                for other in range(2, len(tokens), 2)
            }
            nearest = max(cosines, key=lambda other: cosines[other])
            best.append((cosines[nearest], one, nearest))
        gone = sorted(best, reverse=True)[:r]
        sums, after = list(tokens * sizes[:, None]), sizes.clone()
        for _, one, other in gone:
            sums[other], after[other] = sums[other] + sums[one], after[other] + sizes[one]
        left = [place for place in range(len(tokens)) if place not in {one for _, one, _ in gone}]
        sizes, tokens = after[left], torch.stack([sums[place] / after[place] for place in left])
        tokens = tokens + layer.feed_forward(layer.feed_forward_norm(tokens))
    tokens = trunk.norm(tokens)
    return model.classifier((tokens[1:] * sizes[1:, None]).sum(0) / sizes[1:].sum())


def test_a_model_is_that_of_an_independent_slow_reference():
    model, pixels = classifier(pooling="mean").requires_grad_(False), images()
    expected = torch.stack([logits_by_loops(model, one, 3) for one in pixels])
    torch.testing.assert_close(merge_tokens(model, 3)(pixels).logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"pooling": "mean"}])
def test_gradients_flow_to_every_weight_that_the_plain_model_learns_and_checkpointed_ones_are_the_same(fields):
    model, labels = classifier(**fields).train(), torch.tensor([1, 2])
    pixels = images()

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        model(pixels, labels=labels).loss.backward()
        return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}

    plain = gradients()
    merge_tokens(model, 3)
    merged = gradients()
    assert merged.keys() == plain.keys()
    assert all(one.abs().sum() > 0 for name, one in merged.items() if ".qkv.bias" not in name)
    for block in model.vit.layers:
        block.gradient_checkpointing = True
        block._gradient_checkpointing_func = lambda *given: checkpoint(*given, use_reentrant=False)
    again = gradients()
    assert all(torch.equal(again[name], one) for name, one in merged.items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_compute_it_too(dtype):
    model, pixels = merge_tokens(classifier(pooling="attention"), 3), images()
    expected = model(pixels).logits
    found = model.to(dtype)(pixels.to(dtype)).logits
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05 if dtype == torch.bfloat16 else 1e-5)


def test_it_is_one_graph_to_compile_and_to_export_for_any_batch():
    model, pixels = merge_tokens(classifier(position_embedding="rotary", pooling="mean"), 3), images(3)
    expected = model(pixels).logits
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(pixels).logits, expected)
    shapes = {"pixel_values": {0: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(model, (), {"pixel_values": images(2)}, dynamic_shapes=shapes)
    torch.testing.assert_close(program.module()(pixel_values=pixels).logits, expected)


def test_what_is_saved_is_the_model_as_it_was(tmp_path):
    model, pixels = classifier(), images()
    expected = model(pixels).logits
    model.save_pretrained(tmp_path / "plain")
    merge_tokens(drop_patches(model, 0.5), 3)
    model.save_pretrained(tmp_path / "merged")
    files = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("plain", "merged")]
    assert files[0] == files[1]
    loaded: Any = AutoModelForImageClassification.from_pretrained(tmp_path / "merged")
    assert torch.equal(loaded(pixels).logits, expected)
    assert not torch.allclose(model(pixels).logits, expected, atol=1e-3)
    merge_tokens(model, 0)
    assert torch.equal(model(pixels).logits, expected)
    drop_patches(model, 0)
    assert not [module for module in model.modules() if {"forward", "fewer_tokens"} & {*vars(module)}]


def test_a_model_with_code_of_its_own_merges_alike(tmp_path):
    model, pixels = classifier(pooling="attention"), images()
    model.save_pretrained(tmp_path)
    kind: Any = get_class_from_dynamic_module("modeling_vit.VisionTransformerForImageClassification", tmp_path)
    assert not issubclass(kind, VisionTransformerForImageClassification)
    other = merge_tokens(kind.from_pretrained(tmp_path), 3)
    torch.testing.assert_close(other(pixels).logits, merge_tokens(model, 3)(pixels).logits, rtol=1e-5, atol=1e-6)


def test_every_patch_has_the_last_hidden_state_of_what_it_was_merged_into():
    trunk, pixels = merge_tokens(tiny(VisionTransformerModel), 5), images()
    found = trunk(pixels)
    assert found.last_hidden_state.shape == (2, 17, 32)
    assert len(found.last_hidden_state[0].unique(dim=0)) == 17 - 5 - 5
    assert torch.equal(found.pooler_output, found.last_hidden_state[:, 0])


# Patches that training leaves out


@arrangements
@pytest.mark.parametrize("r", [0, 2])
def test_patches_left_out_are_those_that_nobody_may_look_at(fields, r):
    """Positions, turns and pooling are those of the patches that stay; class token and registers do."""
    model, pixels = drop_patches(classifier(**fields), 0.4).train(), images()
    model = merge_tokens(model, r)
    torch.manual_seed(5)
    found = model(pixels).logits
    torch.manual_seed(5)
    kept = chosen_patches(torch.rand(2, 16), 0.6, prefix=0)
    assert kept.shape == (2, 9)
    seen = torch.zeros(2, 16, dtype=torch.bool).scatter(1, kept, True)
    drop_patches(model, 0)
    if not r:
        torch.testing.assert_close(model(pixels, attention_mask=seen).logits, found, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(model(pixels).logits, found, atol=1e-3)


def test_evaluation_leaves_out_nothing():
    model, pixels = classifier(), images()
    expected = model(pixels).logits
    drop_patches(model, 0.5)
    assert torch.equal(model(pixels).logits, expected)
    assert model(pixels, output_hidden_states=True).hidden_states[-1].shape == (2, 17, 32)


def test_merging_for_training_alone_leaves_evaluation_as_it_is():
    model, pixels = classifier(), images()
    expected = model(pixels).logits
    merge_tokens(model, 3, evaluation=False)
    assert torch.equal(model(pixels).logits, expected)
    assert not torch.allclose(model.train()(pixels).logits, expected, atol=1e-3)


# Explanations


@pytest.mark.parametrize("method", ["relevance", "rollout", "attention", "grad_cam"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_merged_model_is_explained_on_every_patch_as_the_plain_one_where_tokens_are_equal(method, pooling):
    model = classifier(position_embedding="none", pooling=pooling)
    pixels = images(width=16).unfold(3, 8, 8).repeat_interleave(2, dim=3).flatten(3)
    expected = vit_hf.explain(model, pixels, method=method).maps
    found = vit_hf.explain(merge_tokens(model, [8, 0, 0]), pixels, method=method).maps
    assert found.shape == (2, 4, 4)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_patches_of_one_token_have_one_heat_and_the_model_stays_merged():
    model, pixels = merge_tokens(classifier(), [8, 4, 0]), images()
    before = model(pixels).logits
    maps = vit_hf.explain(model, pixels, method="attention").maps
    assert maps.shape == (2, 4, 4)
    for heat in maps:
        assert len(torch.unique((heat * 1e5).round())) <= 4
    assert torch.equal(model(pixels).logits, before)


# Sentences


class Stock(nn.Module):
    """What an engine runs, with no layers to look into."""


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: tiny_swin(SwinTransformerForImageClassification), "SwinTransformerForImageClassification (swin_hf)"),
        (lambda: tiny_timesformer(TimeSformerForVideoClassification), "Classification (timesformer_hf) needs all"),
        (lambda: ViTForImageClassification(ViTConfig(num_hidden_layers=1)), "of this package (model_type vit_hf)"),
        (Stock, "of this package (model_type vit_hf)"),
        (lambda: tiny(VisionTransformerBackbone), "VisionTransformerBackbone gives something for every patch"),
        (lambda: tiny(VisionTransformerForMaskedImageModeling), "Modeling gives something for every patch"),
        (lambda: classifier(position_embedding="relative_bias"), "a bias for each step between two patches"),
    ],
)
def test_models_that_need_every_patch_are_refused(model, sentence):
    made = model()
    for put in (lambda: merge_tokens(made, 3), lambda: drop_patches(made, 0.5)):
        with pytest.raises(UserError) as error:
            put()
        assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("r", "sentence"),
    [
        (-1, "-1 tokens cannot be merged; say a number for all layers, such as 13"),
        ("many", "'many' is no number of tokens to merge"),
        ("3,-2", "-2 tokens cannot be merged"),
        (1.5, "1.5 is no number of tokens to merge"),
        ([1, 2, 3, 4], "4 numbers of tokens are given for 3 layers"),
    ],
)
def test_what_is_no_number_of_tokens_is_refused(r, sentence):
    with pytest.raises(UserError, match=sentence):
        merge_tokens(classifier(), r)


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match="A share of 1 of the patches cannot be left out"):
        drop_patches(classifier(), 1)


def test_what_layers_cannot_show_and_backends_cannot_add_is_refused():
    model = merge_tokens(classifier(), 3)
    for name in ("output_hidden_states", "output_attentions"):
        with pytest.raises(UserError, match=f"{name}: layers that merge"):
            model(images(), **{name: True})
    for backend in ("flash_attention_2", "flex_attention"):
        model.config._attn_implementation_internal = backend
        with pytest.raises(UserError, match=f"'{backend}' does not allow; .* one of eager, sdpa"):
            model(images())
