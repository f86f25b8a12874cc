import pytest
from pydantic import ValidationError

from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.settings import DataSettings
from vit_hf.errors import unknown_name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"imagecolumn": "img"}, "did you mean 'image_column'"),
        ({"train": {"rotation": 10}}, "did you mean 'rotate'"),
        ({"train": {"randaugment": {"magnitud": 9}}}, "randaugment.*did you mean 'magnitude'"),
        ({"train": {"randaugment": {"magnitude": 11}}}, "randaugment.magnitude.*less than or equal to 10"),
        ({"train": {"random_resized_crop": {"scale": [0.5, 0.2]}}}, "a positive one and a larger one"),
        ({"train": {"random_resized_crop": {"scale": [0.5, 2]}}}, "cannot be more than 1"),
        ({"train": {"flip": 1.5}}, "flip.probability.*less than or equal to 1"),
        ({"train": {"flip": False}}, "flip: False means nothing here.*leave it out"),
        ({"train": {"trivialaugment": 3}}, "`trivialaugment: true`"),
        ({"train": {"auto_augment": "v0"}}, "auto_augment.policy.*'imagenet', 'cifar10' or 'svhn'"),
        ({"train": {"augmix": {"depth": 0}}}, "augmix.depth.*0 operations changes nothing"),
        ({"train": {"color_jitter": {"hue": 0.6}}}, "color_jitter.hue.*less than or equal to 0.5"),
        ({"train": {"shift": True}}, "shift: True means nothing here; give a number"),
        ({"train": {"erase": {"fill": "noise"}}}, "erase.fill.*'pixel', 'color' or 'zeros'"),
        ({"mix": {"mixip": 0.8}}, "did you mean 'mixup'"),
        ({"mix": {"switch": 0.5}}, "Neither mixup nor cutmix has an alpha"),
        ({"repeats": 0}, "greater than or equal to 1"),
        ({"std": [0.5, 0.0, 0.5]}, "not positive"),
        ({"on_error": "ignore"}, "'fail' or 'skip'"),
        ({"test_fraction": 1.5}, "less than 1"),
    ],
)
def test_a_wrong_setting_is_met_with_what_would_do(settings: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        DataSettings(name="digits", **settings)


def test_one_number_of_color_jitter_leaves_the_hue_alone():
    jitter = build_augmentation("color_jitter", 0.3)
    assert jitter.model_dump() == {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.0}


def test_few_names_are_all_listed_where_none_is_near():
    assert unknown_name("color", "qqq", ["red", "blue"]) == "There is no color 'qqq'; there are blue, red."
