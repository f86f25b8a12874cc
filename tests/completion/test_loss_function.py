import math

import pytest
import torch
from tiny import tiny_config

from vit_hf.completion.loss_function import classification_loss
from vit_hf.models.modeling_vit_heads import masked_pixel_loss

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def loss(labels, **fields) -> float:
    return classification_loss(LOGITS, labels, tiny_config(num_labels=3, **fields)).item()


def test_whole_numbers_are_classes():
    first, second = math.log(math.e**2 + 2) - 2, math.log(math.e + 2)
    assert loss(torch.tensor([0, 2])) == pytest.approx((first + second) / 2)
    assert loss(torch.tensor([0, 2], dtype=torch.uint8)) == loss(torch.tensor([0, 2]))


def test_shares_are_soft_labels_and_leave_the_config_alone():
    config = tiny_config(num_labels=3)
    shares = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    soft = classification_loss(LOGITS, shares, config).item()
    first = math.log(math.e**2 + 2) - 1
    assert soft == pytest.approx((first + math.log(math.e + 2)) / 2)
    assert config.problem_type is None
    assert classification_loss(LOGITS, torch.tensor([0, 2]), config).item() == loss(torch.tensor([0, 2]))


def test_smoothing_spreads_its_share_over_all_labels():
    shares = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    assert loss(torch.tensor([0, 2]), label_smoothing=0.3) == pytest.approx(loss(shares))
    hard = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert loss(hard, label_smoothing=0.3) == pytest.approx(loss(shares))


def test_a_problem_with_many_labels_each_is_asked_for_by_name():
    many = torch.tensor([[1, 1, 0], [0, 0, 0]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, many.float()).item()
    assert loss(many, problem_type="multi_label_classification") == pytest.approx(expected)


def test_one_number_for_each_image_is_a_regression():
    config = tiny_config(num_labels=1)
    logits = torch.tensor([[1.0], [3.0]])
    assert classification_loss(logits, torch.tensor([2.0, 1.0]), config).item() == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.tensor([0, 3]), "Label 3 is outside 0 to 2"),
        (torch.tensor([0, -100]), "Label -100 is outside 0 to 2"),
        (torch.tensor([0, 1, 2]), r"shape \(3,\) do not fit a batch of 2"),
        (torch.tensor([[0], [1]]), r"shape \(2, 1\) do not fit a batch of 2"),
        (torch.tensor([0.0, 1.0]), r"shape \(2,\) do not fit logits of shape \(2, 3\)"),
        (torch.ones(2, 4), r"shape \(2, 4\) do not fit logits"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        loss(labels)


def test_only_masked_pixels_count():
    image, painted = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    painted[0, :, 0, 0] = torch.tensor([3.0, 1.0])
    painted[0, :, 1, 1] = 100.0
    mask = torch.tensor([[[[True, False], [True, False]]]])
    # Two masked pixels of two channels, off by 3, 1, 0 and 0.
    assert masked_pixel_loss(painted, image, mask).item() == pytest.approx(1.0, rel=1e-5)
