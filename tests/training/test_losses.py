import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional
from training.small_runs import NAMES, Noise, small_model, trainer_of

from vit_hf.errors import UserError
from vit_hf.training.class_weights import class_weights
from vit_hf.training.losses import (
    Loss,
    binary_cross_entropy,
    build_objective,
    cross_entropy,
    distillation,
    loss_of,
    smooth,
)
from vit_hf.training.problem import Problem
from vit_hf.training.recipe.optimization import OptimizationSettings

LOGITS = torch.tensor([[0.0, math.log(3.0)]])  # probabilities 1/4 and 3/4, sigmoids 1/2 and 3/4


def test_cross_entropy_by_hand():
    assert cross_entropy(LOGITS, torch.tensor([1])).item() == pytest.approx(-math.log(3 / 4))
    assert cross_entropy(LOGITS, torch.tensor([[0.5, 0.5]])).item() == pytest.approx(-math.log(3 / 16) / 2)


def test_each_label_is_a_question_of_its_own_under_binary_cross_entropy():
    expected = -(math.log(1 / 2) + math.log(3 / 4)) / 2
    assert binary_cross_entropy(LOGITS, torch.tensor([1])).item() == pytest.approx(expected)
    mixed = -(math.log(1 / 2) + 0.5 * math.log(3 / 4) + 0.5 * math.log(1 / 4)) / 2
    assert binary_cross_entropy(LOGITS, torch.tensor([[0.5, 0.5]])).item() == pytest.approx(mixed)


def test_smoothing_takes_from_the_target_and_spreads_over_all():
    assert smooth(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), 0.2).tolist() == [pytest.approx([0.85, 0.05, 0.05, 0.05])]


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])
def test_a_whole_number_is_the_share_of_one_class_also_when_smoothed(loss):
    logits, labels = torch.randn(6, 5), torch.randint(5, (6,))
    shares = functional.one_hot(labels, 5).float()
    torch.testing.assert_close(loss(logits, labels, 0.1), loss(logits, shares, 0.1), rtol=1e-6, atol=0)


def test_a_student_that_agrees_has_nothing_to_learn():
    logits = torch.randn(4, 3)
    shifted = logits + 5.0  # the same probabilities
    assert distillation(logits, shifted, kind="soft", temperature=2.0).item() == pytest.approx(0, abs=1e-6)


def test_soft_distillation_by_hand():
    student, teacher = torch.zeros(1, 2), LOGITS
    expected = 1 / 4 * math.log(1 / 4 / (1 / 2)) + 3 / 4 * math.log(3 / 4 / (1 / 2))
    assert distillation(student, teacher, kind="soft", temperature=1.0).item() == pytest.approx(expected)
    assert distillation(student, 2 * teacher, kind="soft", temperature=2.0).item() == pytest.approx(4 * expected)
    assert distillation(student, teacher, kind="hard", temperature=1.0).item() == pytest.approx(math.log(2))


class Student(torch.nn.Module):
    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=pixel_values)


def test_alpha_is_the_teachers_share_of_the_loss():
    settings = OptimizationSettings(distillation={"teacher": "x", "kind": "hard", "alpha": 0.25})  # pyright: ignore[reportArgumentType]
    objective = build_objective(settings, lambda pixels: torch.tensor([[0.0, 1.0]]))
    assert objective is not None
    inputs = {"pixel_values": LOGITS, "labels": torch.tensor([0])}
    loss, _ = objective(Student(), inputs)
    assert loss.item() == pytest.approx(0.75 * math.log(4) + 0.25 * math.log(4 / 3))
    assert set(inputs) == {"pixel_values", "labels"}


def test_a_taught_head_learns_from_the_teacher_alone_and_the_other_from_the_labels():
    model = small_model(num_register_tokens=1, distillation_token=True).eval()
    pixels, labels = torch.randn(2, 3, 8, 8), torch.tensor([0, 2])
    teacher = torch.randn(2, 3)
    settings = OptimizationSettings(distillation={"teacher": "x", "kind": "hard"})  # pyright: ignore[reportArgumentType]
    objective = build_objective(settings, lambda _: teacher)
    assert objective is not None
    loss, out = objective(model, {"pixel_values": pixels, "labels": labels})
    assert model.distillation_classifier is not None
    of_class, taught = 2 * out.logits - out.distillation_logits, out.distillation_logits
    expected = [functional.cross_entropy(of_class, labels), functional.cross_entropy(taught, teacher.argmax(-1))]
    assert loss.item() == pytest.approx((0.5 * expected[0] + 0.5 * expected[1]).item())
    (lesson,) = torch.autograd.grad(0.5 * expected[1], model.distillation_classifier.bias, retain_graph=True)
    (learned,) = torch.autograd.grad(loss, model.distillation_classifier.bias)
    torch.testing.assert_close(learned, lesson)


def test_a_recipe_without_wishes_keeps_the_models_own_loss():
    assert build_objective(OptimizationSettings(), None) is None
    with pytest.raises(ValueError, match="needs a teacher"):
        build_objective(OptimizationSettings(distillation={"teacher": "x"}), None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1}, {"loss": "bce", "label_smoothing": 0.1}])
@pytest.mark.parametrize("shares", [False, True])
def test_labels_and_shares_train_alike_and_evaluation_is_on_plain_labels(tmp_path, settings: dict, shares: bool):
    trainer = trainer_of(small_model(), tmp_path, settings, data=Noise(16, shares=shares))
    trainer.train()
    model = trainer.model
    assert model.config.problem_type is None
    with torch.no_grad():
        data = Noise(8)
        expected = functional.cross_entropy(model.eval()(data.pixels).logits, data.labels).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-5)
    loss = build_objective(OptimizationSettings(**settings), None)
    start, batch = small_model().train(), Noise(16, shares=shares)
    trainer = trainer_of(start, tmp_path, settings, data=batch, max_steps=1, per_device_train_batch_size=16)
    logits = start(batch.pixels).logits
    by_hand = loss.on_labels(logits, batch.labels) if loss else cross_entropy(logits, batch.labels)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(by_hand.item(), abs=1e-5)


ONE = Problem("single_label_classification", ["cat", "dog", "owl"], [60, 30, 10], 100)
SEVERAL = Problem("multi_label_classification", ["cat", "dog", "owl"], [60, 30, 10], 100)


def of(problem: Problem, **settings: Any) -> Loss:
    return loss_of(OptimizationSettings(**settings), problem)


def test_weighted_cross_entropy_is_torchs_own_with_a_mean_over_the_images():
    logits, labels, weights = torch.randn(8, 3), torch.randint(3, (8,)), torch.tensor([0.5, 1.0, 4.0])
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / 8
    for given in (weights.tolist(), {"cat": 0.5, "owl": 4.0}):
        torch.testing.assert_close(of(ONE, class_weights=given)(logits, labels), expected)
    shares = torch.rand(8, 3).softmax(-1)
    mixed = functional.cross_entropy(logits, shares, weight=weights, label_smoothing=0.1)
    found = of(ONE, class_weights=weights.tolist(), label_smoothing=0.1)(logits, shares)
    torch.testing.assert_close(found, mixed)


def test_parts_of_a_weighted_batch_add_up_to_the_whole():
    logits, labels = torch.randn(8, 3), torch.randint(3, (8,))
    loss = of(ONE, class_weights="balanced", loss="focal")
    torch.testing.assert_close((loss(logits[:4], labels[:4]) + loss(logits[4:], labels[4:])) / 2, loss(logits, labels))


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = class_weights(OptimizationSettings(class_weights="balanced"), ONE)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert found[torch.from_numpy(labels)].mean() == pytest.approx(1)


def test_balanced_labels_weigh_their_yes_as_much_as_their_no():
    found = class_weights(OptimizationSettings(class_weights="balanced"), SEVERAL)
    assert found is not None
    assert found.tolist() == pytest.approx([40 / 60, 70 / 30, 90 / 10])
    logits, labels = torch.randn(8, 3), (torch.rand(8, 3) > 0.5).float()
    expected = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=found)
    torch.testing.assert_close(of(SEVERAL, class_weights="balanced")(logits, labels), expected)


def test_focal_losses_by_hand():
    """Of one class: -(1 - p)^gamma log p. Of several, as torchvision's sigmoid_focal_loss with alpha -1."""
    loss = loss_of(OptimizationSettings(loss="focal"), Problem("single_label_classification", ["a", "b"]))
    assert loss(LOGITS, torch.tensor([1])).item() == pytest.approx(-((1 / 4) ** 2) * math.log(3 / 4))
    mixed = -((1 / 4) ** 2) * math.log(3 / 4) * 0.7 - (3 / 4) ** 2 * math.log(1 / 4) * 0.3
    assert loss(LOGITS, torch.tensor([[0.3, 0.7]])).item() == pytest.approx(mixed)
    loss = loss_of(
        OptimizationSettings(loss="focal", focal_gamma=3.0), Problem("multi_label_classification", ["a", "b"])
    )
    expected = -((1 / 2) ** 3 * math.log(1 / 2) + (3 / 4) ** 3 * math.log(1 / 4)) / 2
    assert loss(LOGITS, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(expected)


def test_focal_loss_without_a_gamma_is_the_plain_one_and_with_a_small_one_has_a_gradient():
    logits, labels, several = torch.randn(8, 3), torch.randint(3, (8,)), (torch.rand(8, 3) > 0.5).float()
    plain = of(ONE)(logits, labels)
    torch.testing.assert_close(of(ONE, loss="focal", focal_gamma=0.0)(logits, labels), plain)
    torch.testing.assert_close(
        of(SEVERAL, loss="focal", focal_gamma=0.0)(logits, several), of(SEVERAL)(logits, several)
    )
    sure = torch.tensor([[60.0, 0.0, 0.0]], requires_grad=True)
    of(ONE, loss="focal", focal_gamma=0.5)(sure, torch.tensor([0])).backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


def test_the_adjusted_logits_have_the_logarithm_of_the_shares_added():
    logits, labels = torch.randn(8, 3), torch.randint(3, (8,))
    moved = logits + 1.5 * torch.tensor([0.6, 0.3, 0.1]).log()
    torch.testing.assert_close(of(ONE, logit_adjustment=1.5)(logits, labels), functional.cross_entropy(moved, labels))
    shares = functional.one_hot(labels, 3).float()
    torch.testing.assert_close(of(ONE, logit_adjustment=1.5)(logits, shares), functional.cross_entropy(moved, shares))


def test_an_image_of_unknown_class_loses_nothing_by_adjustment_when_it_is_as_probable_as_it_is_frequent():
    """With logits that say nothing, the adjusted loss is least, in the mean over the images, as it stands."""
    logits = torch.zeros(1, 3, requires_grad=True)
    labels = torch.from_numpy(np.repeat([0, 1, 2], [60, 30, 10]))
    of(ONE, logit_adjustment=1.0)(logits.expand(100, 3), labels).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-7


def test_several_labels_are_smoothed_toward_one_half():
    found = of(SEVERAL, label_smoothing=0.2)(torch.zeros(1, 3) + 2, torch.tensor([[1.0, 0.0, 0.0]]))
    expected = functional.binary_cross_entropy_with_logits(torch.zeros(1, 3) + 2, torch.tensor([[0.9, 0.1, 0.1]]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("word", "expected"), [("mse", (1 + 9) / 2), ("l1", (1 + 3) / 2), ("huber", (0.5 + 2.5) / 2)])
def test_losses_of_numbers_by_hand(word: str, expected: float):
    loss = of(Problem("regression", ["age"]), loss=word)
    assert loss(torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0])).item() == pytest.approx(expected)
    scaled = of(Problem("regression", ["age"], target_mean=[7.0], target_std=[100.0]), loss=word)
    assert scaled(torch.tensor([[100.0], [500.0]]), torch.tensor([200.0, 200.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "problem", "says"),
    [
        ({"loss": "cross_entropy"}, SEVERAL, "not for several labels of an image, which the data has; bce or focal is"),
        ({"loss": "l1"}, ONE, "l1 is not for one class of each image"),
        ({"loss": "focal"}, Problem("regression", ["age"]), "focal is not for numbers, which the data has; mse or l1"),
        ({"label_smoothing": 0.1}, Problem("regression", ["age"]), "label_smoothing is not for numbers"),
        ({"class_weights": "balanced"}, Problem("regression", ["age"]), "class_weights is not for numbers"),
        ({"logit_adjustment": 1.0}, SEVERAL, "logit_adjustment is not for several labels"),
        ({"logit_adjustment": 1.0, "loss": "bce"}, ONE, "bce asks for each by itself"),
        ({"class_weights": [1.0, 2.0]}, ONE, "has 2 numbers, and the data 3 classes: cat, dog, owl"),
        ({"class_weights": {"cow": 2.0}}, ONE, "There is no class 'cow'; did you mean 'owl'"),
        ({"class_weights": "balanced"}, Problem("single_label_classification", ["a", "b"]), "not known of a stream"),
        (
            {"class_weights": "balanced"},
            Problem("single_label_classification", ["a", "b"], [3, 0], 3),
            "no training image is of 'b'",
        ),
        (
            {"class_weights": "balanced"},
            Problem("multi_label_classification", ["a", "b"], [3, 1], 3),
            "every training image is of 'a'",
        ),
    ],
)
def test_what_makes_no_sense_of_the_data_is_a_sentence(settings: dict, problem: Problem, says: str):
    with pytest.raises(UserError, match=says):
        build_objective(OptimizationSettings(**settings), None, problem)


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_the_usual_loss_of_a_problem_is_the_models_own(tmp_path, kind: str):
    problem = Problem(kind, list(NAMES.values()))  # pyright: ignore[reportArgumentType]
    assert build_objective(OptimizationSettings(), None, problem) is None
    data = Noise(16, shares=True)
    trainer = trainer_of(small_model(), tmp_path, data=data, problem=problem, eval_data=data)
    assert trainer.model.config.problem_type == kind
    found = trainer.evaluate()
    with torch.no_grad():
        logits = trainer.model.eval()(data.pixels).logits
    assert found["eval_loss"] == pytest.approx(loss_of(OptimizationSettings(), problem)(logits, data.labels).item())
    assert f"eval_{problem.headline}" in found
    trainer.train()


@pytest.mark.parametrize(
    "settings",
    [{"class_weights": "balanced"}, {"loss": "focal", "class_weights": [1, 2, 3]}, {"logit_adjustment": 1.0}],
)
@pytest.mark.parametrize("shares", [False, True])
def test_what_makes_up_for_rare_classes_acts_in_training_only_and_on_mixed_labels_too(tmp_path, settings, shares: bool):
    data, problem = (
        Noise(16, shares=shares),
        Problem("single_label_classification", list(NAMES.values()), [8, 6, 2], 16),
    )
    trainer = trainer_of(
        small_model(), tmp_path, settings, data=data, problem=problem, max_steps=1, per_device_train_batch_size=16
    )
    with torch.no_grad():
        start, held_out = small_model(), Noise(8)
        plain = functional.cross_entropy(start.eval()(held_out.pixels).logits, held_out.labels).item()
        by_hand = loss_of(OptimizationSettings(**settings), problem)(start(data.pixels).logits, data.labels).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(plain, abs=1e-5)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(by_hand, abs=1e-5)
