import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from vit_hf.training.probe import STRENGTHS, fit_probe


def clouds(classes: int, images: int, *, width: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """b d, b: clouds of points about a middle for each class, of very different scales in each direction"""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    middles = np.random.default_rng(9).normal(size=(classes, width)) * 2
    points = (middles[labels] + random.normal(size=(images, width))) * 10.0 ** np.arange(width) + 3
    return torch.tensor(points).float(), torch.tensor(labels)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_says_what_scikit_learn_says_on_standardized_features(classes: int):
    x, y = clouds(classes, 300)
    held, held_labels = clouds(classes, 100, seed=1)
    probe = fit_probe(x, y, held, held_labels, classes)
    mean, std = x.double().mean(0), x.double().std(0, correction=0)
    theirs = LogisticRegression(C=probe.strength, max_iter=1000).fit((x.double() - mean) / std, y)
    expected = theirs.predict_proba((held.double() - mean) / std)
    ours = (held @ probe.weight.T + probe.bias).softmax(-1)
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-3)
    assert probe.accuracy == pytest.approx(theirs.score((held.double() - mean) / std, held_labels))


def test_the_strength_is_the_best_on_validation():
    x, y = clouds(3, 60)
    noisy = torch.cat([x, torch.randn(60, 200) * 5], dim=1)
    held, labels = clouds(3, 300, seed=1)
    held = torch.cat([held, torch.randn(300, 200) * 5], dim=1)
    probe = fit_probe(noisy, y, held, labels, 3)
    mean, std = noisy.double().mean(0), noisy.double().std(0, correction=0)
    models = [LogisticRegression(C=c, max_iter=1000).fit((noisy.double() - mean) / std, y) for c in STRENGTHS]
    scores = [float(model.score((held.double() - mean) / std, labels)) for model in models]
    assert len({*scores}) > 1
    assert (probe.strength, probe.accuracy) == (STRENGTHS[int(np.argmax(scores))], pytest.approx(max(scores)))


def test_a_class_without_an_image_is_never_said():
    x, y = clouds(3, 90)
    probe = fit_probe(x[y != 1], y[y != 1], x[y != 1], y[y != 1], 4)
    said = (x @ probe.weight.T + probe.bias).argmax(-1)
    assert set(said.tolist()) == {0, 2}


def test_a_classifier_begins_with_it():
    x, y = clouds(3, 90)
    probe, classifier = fit_probe(x, y, x, y, 3), nn.Linear(5, 3)
    probe.begin(classifier)
    torch.testing.assert_close(classifier(x), x @ probe.weight.T + probe.bias)
