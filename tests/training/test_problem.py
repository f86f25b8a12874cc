import numpy as np
import pytest

from vit_hf.training.problem import Problem, figure_names, in_digits, shown, title_of


@pytest.mark.parametrize(
    ("counts", "headline"),
    [
        ([50, 50], "accuracy"),
        ([95, 5], "balanced_accuracy"),  # a fifth of the mean of 50 are 10
        ([90, 10], "accuracy"),
        ([91, 9], "balanced_accuracy"),
        ([100, 100, 100, 12], "balanced_accuracy"),
        ([100, 100, 100, 16], "accuracy"),
        (None, "accuracy"),
    ],
)
def test_with_a_rarest_class_below_a_fifth_of_the_mean_a_run_goes_by_balanced_accuracy(counts, headline: str):
    problem = Problem("single_label_classification", [str(place) for place in range(len(counts or [0, 0]))], counts)
    assert problem.headline == headline
    assert bool(problem.describe()) == (headline == "balanced_accuracy")


def test_the_sentence_names_the_rare_classes_and_what_helps():
    (line,) = Problem("single_label_classification", ["bus", "car", "tram"], [100, 4, 9]).describe()
    assert "car (4) has less than a fifth of the 38 training images" in line
    assert "go by balanced accuracy" in line
    assert "optimization.class_weights: balanced" in line


def test_each_problem_has_its_headline_among_its_figures():
    assert Problem("multi_label_classification", ["a", "b"], [9, 1]).headline == "macro_f1"
    assert Problem("regression", ["age"]).headline == "mae"
    for kind in ("single_label_classification", "multi_label_classification", "regression"):
        assert Problem(kind, ["a", "b"], [95, 5]).headline in figure_names(kind, 2)


def test_classes_are_counted_also_where_an_image_has_several():
    assert Problem.of("single_label_classification", ["a", "b", "c"], np.array([0, 2, 2])).counts == [1, 0, 2]
    several = Problem.of("multi_label_classification", ["a", "b"], np.array([[1, 1], [0, 1], [0, 0]], np.float32))
    assert (several.counts, several.images) == ([1, 2], 3)
    assert Problem.of("regression", ["age"], np.array([[3.0]])).counts is None
    assert Problem.of("single_label_classification", ["a", "b"], None).counts is None


def test_figures_are_shown_as_people_call_them():
    assert title_of("top_5_accuracy") == "Top-5 accuracy"
    assert (shown("balanced_accuracy", 0.5), shown("mae", 2.5), shown("auroc", None)) == ("50.00%", "2.5000", "–")
    for kind in ("single_label_classification", "multi_label_classification", "regression"):
        assert all(title_of(name) for name in figure_names(kind, 12))


def test_the_units_of_numbers_are_their_mean_and_standard_deviation():
    problem = Problem.of("regression", ["age", "price"], np.array([[1, 10], [3, 50]], np.float32))
    assert (problem.target_mean, problem.target_std) == ([2, 30], [1, 20])
    assert problem.describe()[0].startswith("Targets: age 2 ± 1, price 30 ± 20 (mean and standard deviation of")
    assert "age are learned as they are" in Problem("regression", ["age"]).describe()[0]
    still = Problem.of("regression", ["x"], np.full((3, 1), 0.1, np.float32))  # of which the mean is another, rounded
    assert still.target_std == [0]


def test_numbers_of_any_size_have_digits_that_say_something():
    assert [in_digits(value) for value in (0.0, 2.5, 123_456.7, 1.23456e-6)] == [
        "0.0000",
        "2.5000",
        "123,457",
        "1.235e-06",
    ]
