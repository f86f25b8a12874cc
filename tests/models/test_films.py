"""Files as cameras, recorders and scissors leave them: every frame that decodes is there, at its time, and no other."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from made_films import decoded_in_order, with_flipped_bits, write_film
from PIL import Image

from vit_hf.models.films import BROKEN, UnreadableVideo
from vit_hf.models.frame_sampling import choose_frames
from vit_hf.models.video_frames import open_video


def remuxed(film: Path, file: Path, *, from_packet: int = 0, later: float = 0, **options: Any) -> Path:
    """The same packets from one on, so many seconds later, in another container if its name says so."""
    with av.open(str(film)) as given, av.open(str(file), "w", options=options) as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        packets: list[Any] = [packet for packet in given.demux(video=0) if packet.dts is not None]
        for packet in packets[from_packet:]:
            shift = round(later / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
            container.mux(packet)
    return file


def frames_read(file: Path) -> list[np.ndarray]:
    video = open_video(file)
    return [np.asarray(image) for image in video.images(range(len(video)))]


def assert_all_that_decode(file: Path, *, at_least: int) -> None:
    expected = decoded_in_order(file)
    assert len(expected) >= at_least
    found = frames_read(file)
    assert len(found) == len(expected)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    video = open_video(file)
    for number in (len(expected) - 1, 0, len(expected) // 2):
        assert np.array_equal(np.asarray(video.images([number])[0]), expected[number])


@pytest.mark.parametrize("cut", [1, 4, 9])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"x264-params": "scenecut=0"}),
        ("libx264", {"x264-params": "scenecut=0:open-gop=1"}),
        ("mpeg2video", {}),
        ("libx265", {"x265-params": "log-level=0:scenecut=0"}),
        ("libx265", {"x265-params": "log-level=0:open-gop=1:keyint=12:min-keyint=12:scenecut=0"}),
    ],
)
def test_a_stream_that_begins_between_key_frames_gives_all_that_decodes(codec, options, cut, tmp_path):
    film = write_film(tmp_path / "whole.ts", codec, count=40, key_every=12, between=3, **options)
    assert_all_that_decode(remuxed(film, tmp_path / "a.ts", from_packet=cut), at_least=25)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_film_that_was_cut_before_a_key_frame_whose_neighbors_need_an_earlier_one_gives_all_that_decodes(
    name, tmp_path
):
    """As `ffmpeg -c copy` cuts HEVC: the pictures that are shown before the first key frame are lost."""
    how: dict[str, Any] = {"x265-params": "log-level=0:open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3"}
    film = write_film(tmp_path / "whole.ts", "libx265", count=40, between=3, **how)
    with av.open(str(film)) as container:
        keys = [place for place, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    assert_all_that_decode(remuxed(film, tmp_path / name, from_packet=keys[1]), at_least=20)


@pytest.mark.parametrize("later", [0.5, 100, 5000])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv"])
def test_times_may_begin_anywhere(name, later, tmp_path):
    film = write_film(tmp_path / "whole.ts", "libx264", key_every=6, between=3)
    file = remuxed(film, tmp_path / name, later=later, avoid_negative_ts="disabled")
    assert_all_that_decode(file, at_least=30)
    assert open_video(file).timing[:1] == (30,)
    assert open_video(file).timing.rate == pytest.approx(25)


def test_a_film_that_begins_late_and_is_cut_off_is_refused(tmp_path):
    film = write_film(tmp_path / "whole.ts", "libx264", key_every=6, between=3, count=100)
    file = remuxed(film, tmp_path / "a.mkv", later=1)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UnreadableVideo, match="cut off"):
        open_video(file)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5, 6, 8, 9])
def test_a_frame_that_the_decoder_marks_as_damaged_is_refused_and_one_after_the_next_key_frame_is_not(seed, tmp_path):
    film = write_film(
        tmp_path / "a.mp4", "libx264", count=36, key_every=12, sc_threshold="0", container={"movflags": "faststart"}
    )
    whole = frames_read(film)
    video = open_video(with_flipped_bits(film, 14, seed))
    with av.open(str(film)) as container:
        container.streams.video[0].thread_type = "SLICE"
        try:
            damaged = any(frame.is_corrupt for frame in container.decode(video=0))
        except BROKEN:
            damaged = True
    if not damaged:
        pytest.skip("the decoder notices nothing")
    for number in (14, 20):
        with pytest.raises(UnreadableVideo, match="a.mp4: "):
            video.images([number])
    for number in (0, 11, 24, 35):
        assert np.array_equal(np.asarray(video.images([number])[0]), whole[number])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize(
    ("shape", "size"), [("16/11", (70, 36)), ("8/9", (43, 36)), ("0/1", (48, 36)), ("50/1", (48, 36))]
)
def test_pixels_that_are_not_square_are_made_so(name, shape, size, tmp_path):
    codec = "mpeg4" if name == "a.mov" else "libx264"
    film = write_film(tmp_path / name, codec, shape=Fraction(shape))
    assert [image.size for image in open_video(film).images([0, 2])] == [size, size]


def write_sound(file: Path, cover: bool) -> Path:
    with av.open(str(file), "w") as container:
        sound: Any = container.add_stream("libmp3lame", rate=44100)
        if cover:
            picture: Any = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.int16), format="s16p", layout="stereo")
            frame.rate, frame.pts = 44100, number * 1152
            container.mux(sound.encode(frame))
        if cover:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            container.mux(picture.encode())
        container.mux(sound.encode())
    return file


@pytest.mark.parametrize("cover", [True, False])
def test_a_sound_with_a_picture_of_its_cover_is_no_video(cover, tmp_path):
    with pytest.raises(UnreadableVideo, match=r"a.mp3: it has no pictures"):
        open_video(write_sound(tmp_path / "a.mp3", cover))


def write_at(file: Path, seconds: list[float], rate: int | Fraction = 30, tick: Fraction = Fraction(1, 90000)) -> Path:
    """A film without loss whose frames are shown at these times, each as gray as its number."""
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream("libx264rgb", rate=rate, options={"qp": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        stream.time_base = stream.codec_context.time_base = tick
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), number % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(second / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("rate", [15, 25, 30, Fraction(30000, 1001), 50, 60])
def test_clips_are_of_the_same_seconds_whatever_the_rate(rate, name, tmp_path):
    count = round(6 * rate)
    film = write_at(tmp_path / name, [float(number / rate) for number in range(count)], rate)
    timing = open_video(film).timing
    assert timing.count == count
    assert timing.rate == pytest.approx(float(rate), rel=1e-3)
    for place in (0.0, 0.5, 1.0):
        seconds = choose_frames(timing, 8, "dense", 16, place) / float(rate)
        length = 8 * 16 / 30
        assert seconds[0] == pytest.approx(place * (6 - length), abs=1.01 / rate)
        assert np.diff(seconds) == pytest.approx(length / 7, abs=2.01 / rate)
        uniform = choose_frames(timing, 6, "uniform", 1, place) / float(rate)
        assert uniform == pytest.approx(np.minimum(np.arange(6) + place, 6), abs=1.01 / rate)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_of_a_variable_rate_are_chosen_by_when_they_are_shown(name, tmp_path):
    """Ten frames in the first second, then one in each of eight, and a short one at the end: nine seconds."""
    film = write_at(tmp_path / name, [*(number / 10 for number in range(10)), *range(1, 10)])
    video = open_video(film)
    assert len(video) == 19
    assert [image.getpixel((0, 0))[0] for image in video.images(range(19))] == [*range(19)]
    assert choose_frames(video.timing, 5, "uniform", 1, 0.5).tolist() == [9, 11, 13, 15, 17]
    first = choose_frames(video.timing, 4, "dense", 8, 0.0)  # 32 / 30 seconds
    assert first[0] == 0
    assert first[-1] < 12


def test_frames_of_an_animation_are_chosen_by_how_long_they_are_shown(tmp_path):
    frames = [Image.new("RGB", (8, 8), (20 * number, 0, 0)) for number in range(5)]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], duration=[100, 100, 100, 100, 1600], lossless=True
        )
        timing = open_video(tmp_path / name).timing
        assert timing.rate == pytest.approx(2.5)
        assert choose_frames(timing, 4, "uniform", 1, 0.5).tolist() == [2, 4, 4, 4]


def test_dense_is_the_released_decoders_at_any_even_rate(tmp_path):
    """Frames at an even rate are those of the released formula, whose clips are of frames · rate / 30 · fps frames."""
    for rate in (15, 25, 30, 50, 60):
        film = write_at(tmp_path / f"{rate}.mp4", [number / rate for number in range(4 * rate)], rate)
        length = 8 * 8 / 30 * rate
        start = 0.5 * max(4 * rate - length, 0)
        expected = np.linspace(start, start + length - 1, 8).clip(0, 4 * rate - 1)
        found = choose_frames(open_video(film).timing, 8, "dense", 8)
        assert ((expected - 1e-6).astype(int) <= found).all()
        assert (found <= (expected + 1e-6).astype(int)).all()


@pytest.mark.parametrize(
    "names",
    [
        ["0.25.png", "0.5.png", "0.75.png", "1.0.png"],
        ["2.png", "10.png"],
        ["1.8.png", "1.9.png", "1.10.png", "1.11.png"],
        ["a_1.2.9.png", "a_1.2.10.png", "a_1.10.1.png"],
        ["1403636579.763.png", "1403636579.7635.png", "1403636580.1.png"],
        ["frame1_2.png", "frame1_10.png", "frame2_1.png"],
        ["img_0.png", "img_0.033.png", "img_0.5.png", "img_10.0.png"],
    ],
)
def test_frames_are_in_the_order_of_their_numbers_and_seconds(names, tmp_path):
    for number, name in enumerate(names):
        Image.new("L", (4, 4), number).save(tmp_path / name)
    video = open_video(tmp_path)
    assert [image.getpixel((0, 0)) for image in video.images(range(len(video)))] == [*range(len(names))]


def test_frames_of_other_sizes_become_as_large_as_the_first(tmp_path):
    for number, size in enumerate([(20, 12), (40, 24), (20, 12)]):
        Image.new("RGB", size, (90 * number, 0, 0)).save(tmp_path / f"{number}.png")
    found = open_video(tmp_path).images([1, 2])
    assert [image.size for image in found] == [(20, 12)] * 2
    assert [image.getpixel((3, 3)) for image in found] == [(90, 0, 0), (180, 0, 0)]
