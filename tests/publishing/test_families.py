"""Folders of every family, from a conversion to a live Hub and back."""

import json
import re
from typing import Any

import pytest
import torch
from hub_server.server import HubServer
from tiny import clips, images, tiny, tiny_clip_config, tiny_swin, tiny_timesformer

import vit_hf
from vit_hf.commands.convert import main as convert
from vit_hf.commands.publish import main as publish
from vit_hf.data.decode.processors import make_video_processor

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def run_example(card: str) -> Any:
    """The model that the first example of a card loads, as someone would who copies it."""
    names: dict[str, Any] = {}
    found = EXAMPLE.search(card)
    assert found, card
    exec(found[1], names)
    return names["model"].eval()


@pytest.mark.parametrize(
    ("build", "name", "inputs"),
    [
        (tiny, "VisionTransformerModel", images),
        (tiny_swin, "SwinTransformerForImageClassification", images),
        (tiny_timesformer, "TimeSformerForVideoClassification", clips),
    ],
)
def test_each_family_is_converted_published_with_its_twin_and_verified(
    hub: HubServer, tmp_path, capsys, build, name, inputs
):
    model = build(getattr(vit_hf, name))
    model.save_pretrained(tmp_path / "mine")
    assert convert([str(tmp_path / "mine"), str(tmp_path / "folder")]) == 0, capsys.readouterr().err
    status = publish([str(tmp_path / "folder"), "you/model", "--stock", "--tag", "v1"])
    said, complaint = capsys.readouterr()
    assert status == 0, complaint
    assert "AutoModel" + re.sub(".*(Model|(?=For))", "", name) + ".from_pretrained(" in said
    repository, twin = hub.repository("you/model"), hub.repository("you/model-stock")
    pixels = inputs()
    expected = model(pixels)[0]
    card = repository.read("README.md").decode()
    assert 'repository, revision = "you/model", "v1"' in card
    assert torch.equal(run_example(card)(pixels)[0], expected)
    assert not any(path.endswith(".py") for path in twin.at().files)
    stock = run_example(twin.read("README.md").decode())
    torch.testing.assert_close(stock(pixels)[0], expected, atol=1e-5, rtol=1e-5)
    assert publish(["--verify", "you/model@v1"]) == 0
    assert publish(["--verify", "you/model-stock"]) == 0


def test_a_model_of_videos_is_published_with_its_processor_and_its_twin_with_transformers_own(hub, tmp_path, capsys):
    model: Any = tiny_timesformer(vit_hf.TimeSformerForVideoClassification)
    model.save_pretrained(tmp_path / "mine")
    make_video_processor(model.config, sampling="dense", sampling_rate=3).save_pretrained(tmp_path / "mine")
    assert convert([str(tmp_path / "mine"), str(tmp_path / "folder")]) == 0, capsys.readouterr().err
    status = publish([str(tmp_path / "folder"), "you/model", "--stock"])
    assert status == 0, capsys.readouterr().err
    said = json.loads(hub.repository("you/model").read("preprocessor_config.json"))
    assert said["auto_map"] == {"AutoVideoProcessor": "video_processing_timesformer.TimeSformerVideoProcessor"}
    assert (said["sampling"], said["sampling_rate"], said["num_frames"]) == ("dense", 3, 4)
    stock = json.loads(hub.repository("you/model-stock").read("preprocessor_config.json"))
    assert stock["image_processor_type"].startswith("VideoMAEImageProcessor")
    assert (stock["image_mean"], stock["image_std"]) == ([0.45] * 3, [0.225] * 3)
    assert publish(["--verify", "you/model@main"]) == 0


def test_a_processor_of_videos_is_pushed_with_its_code_and_a_card(hub, tmp_path):
    make_video_processor(tiny_clip_config()).push_to_hub("you/processor")
    repository = hub.repository("you/processor")
    assert "AutoVideoProcessor.from_pretrained" in repository.read("README.md").decode()
    assert {"video_processing_timesformer.py", "video_frames.py"} <= set(repository.at().files)


@pytest.mark.parametrize(
    ("build", "name", "says"),
    [
        (tiny, "VisionTransformerForMaskedImageModeling", "2 layers of width 32, for images of 32 pixels"),
        (
            tiny_swin,
            "SwinTransformerForImageClassification",
            "4 layers in 2 stages, which end 16 wide, for images of 32",
        ),
        (tiny_timesformer, "TimeSformerModel", "2 layers of width 32, for clips of 4 frames of 32 pixels"),
    ],
)
def test_the_card_of_a_push_says_how_to_load_it(hub: HubServer, build, name: str, says: str):
    model = build(getattr(vit_hf, name))
    model.push_to_hub("you/model")
    card = hub.repository("you/model").read("README.md").decode()
    assert says in " ".join(card.split())
    assert type(run_example(card)) is type(model)
