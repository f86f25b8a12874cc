from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from vit_hf.cards.trained import CardFacts, code_block, escape, render_model_card
from vit_hf.families import FAMILIES

LABELS = ["cat", "dog | <b>wolf</b>", "x\n---\ny"]


def facts(**changes) -> CardFacts:
    row = {"precision": 0.5, "recall": 0.25, "images": 4}
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
                "top_3_accuracy": 1.0,
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
    assert results == {"accuracy": 0.75, "top_3_accuracy": 1.0, "loss": 0.5, "expected_calibration_error": 0.125}
    header = yaml.safe_load(str(card).split("---")[1])
    assert header["model-index"][0]["name"] == "my model"
    assert header["model-index"][0]["results"][0]["task"]["type"] == "image-classification"
    assert "datasets" not in header


def test_a_data_set_of_the_hub_is_linked():
    header = yaml.safe_load(str(render_model_card(facts(on_hub=True, data_source="uoft-cs/cifar10"))).split("---")[1])
    assert header["datasets"] == ["uoft-cs/cifar10"]


def test_texts_of_the_user_stay_texts():
    text = str(render_model_card(facts(description="# Heading\n[link](http://x) <script>", name="a|b")))
    assert "<script>" not in text
    assert "\n# Heading" not in text
    assert "[link](" not in text
    assert "| dog \\| &lt;b&gt;wolf&lt;/b&gt; | 0.5000 | 0.2500 | 4.56% to 69.94% | 4 |" in text
    assert "| x \\-\\-\\- y |" in text


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
    assert "| Accuracy | 0.7500 | 0.5000 to 0.9000 |" in text
    assert f"| train | 12 | `{'ab' * 32}` |" in text
    assert "| test | 3 |  |" in text
    assert "![The mistakes that the model was surest of](mistakes.png)" in text
    assert "(https://huggingface.co/them/vit)" in text
    assert "version = {0." in text


def test_a_fence_in_the_recipe_does_not_end_its_block():
    assert code_block("a: '```'").startswith("````yaml\n")


def test_nothing_is_left_to_be_filled_in():
    text = str(render_model_card(facts()))
    for leftover in ("More information needed", "{{", "}}", "{%", "None", "nan"):
        assert leftover not in text


@pytest.mark.parametrize(("text", "plain"), [("a_b*c", r"a\_b\*c"), ("a  \n b", "a b"), ("<i>", "&lt;i&gt;")])
def test_escaping_keeps_the_words(text: str, plain: str):
    assert escape(text) == plain
