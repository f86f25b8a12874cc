"""How many tokens each layer merges."""

import pytest

from vit_hf.errors import UserError
from vit_hf.fewer_tokens.schedule import settings_of
from vit_hf.settings import explain_wrong_fields
from vit_hf.training.recipe.optimization import OptimizationSettings


@pytest.mark.parametrize(
    ("r", "inflection", "layers"),
    [
        (13, 0.0, (13, 13, 13, 13)),
        ("13", 0.0, (13, 13, 13, 13)),
        ("8, 4", 0.0, (8, 4, 0, 0)),
        ([1, 2, 3, 4], 0.0, (1, 2, 3, 4)),
        (6, -1.0, (12, 8, 4, 0)),
        (6, 1.0, (0, 4, 8, 12)),
        (6, -0.5, (9, 7, 5, 3)),
    ],
)
def test_layers_merge_as_many_tokens_as_is_said(r, inflection, layers):
    assert settings_of(r, inflection).of_layers(4) == layers


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"r": -3}, "token_merging.r: -3 tokens cannot be merged"),
        ({"r": "x"}, "token_merging.r: 'x' is no number of tokens"),
        ({"r": True}, "token_merging.r: True is no number of tokens"),
        ({"r": [3, 2], "inflection": 1}, "inflection bends one r over the layers"),
        ({"r": 3, "ratio": 1}, "There is no field 'ratio'"),
        ({}, "token_merging.r: Field required"),
    ],
)
def test_a_recipe_is_refused_in_a_sentence(fields, sentence):
    with pytest.raises(UserError) as error, explain_wrong_fields("recipe"):
        OptimizationSettings(token_merging=fields)
    assert sentence in str(error.value)
