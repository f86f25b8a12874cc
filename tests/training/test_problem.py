import numpy as np
import pytest

from vit_hf.training.problem import Problem, figure_names, shown, title_of


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
