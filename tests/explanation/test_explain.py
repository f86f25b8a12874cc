"""One call for every method: labels by name and number, heat from 0 to 1, and sentences for what does not exist."""

import pytest
import torch
from tiny import clips, images, tiny, tiny_config, tiny_timesformer

import vit_hf
from vit_hf import TimeSformerForVideoClassification, VisionTransformerForImageClassification
from vit_hf.errors import UserError
from vit_hf.explanation.explain import METHODS, Explanation, explain
from vit_hf.explanation.scoring import curves, points_at

LABELS = {0: "cat", 1: "dog", 2: "fox", 3: "hen", 4: "owl"}


def model_with_labels():
    return tiny(VisionTransformerForImageClassification, id2label=LABELS)


def test_the_most_probable_label_is_explained():
    model, pixels = model_with_labels(), images()
    found = vit_hf.explain(model, pixels)
    probabilities = model(pixels).logits.softmax(-1)
    assert found.method == "relevance"
    assert torch.equal(found.targets, probabilities.argmax(-1))
    torch.testing.assert_close(found.probabilities, probabilities.max(-1).values.detach())
    assert found.maps.dtype == torch.float32
    assert not found.maps.requires_grad


@pytest.mark.parametrize(("target", "numbers"), [("fox", [2, 2]), (2, [2, 2]), (torch.tensor([4, 1]), [4, 1])])
def test_any_label_can_be_explained(target, numbers):
    model, pixels = model_with_labels(), images()
    found = explain(model, pixels, target=target)
    assert found.targets.tolist() == numbers
    other = explain(model, pixels, target=torch.tensor([numbers[0], 3]))
    assert torch.equal(found.maps[0], other.maps[0])
    assert not torch.allclose(found.maps[1], other.maps[1])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"target": "ox"}, "There is no label 'ox'; did you mean 'fox'?"),
        ({"target": 5}, "There is no label 5; the model has 5, 0 to 4"),
        ({"target": -1}, "There is no label -1"),
        ({"target": torch.tensor([0.5, 1])}, "There is no label"),
        ({"target": torch.tensor([0, 1, 2])}, "3 labels are given for 2 images"),
        ({"method": "features"}, "gives colors and no heat"),
        ({"method": "gradcam"}, "There is no method 'gradcam'; did you mean 'grad_cam'?"),
        ({"layer": 3}, "The method 'relevance' has no option 'layer'; it takes none"),
        ({"method": "attention", "side": 3}, "has no option 'side'; it takes layer and head"),
        ({"method": "attention", "layer": 9}, "There is no layer 9; the model has 2, 0 to 1"),
    ],
)
def test_what_does_not_exist_is_refused(given, sentence):
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        explain(model_with_labels(), images(), **given)


def test_heat_grows_to_the_size_of_the_image_and_runs_from_0_to_1():
    maps = torch.tensor([[[1.0, 3], [1, 1]], [[0.0, 0], [0, 0]]])
    heat = Explanation(maps, torch.zeros(2), torch.ones(2), "relevance").heat((8, 6))
    assert heat.shape == (2, 8, 6)
    assert heat[0].min() == 0
    assert heat[0].max() == 1
    assert heat[0, 0, -1] == 1
    assert heat[1].abs().sum() == 0


def test_frames_of_a_clip_share_one_scale():
    maps = torch.stack([torch.ones(2, 2), torch.full((2, 2), 5.0)])[None]
    heat = Explanation(maps, torch.zeros(1), torch.ones(1), "relevance").heat((4, 4))
    assert heat.shape == (1, 2, 4, 4)
    assert heat[0, 0].max() == 0
    assert heat[0, 1].min() == 1
    assert explain(tiny_timesformer(TimeSformerForVideoClassification), clips()).maps.shape == (2, 4, 4, 4)


def test_pixels_beyond_whole_patches_have_no_heat():
    model = tiny(VisionTransformerForImageClassification, partial_patches="cut", image_size=36)
    for method in ("relevance", "grad_cam", "rollout", "attention", "occlusion"):
        found = explain(model, images(height=38, width=34), method=method)
        assert found.maps.shape == (2, 4, 4)
        assert curves(model, images(height=38, width=34), found.maps, found.targets, steps=3).gain.shape == (2,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_explained_alike(dtype):
    model, pixels = model_with_labels(), images()
    for method in ("relevance", "rollout", "attention", "grad_cam", "occlusion"):
        expected = explain(model, pixels, method=method, target=1).maps
        found = explain(model.to(dtype), pixels.to(dtype), method=method, target=1).maps
        model.float()
        tolerance = 0.1 * float(expected.max()) if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_every_method_says_what_its_heat_means():
    assert all(method.means and method.compute.__doc__ for method in METHODS.values())


def test_the_heat_of_a_trained_model_lies_on_the_object():
    """A model that learns in seconds to name the color of a patch which lies somewhere in a plain image."""
    draws = torch.Generator().manual_seed(0)

    def pasted(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """-> b c h w, b, b h w of patches: where the object lies"""
        labels, places = torch.randint(3, (count,), generator=draws), torch.randint(16, (count,), generator=draws)
        objects = torch.nn.functional.one_hot(places, 16).reshape(count, 4, 4).float()
        colors = torch.nn.functional.one_hot(labels, 3).float()[:, :, None, None]
        return (colors * objects[:, None]).repeat_interleave(8, -1).repeat_interleave(8, -2), labels, objects

    torch.manual_seed(0)
    model = VisionTransformerForImageClassification(tiny_config(num_labels=3))
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        pixels, labels, _ = pasted(64)
        loss = torch.nn.functional.cross_entropy(model(pixels).logits, labels)
        steps.zero_grad()
        loss.backward()
        steps.step()
    pixels, labels, objects = pasted(100)
    found = explain(model, pixels)
    assert (found.targets == labels).float().mean() > 0.95
    assert points_at(found.maps, objects).float().mean() >= 0.95
    assert points_at(-found.maps, objects).float().mean() < 0.1


def test_of_several_labels_each_has_a_probability_of_its_own_and_of_numbers_none_has():
    pixels = images(3)
    several = tiny(VisionTransformerForImageClassification, problem_type="multi_label_classification")
    found, logits = explain(several, pixels), several(pixels).logits
    torch.testing.assert_close(found.probabilities, logits.sigmoid().amax(1))
    numbers = tiny(VisionTransformerForImageClassification, problem_type="regression")
    found = explain(numbers, pixels)
    assert found.targets.tolist() == [0, 0, 0]
    torch.testing.assert_close(found.probabilities, numbers(pixels).logits[:, 0])
    # Taken away as a whole nothing is left of an image, and put in as a whole all of it.
    measured = curves(numbers, pixels, found.maps, found.targets)
    torch.testing.assert_close(measured.insertion[:, -1], found.probabilities)
    torch.testing.assert_close(measured.deletion[:, 0], found.probabilities)
