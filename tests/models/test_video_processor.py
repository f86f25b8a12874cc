"""Videos come to a TimeSformer frame by frame as images come to a Vision Transformer."""

import io
import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from made_films import write_film
from PIL import Image
from tiny import tiny_timesformer
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.video_utils import VideoMetadata

from vit_hf import TimeSformerForVideoClassification, TimeSformerVideoProcessor
from vit_hf.models.frame_sampling import Timing, choose_frames
from vit_hf.models.image_processing_vit import VisionTransformerImageProcessor
from vit_hf.models.video_frames import UnreadableVideo

SIZES = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 24}}


def small(**fields) -> TimeSformerVideoProcessor:
    """Of four frames of 32 x 24 pixels."""
    every: dict[str, Any] = {"num_frames": 4, **SIZES, **fields}
    return TimeSformerVideoProcessor(**every)


def footage(frames: int = 6, height: int = 41, width: int = 50, channels: int = 3) -> np.ndarray:
    """t h w c, of noise"""
    return np.random.default_rng(frames).integers(0, 256, (frames, height, width, channels), np.uint8)


def images(video: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in video]


def pixels(processor, video, **options) -> torch.Tensor:
    return processor(video, return_tensors="pt", **options)["pixel_values"]


@pytest.fixture
def files(tmp_path):
    """The same video as a folder of frames and as an animation."""
    (tmp_path / "clip").mkdir()
    frames = images(footage())
    for number, frame in enumerate(frames):
        frame.save(tmp_path / "clip" / f"{number}.png")
    frames[0].save(tmp_path / "clip.webp", save_all=True, append_images=frames[1:], lossless=True)
    return tmp_path / "clip", tmp_path / "clip.webp"


@pytest.mark.parametrize(("height", "width"), [(41, 50), (50, 41), (32, 24), (33, 25), (20, 90), (300, 31)])
@pytest.mark.parametrize("size", [{"shortest_edge": 32}, {"height": 36, "width": 27}])
def test_each_frame_is_what_the_image_processor_makes_of_it(height, width, size):
    processor = small(size=size)
    fields = {name: getattr(processor, name) for name in ("resample", "image_mean", "image_std", "do_convert_rgb")}
    of_images = VisionTransformerImageProcessor(**{**SIZES, "size": size}, **fields)
    video = images(footage(4, height, width))
    clip = pixels(processor, video)
    assert clip.shape == (1, 4, 3, 32, 24)
    for frame, image in zip(clip[0], video, strict=True):
        assert torch.equal(frame, of_images(image, return_tensors="pt")["pixel_values"][0])


def test_bytes_become_the_numbers_of_the_released_models():
    """Mean 0.45 and spread 0.225, as in facebookresearch/TimeSformer; frames of 224 pixels are left as they are."""
    video = footage(8, 224, 224)
    expected = (torch.from_numpy(video).permute(0, 3, 1, 2) / 255 - 0.45) / 0.225
    torch.testing.assert_close(pixels(TimeSformerVideoProcessor(), video)[0], expected, rtol=0, atol=1e-6)


def test_all_forms_of_a_video_agree(files):
    video = footage()
    expected = pixels(small(), images(video))
    folder, animation = files
    forms = [
        video,
        video.transpose(0, 3, 1, 2),
        torch.from_numpy(video),
        torch.from_numpy(video).permute(0, 3, 1, 2),
        list(video),
        list(torch.from_numpy(video)),
        tuple(images(video)),
        folder,
        str(folder),
        animation,
        str(animation),
    ]
    for form in forms:
        assert torch.equal(pixels(small(), form), expected)
        assert torch.equal(pixels(small(), [form, form]), expected.repeat(2, 1, 1, 1, 1))
    batch = np.stack([video, video])
    for whole in (batch, torch.from_numpy(batch), forms):
        assert torch.equal(pixels(small(), whole), expected.repeat(len(whole), 1, 1, 1, 1))
    assert torch.equal(small()(videos=video, return_tensors="pt")["pixel_values"], expected)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_images_of_all_colors_are_as_in_a_file(mode, tmp_path):
    frame = images(footage(1))[0].convert(mode)
    frame.save(tmp_path / "a.tif")
    for channels in (1, 3):
        processor = small(image_mean=[0.5] * channels, image_std=[0.5] * channels, do_convert_rgb=channels == 3)
        clip = pixels(processor, [frame])
        assert clip.shape == (1, 4, channels, 32, 24)
        assert torch.equal(clip, pixels(processor, tmp_path / "a.tif"))
        assert torch.equal(clip, pixels(processor, [frame.convert({1: "L", 3: "RGB"}[channels])]))


def test_grays_agree_too():
    processor = small(image_mean=[0.5], image_std=[0.25], do_convert_rgb=False)
    video = footage(channels=1)
    expected = pixels(processor, video)
    assert expected.shape == (1, 4, 1, 32, 24)
    for form in (video.transpose(0, 3, 1, 2), torch.from_numpy(video), list(video[..., 0]), images(video[..., 0])):
        assert torch.equal(pixels(processor, form), expected)


def test_grays_fill_all_channels_of_a_model_for_colors():
    gray = footage(channels=1)
    assert torch.equal(pixels(small(), list(gray[..., 0])), pixels(small(), gray.repeat(3, -1)))


@pytest.mark.parametrize(("sampling", "rate"), [("uniform", 32), ("dense", 2), ("dense", 32)])
def test_frames_are_chosen_as_the_fields_and_the_call_say(sampling, rate):
    video = footage(12, 32, 24)
    whole = pixels(small(), video, do_sample_frames=False)[0]
    assert len(whole) == 12
    for frames in (1, 3, 8):
        fields = {"num_frames": frames, "sampling": sampling, "sampling_rate": rate}
        expected = whole[choose_frames(12, frames, sampling, rate)]
        assert torch.equal(pixels(small(), video, **fields)[0], expected)
        assert torch.equal(pixels(small(**fields), video)[0], expected)


def test_a_video_of_as_many_frames_as_a_clip_is_taken_whole():
    video = footage(4)
    whole = pixels(small(), video, do_sample_frames=False)
    assert torch.equal(pixels(small(sampling="dense", sampling_rate=32), video), whole)


def test_a_clip_may_be_cut_otherwise_for_a_call():
    clip = pixels(small(), footage(), size={"shortest_edge": 48}, crop_size={"height": 40, "width": 40})
    assert clip.shape == (1, 4, 3, 40, 40)
    assert small().crop_size["height"] == 32


def test_a_size_that_is_one_number_is_that_of_the_shorter_edge(tmp_path):
    """As in transformers' own processor of TimeSformer."""
    video, expected = footage(4, 41, 74), pixels(small(size={"shortest_edge": 50}), footage(4, 41, 74))
    assert torch.equal(pixels(small(size=50), video), expected)
    assert torch.equal(pixels(small(), video, size=50), expected)
    small().save_pretrained(tmp_path)
    assert dict(TimeSformerVideoProcessor.from_pretrained(tmp_path, size=50).size) == {"shortest_edge": 50}


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_one_mean_for_all_channels_is_as_good_as_one_for_each(mode):
    video = [frame.convert(mode) for frame in images(footage(4))]
    expected = pixels(small(image_mean=[0.5] * 3, image_std=[0.25] * 3), video)
    assert torch.equal(pixels(small(image_mean=0.5, image_std=0.25), video), expected)


@pytest.mark.parametrize("tensors", [None, "np"])
def test_clips_come_as_numpy_too(tensors):
    clips = small()([footage(), footage()], return_tensors=tensors)["pixel_values"]
    assert np.array_equal(np.stack(clips), pixels(small(), [footage(), footage()]).numpy())


FIELDS = {"num_frames": 3, "sampling": "dense", "sampling_rate": 2, "image_mean": [0.3, 0.4, 0.5], "resample": 3}


@pytest.mark.parametrize(
    "load",
    [
        TimeSformerVideoProcessor.from_pretrained,
        AutoVideoProcessor.from_pretrained,
        lambda folder: AutoVideoProcessor.from_pretrained(folder, trust_remote_code=True),
        lambda folder: AutoVideoProcessor.from_pretrained(folder, trust_remote_code=False),
    ],
)
def test_a_saved_processor_comes_back_as_ours_and_does_the_same(load, tmp_path):
    processor = small(**FIELDS)
    processor.save_pretrained(tmp_path)
    # With the package installed, none of the code that lies in the folder is run.
    for file in tmp_path.glob("*.py"):
        file.write_text("raise AssertionError('the code of the folder was run')")
    loaded = load(tmp_path)
    assert type(loaded) is TimeSformerVideoProcessor
    assert loaded.to_dict() == processor.to_dict()
    assert torch.equal(pixels(loaded, footage()), pixels(processor, footage()))
    loaded.save_pretrained(tmp_path / "again")
    again = TimeSformerVideoProcessor.from_pretrained(tmp_path / "again")
    assert torch.equal(pixels(again, footage()), pixels(processor, footage()))


def test_the_saved_file_says_what_is_done_to_frames(tmp_path):
    small(**FIELDS).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved.items() >= FIELDS.items()
    assert saved["video_processor_type"] == "TimeSformerVideoProcessor"
    assert saved["auto_map"] == {"AutoVideoProcessor": "video_processing_timesformer.TimeSformerVideoProcessor"}
    assert "image_processor_type" not in saved


@pytest.mark.parametrize(
    ("videos", "says"),
    [
        (None, "NoneType is no video"),
        (3, "int is no video"),
        ([], "list is no video"),
        ([[]], "list is no video"),
        (np.zeros((8, 8, 3), np.uint8), "ndarray of shape \\(8, 8, 3\\) is no video"),
        (Image.new("RGB", (8, 8)), "Image is no video"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        ([footage(), footage(0)], "no frames"),
    ],
)
def test_what_is_no_video_is_refused(videos, says):
    with pytest.raises(ValueError, match=says):
        small()(videos)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UnreadableVideo, match="nowhere.mp4: it does not exist"):
        small()([footage(), str(tmp_path / "nowhere.mp4")])
    with pytest.raises(UnreadableVideo, match="^http://x.org/a.mp4: "):
        small()("http://x.org/a.mp4")


@pytest.fixture
def address(files):
    """Where the folder of the files is served."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(files[1].parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_video_may_lie_at_an_address(files, address):
    assert torch.equal(pixels(small(), f"{address}/clip.webp"), pixels(small(), files[1]))
    with pytest.raises(UnreadableVideo, match="nowhere.webp: HTTP Error 404"):
        small()(f"{address}/nowhere.webp")


def test_clips_of_unequal_lengths_are_filled_up_and_masked():
    batch = small()([footage(3), footage(5)], do_sample_frames=False, return_tensors="pt")
    assert batch["frame_mask"].tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert torch.equal(batch["pixel_values"][0, :3], pixels(small(), footage(3), do_sample_frames=False)[0])
    assert not batch["pixel_values"][0, 3:].any()
    assert "frame_mask" not in small()([footage(3), footage(5)])
    # Shorter and shown alone, the first is the same to a model whose positions know no length.
    model = tiny_timesformer(
        TimeSformerForVideoClassification,
        image_size=[32, 24],
        position_embedding="rotary",
        position_embedding_init="trunc_normal",
    )
    with torch.inference_mode():
        alone = model(**small()(footage(3), do_sample_frames=False, return_tensors="pt")).logits
        torch.testing.assert_close(model(**batch).logits[:1], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "says"), [({"sampling": "sparse"}, "none of uniform, dense"), ({"num_frames": 0}, "num_frames=0")]
)
def test_what_chooses_no_frames_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        small()(footage(), **fields)


def test_a_misspelt_option_is_refused():
    with pytest.raises(TypeError, match="TimeSformerVideoProcessor.*frames_per_second"):
        small()(footage(), frames_per_second=3)


def test_the_bytes_of_a_file_and_an_open_one_are_what_its_path_is(files):
    path = files[1]
    expected = pixels(small(), path)
    with path.open("rb") as file:
        forms = [path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes()), file]
        for form in forms:
            assert torch.equal(pixels(small(), form), expected)
        assert torch.equal(pixels(small(), [forms[0], path, forms[2]]), expected.repeat(3, 1, 1, 1, 1))
    with pytest.raises(UnreadableVideo, match="a video of 3 bytes"):
        small()(b"GIF")


def test_fps_takes_so_many_frames_of_each_second():
    video = footage(50)
    whole = pixels(small(), video, do_sample_frames=False)[0]
    found = pixels(small(), video, fps=2, video_metadata={"fps": 25, "total_num_frames": 50})[0]
    assert torch.equal(found, whole[[6, 18, 31, 43]])
    with pytest.raises(ValueError, match="fps=2 takes frames by their times"):
        small()(video, fps=2)
    with pytest.raises(ValueError, match="fps=2 and num_frames=3"):
        small()(video, fps=2, num_frames=3)


def test_dense_clips_of_frames_go_by_the_rate_that_is_said_of_them():
    video = footage(60, 32, 24)
    whole = pixels(small(), video, do_sample_frames=False)[0]
    how = {"sampling": "dense", "sampling_rate": 8}
    for rate in (15, 30, 60):
        expected = choose_frames(Timing(60, rate), 4, "dense", 8)
        for said in ({"fps": rate}, VideoMetadata(60, rate), [{"fps": rate}]):
            assert torch.equal(pixels(small(), video, video_metadata=said, **how)[0], whole[expected])
    with pytest.raises(ValueError, match="video_metadata tells of 2 videos, and there are 1"):
        small()(video, video_metadata=[{"fps": 3}, {"fps": 4}])


def test_metadata_says_which_frames_were_taken(tmp_path):
    film = write_film(tmp_path / "a.mp4", "libx264", count=50)
    first, second = small()([film, footage(8)], return_metadata=True)["video_metadata"]
    assert (first.total_num_frames, first.fps, first.duration, first.height, first.width) == (50, 25, 2, 36, 48)
    assert first.frames_indices == [6, 18, 31, 43]
    assert first.timestamps == [0.24, 0.72, 1.24, 1.72]
    assert (second.total_num_frames, second.fps, second.frames_indices) == (8, None, [1, 3, 5, 7])


def test_frames_of_other_sizes_are_resized_to_the_first():
    video = [*images(footage(2, 40, 30)), *images(footage(2, 80, 60))]
    resized = [frame.resize((30, 40)) for frame in video]
    assert torch.equal(pixels(small(), video), pixels(small(), resized))
    with pytest.raises(ValueError, match="different shapes"):
        small()([*footage(2, 40, 30), *footage(2, 80, 60)])


def test_a_pattern_says_which_files_of_a_folder_are_frames_and_is_saved(tmp_path):
    for number, frame in enumerate(images(footage(4))):
        frame.save(tmp_path / f"img_{number}.png")
        frame.rotate(90).save(tmp_path / f"flow_{number}.png")
    expected = pixels(small(), images(footage(4)))
    processor = small(frames="img_*.png")
    assert torch.equal(pixels(processor, tmp_path), expected)
    assert torch.equal(pixels(small(), tmp_path, frames="img_*.png"), expected)
    processor.save_pretrained(tmp_path / "saved")
    assert TimeSformerVideoProcessor.from_pretrained(tmp_path / "saved").frames == "img_*.png"
    with pytest.raises(UnreadableVideo, match=r"no frames \(depth_\*\)"):
        small(frames="depth_*")(tmp_path)
