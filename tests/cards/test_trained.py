from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from vit_hf.cards.trained import CardFacts, code_block, escape, render_model_card
from vit_hf.families import FAMILIES
from vit_hf.training.metrics.measure import measure

LABELS = ["cat", "dog | <b>wolf</b>", "x\n---\ny"]


def facts(**changes) -> CardFacts:
    row = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "auroc": None, "average_precision": None, "images": 4}
    return CardFacts(
        **{
            "name": "my model",
            "repository": "my-model",
            "license": "apache-2.0",
            "family": "vit",
            "parameters": 202570,
            "data_name": "photos",
            "data_source": "photos",
            "on_hub": False,
            "split": "test",
            "split_origin": "a fixed, stratified 20%",
            "counts": {"train": 12, "test": 3},
            "labels": LABELS,
            "metrics": {
                "accuracy": 0.75,
                "balanced_accuracy": 0.5,
                "macro_f1": 0.4,
                "mcc": 0.3,
                "auroc": None,
                "average_precision": 0.6,
                "loss": 0.5,
                "expected_calibration_error": 0.125,
                "images": 12,
                "classes": dict.fromkeys(LABELS, row),
            },
            "preprocessing": ["3 channels"],
            "recipe": "data: {name: '```'}",
            "training_seconds": 12.0,
            "hardware": "2 CPU threads",
            "versions": {"torch": "2"},
            "pictures": ["predictions.png"],
            **changes,
        }
    )


def test_the_metadata_says_what_the_hub_indexes():
    card = ModelCard(str(render_model_card(facts())))
    data: Any = card.data
    assert (data.pipeline_tag, data.library_name, data.license) == (
        "image-classification",
        "transformers",
        "apache-2.0",
    )
    assert "vision" in (data.tags or [])
    results = {result.metric_type: result.metric_value for result in data.eval_results or []}
    assert results == {
        "accuracy": 0.75,
        "balanced_accuracy": 0.5,
        "macro_f1": 0.4,
        "mcc": 0.3,
        "average_precision": 0.6,
        "loss": 0.5,
        "expected_calibration_error": 0.125,
    }
    header = yaml.safe_load(str(card).split("---")[1])
    assert header["model-index"][0]["name"] == "my model"
    assert header["model-index"][0]["results"][0]["task"]["type"] == "image-classification"
    assert "datasets" not in header


def test_a_data_set_of_the_hub_is_linked():
    header = yaml.safe_load(str(render_model_card(facts(on_hub=True, data_source="uoft-cs/cifar10"))).split("---")[1])
    assert header["datasets"] == ["uoft-cs/cifar10"]


def test_texts_of_the_user_stay_texts():
    recall = {"classes": {label: {"recall": (0.0456, 0.6994)} for label in LABELS}}
    text = str(
        render_model_card(facts(description="# Heading\n[link](http://x) <script>", name="a|b", intervals=recall))
    )
    assert "<script>" not in text
    assert "\n# Heading" not in text
    assert "[link](" not in text
    assert "| dog \\| &lt;b&gt;wolf&lt;/b&gt; | 0.5000 | 0.2500 | 0.0456 to 0.6994 | 0.3333 | – | 4 |" in text
    assert "| x --- y |" in text


def test_each_family_cites_its_paper_and_nothing_of_it_is_lost():
    assert all(family.papers for family in FAMILIES.values())
    card = str(render_model_card(facts(family="swin")))
    assert "A Swin Transformer with" in card
    assert FAMILIES["swin"].papers in f"{card}\n"
    assert "Dosovitskiy" not in card
    assert card.index("2103.14030") < card.index("2111.09883")


def test_the_card_says_how_large_how_fast_and_how_sure():
    text = str(
        render_model_card(
            facts(
                operations=3516160,
                images_per_second=3676.2,
                split_hashes={"train": "ab" * 32},
                intervals={"accuracy": (0.5, 0.9)},
                pictures=["mistakes.png"],
                base_model="them/vit",
                origin="It was fine-tuned from them/vit.",
            )
        )
    )
    assert "| 3,516,160 |" in text
    assert "| 3676 |" in text
    assert "(95% interval: 50.00% to 90.00%)" in text
    assert "| Accuracy | 75.00% | 50.00% to 90.00% |" in text
    assert f"| train | 12 | `{'ab' * 32}` |" in text
    assert "| test | 3 |  |" in text
    assert "![The mistakes that the model was surest of](mistakes.png)" in text
    assert "(https://huggingface.co/them/vit)" in text
    assert "version = {0." in text


def test_a_panel_of_explained_answers_stands_under_its_sentence_and_a_sentence_alone_where_there_is_none():
    with_panel = str(render_model_card(facts(explained="By grad_cam <b>.", pictures=["explained.png"])))
    assert "By grad_cam &lt;b&gt;.\n\n![What speaks for some of its answers](explained.png)\n\n## How" in with_panel
    alone = str(render_model_card(facts(explained="Not drawn here.")))
    assert "Not drawn here.\n\n## How it was trained" in alone
    assert "explained.png" not in alone


def test_of_two_or_three_classes_no_best_few_are_published():
    assert "Top-" not in str(render_model_card(facts()))


def test_of_unbalanced_classes_the_card_says_the_balanced_accuracy_first_and_why():
    note = "Unbalanced: rare (5) has less than a fifth"
    card = render_model_card(facts(headline="balanced_accuracy", notes=[note]))
    text = str(card)
    assert "Its balanced accuracy, the mean over the classes, is **50.00%** on\nthe 12 images of the test split" in text
    assert "Unbalanced: rare (5) has less than a fifth." in text
    assert text.index("| Balanced accuracy | 50.00%") < text.index("| Accuracy | 75.00%")
    assert yaml.safe_load(text.split("---")[1])["metrics"] == ["balanced_accuracy"]


def test_the_card_of_several_labels_says_how_each_is_found_and_how_to_ask():
    logits, labels = torch.randn(20, 2), (torch.rand(20, 2) > 0.5).float()
    kind, names = "multi_label_classification", ["sea", "boat"]
    measured = measure(logits, labels, kind, names, thresholds=[0.5, 0.25])
    text = str(render_model_card(facts(labels=names, metrics=measured, problem_type=kind, headline="macro_f1")))
    assert f"Its macro F1 is **{measured['macro_f1']:.4f}** on" in text
    assert "to say which of 2 labels an image has" in text
    assert "| boat | 0.2500 |" in text
    assert "thresholds = model.config.thresholds" in text
    assert "accuracy" not in text.split("## How it was trained")[0].lower()


def test_the_card_of_numbers_says_how_far_off_they_are():
    outputs = torch.randn(20, 1)
    measured = measure(outputs, outputs + 0.5, "regression", ["age"])
    text = str(render_model_card(facts(labels=["age"], metrics=measured, problem_type="regression", headline="mae")))
    assert "to say a number of each image. It is off by **0.5** in the mean on" in text
    assert "| Target | Mean absolute error |" in text
    assert "softmax" not in text
    assert "probabilities" not in text


def test_a_fence_in_the_recipe_does_not_end_its_block():
    assert code_block("a: '```'").startswith("````yaml\n")


def test_nothing_is_left_to_be_filled_in():
    text = str(render_model_card(facts()))
    for leftover in ("More information needed", "{{", "}}", "{%", "None", "nan"):
        assert leftover not in text


WORDS = [
    ("a_b*c", r"a_b\*c"),
    ("_a_ b_", r"\_a\_ b\_"),
    ("a  \n b", "a b"),
    ("<i>", "&lt;i&gt;"),
    ("2 threads (x86_64) - 1.5", "2 threads (x86_64) - 1.5"),
    ("# a", r"\# a"),
    ("1. a", r"1\. a"),
    ("- a", r"\- a"),
    ("[a](b) `c` | d", r"\[a\](b) \`c\` \| d"),
]


@pytest.mark.parametrize(("text", "plain"), WORDS)
def test_escaping_keeps_the_words(text: str, plain: str):
    assert escape(text) == plain
