import pytest
from pydantic import ValidationError

from vit_hf.data.settings import DataSettings
from vit_hf.data.words import unknown_name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"imagecolumn": "img"}, "did you mean 'image_column'"),
        ({"train": {"rotation": 10}}, "did you mean 'rotate'"),
        ({"std": [0.5, 0.0, 0.5]}, "not positive"),
        ({"on_error": "ignore"}, "'fail' or 'skip'"),
        ({"test_fraction": 1.5}, "less than 1"),
    ],
)
def test_a_wrong_setting_is_met_with_what_would_do(settings: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        DataSettings(name="digits", **settings)


def test_few_names_are_all_listed_where_none_is_near():
    assert unknown_name("colour", "qqq", ["red", "blue"]) == "There is no colour 'qqq'; there are blue, red."
