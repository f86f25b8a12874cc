"""Calls as code for transformers' own models makes them."""

from typing import Any

import pytest
import torch
from tiny import clips, images, tiny, tiny_swin, tiny_timesformer

import vit_hf
from vit_hf.errors import UserError

MODELS: dict[str, Any] = {
    **{f"VisionTransformer{head}": (tiny, images) for head in ("Model", "ForImageClassification", "Backbone")},
    "VisionTransformerForMaskedImageModeling": (tiny, images),
    **{f"SwinTransformer{head}": (tiny_swin, images) for head in ("Model", "ForImageClassification", "Backbone")},
    **{f"TimeSformer{head}": (tiny_timesformer, clips) for head in ("Model", "ForVideoClassification")},
}


def built(name: str, **words: Any) -> tuple[Any, torch.Tensor]:
    build, inputs = MODELS[name]
    return build(getattr(vit_hf, name), **words), inputs()


def first(outputs: Any) -> torch.Tensor:
    found = outputs[0]
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "words", [{"interpolate_pos_encoding": True}, {"interpolate_pos_encoding": False}, {"head_mask": None}], ids=str
)
def test_an_argument_that_changes_nothing_is_taken(name, words):
    model, pixels = built(name)
    assert torch.equal(first(model(pixels, return_dict=False, **words)), first(model(pixels, return_dict=False)))


@pytest.mark.parametrize("name", MODELS)
def test_an_argument_that_would_change_something_is_refused(name):
    model, pixels = built(name)
    with pytest.raises(UserError, match="head_mask hides no heads in these models; leave it out"):
        model(pixels, head_mask=torch.ones(2, 4))
    with pytest.raises(TypeError, match="nonsense"):
        model(pixels, nonsense=1)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_configuration_without_return_dict_gives_tuples_and_its_model_can_be_traced(name):
    model, pixels = built(name, return_dict=False)
    outputs = model(pixels)
    assert isinstance(outputs, tuple)
    traced: Any = torch.jit.trace(model, pixels)  # and again, to compare both graphs
    torch.testing.assert_close(first(traced(pixels)), first(outputs), rtol=0, atol=1e-6)
    other = torch.rand_like(pixels).repeat(2, *[1] * (pixels.ndim - 1))
    torch.testing.assert_close(first(traced(other)), first(model(other)), rtol=0, atol=1e-6)
