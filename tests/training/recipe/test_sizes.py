"""The named sizes are those of the papers."""

import re

import pytest
import torch
import transformers

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
    TimeSformerConfig,
    TimeSformerForVideoClassification,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
)
from vit_hf.training.recipe.yaml_files import configuration_folder, model_sizes

# timm's counts for vit_{tiny,small,base,large}_patch16_224, vit_huge_patch14 with a class token, and
# vit_giant_patch14_224; the SigLIP tower without a head is in the test below.
PUBLISHED = {
    "ti": 5_717_416,
    "s": 22_050_664,
    "b": 86_567_656,
    "l": 304_326_632,
    "h": 632_045_800,
    "g": 1_012_611_432,
}
TABLE_ROW = re.compile(r"^# (\w+) +(\d+) +([\d,]+)  ", re.MULTILINE)


def parameters(size: str, **fields) -> int:
    config = VisionTransformerConfig(**model_sizes("vit")[size], **fields)
    with torch.device("meta"):
        return VisionTransformerForImageClassification(config).num_parameters()


@pytest.mark.parametrize(("size", "count"), PUBLISHED.items())
def test_a_size_has_the_parameters_that_were_published_for_it(size: str, count: int):
    assert parameters(size, num_labels=1000) == count


@pytest.mark.parametrize(("pooling", "count"), [("mean", 412_442_352), ("attention", 427_680_704)])
def test_so400m_has_the_parameters_of_siglips_image_tower(pooling: str, count: int):
    assert parameters("so400m", num_labels=0, class_token=False, pooling=pooling) == count


def test_the_table_in_the_file_says_what_the_numbers_below_it_give():
    text = (configuration_folder() / "models" / "vit.yaml").read_text(encoding="utf-8")
    rows = {size: (int(patch), int(count.replace(",", ""))) for size, patch, count in TABLE_ROW.findall(text)}
    counted = {
        size: (fields["patch_size"], parameters(size, num_labels=1000)) for size, fields in model_sizes("vit").items()
    }
    assert rows == counted


def test_an_unknown_family_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no named sizes of 'resnet'.*vit"):
        model_sizes("resnet")


# timm's counts for swin_{tiny,small,base,large}_patch4_window7_224 and swinv2_{tiny,small,base}_window8_256.
SWIN = {"t": 28_288_354, "s": 49_606_258, "b": 87_768_224, "l": 196_532_476}
SWIN |= {"v2_t": 28_347_154, "v2_s": 49_728_418, "v2_b": 87_918_816}
SWIN_ROW = re.compile(r"^# (\w+) +(\d+) +([\d, ]+?)  +([\d,]+)  ", re.MULTILINE)


def test_swins_sizes_have_the_parameters_that_were_published_for_them():
    counted = {}
    for size, fields in model_sizes("swin").items():
        with torch.device("meta"):
            config = SwinTransformerConfig(**{**fields, "num_labels": 1000})
            counted[size] = SwinTransformerForImageClassification(config).num_parameters()
    assert counted == SWIN


def test_swins_table_says_what_the_numbers_below_it_give():
    text = (configuration_folder() / "models" / "swin.yaml").read_text(encoding="utf-8")
    rows = {
        size: (int(width), [int(depth) for depth in depths.split(",")], int(count.replace(",", "")))
        for size, width, depths, count in SWIN_ROW.findall(text)
    }
    sizes = model_sizes("swin")
    assert rows == {size: (sizes[size]["embed_dim"], sizes[size]["depths"], SWIN[size]) for size in sizes}


CLIP_ROW = re.compile(r"^# (\w+) +(\d+) +(\d+) +([\d,]+)$", re.MULTILINE)


def test_timesformers_table_says_what_the_numbers_below_it_give():
    text = (configuration_folder() / "models" / "timesformer.yaml").read_text(encoding="utf-8")
    rows = {size: [int(number.replace(",", "")) for number in numbers] for size, *numbers in CLIP_ROW.findall(text)}
    counted = {}
    for size, fields in model_sizes("timesformer").items():
        with torch.device("meta"):
            config = TimeSformerConfig(**{**fields, "num_labels": 400})
            count = TimeSformerForVideoClassification(config).num_parameters()
        counted[size] = [config.num_frames, config.image_size, count]
    assert rows == counted


def test_timesformers_base_is_as_large_as_transformers():
    with torch.device("meta"):
        theirs = transformers.TimesformerForVideoClassification(
            transformers.TimesformerConfig.from_dict({"num_labels": 400})
        )
        ours = TimeSformerForVideoClassification(
            TimeSformerConfig(**{**model_sizes("timesformer")["b"], "num_labels": 400})
        )
    assert ours.num_parameters() == theirs.num_parameters()
