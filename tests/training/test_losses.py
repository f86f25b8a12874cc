import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from training.small_runs import Noise, small_model, trainer_of

from vit_hf.training.losses import binary_cross_entropy, build_objective, cross_entropy, distillation, smooth
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
