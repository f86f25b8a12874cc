"""The example of every card is Python, and what is published leads to where it lies."""

import ast
import re

import pytest
from cards.test_trained import facts as facts_of_a_run
from tiny import tiny

from vit_hf import TimeSformerVideoProcessor, VisionTransformerForImageClassification
from vit_hf.cards.conversion import ConversionFacts, conversion_card
from vit_hf.cards.short import processor_card, short_card
from vit_hf.cards.trained import render_model_card
from vit_hf.cards.usage import ADDRESS_LINE, readdressed
from vit_hf.models.image_processing_vit import VisionTransformerImageProcessor


def conversion(target: str) -> str:
    facts = ConversionFacts(
        name="mine",
        source="you/source",
        source_kind="timm",
        target=target,
        license=None,
        license_sentence="",
        base_model=None,
        model_class="VisionTransformerForImageClassification",
        parity=None,
        family="vit",
    )
    return str(conversion_card(facts))


CARDS = {
    "trained": lambda: str(render_model_card(facts_of_a_run())),
    "short": lambda: str(short_card(tiny(VisionTransformerForImageClassification), "you/short", note="")),
    "images": lambda: str(processor_card(VisionTransformerImageProcessor(), "you/images")),
    "videos": lambda: str(processor_card(TimeSformerVideoProcessor(), "you/videos")),
    "to vit_hf": lambda: conversion("vit_hf"),
    "to transformers": lambda: conversion("transformers"),
}


@pytest.mark.parametrize("kind", CARDS)
def test_an_example_is_python_and_leads_to_where_it_is_published(kind: str):
    card = readdressed(CARDS[kind](), "you/there", "v1")
    (example, *_) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names = next(node for node in ast.parse(example).body if isinstance(node, ast.Assign))
    assert ast.unparse(names) == "repository, revision = ('you/there', 'v1')"
    assert len(ADDRESS_LINE.findall(card)) == 1


def test_an_example_that_leads_nowhere_is_refused():
    card = CARDS["trained"]().replace("repository, revision =", "repo, rev =")
    with pytest.raises(ValueError, match=r'write into it: repository, revision = "you/there", "v1"'):
        readdressed(card, "you/there", "v1")


def test_a_card_without_an_example_stays_as_it_is():
    card = conversion("timm")
    assert readdressed(card, "you/there", "v1") == card
    assert "timm.create_model" in card
