"""Every kind of video gives the frames that were written into it, or a sentence."""

import random
import wave
from pathlib import Path
from typing import Any

import av
import av.error as av_error
import numpy as np
import pytest
from made_films import decoded_in_order, pictures, write_film
from PIL import Image

from vit_hf.models import films, video_frames
from vit_hf.models.video_frames import UnreadableVideo, in_a_sentence, open_video


def write_folder(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name, picture in zip(names, pictures(len(names)), strict=True):
        Image.fromarray(picture).save(folder / name)
    return folder


def write_animation(file: Path, count: int = 7, **options) -> Path:
    first, *others = [Image.fromarray(picture) for picture in pictures(count)]
    first.save(file, save_all=True, append_images=others, **options)
    return file


def arrays(images: list[Image.Image]) -> list[np.ndarray]:
    return [np.asarray(image.convert("RGB")) for image in images]


def assert_same(given: list[Image.Image], expected: list[np.ndarray]) -> None:
    for one, other in zip(arrays(given), expected, strict=True):
        assert np.array_equal(one, other)


def assert_frames(source: Path | bytes, expected: list[np.ndarray]) -> None:
    """All at once, each by itself, and some in any order and repeated."""
    video = open_video(source)
    assert len(video) == len(expected)
    assert_same(video.images(range(len(expected))), expected)
    for number in range(len(expected)):
        assert_same(video.images([number]), [expected[number]])
    dice = random.Random(0)
    for _ in range(8):
        numbers = dice.choices(range(len(expected)), k=5)
        assert_same(video.images([*numbers, numbers[0]]), [expected[number] for number in [*numbers, numbers[0]]])


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    names = ["frame_1.png", "frame_2.png", "frame_02.bmp", "frame_10.PNG", "frame_11.tif", "frame_100.webp"]
    order = sorted(names, key=lambda name: (int("".join(filter(str.isdigit, name))), name))
    folder = tmp_path / "clip"
    folder.mkdir()
    for name, picture in zip(order, pictures(6), strict=True):
        Image.fromarray(picture).save(folder / name, lossless=name.endswith("webp"))
    assert_frames(folder, pictures(6))


def test_names_may_hold_any_letters(tmp_path):
    assert_frames(write_folder(tmp_path / "clip", ["1.png", "a1.png", "a٢.png", "b²1.png"]), pictures(4))


def test_a_folder_counts_its_visible_images_alone(tmp_path):
    folder = write_folder(tmp_path / "clip", ["1.png", "2.png"])
    (folder / ".0.png").write_bytes(b"hidden")
    (folder / "labels.txt").write_text("a b")
    (folder / "3.png").mkdir()
    assert_frames(folder, pictures(2))


def test_frames_stand_upright(tmp_path):
    """As the camera was held: EXIF's 6 asks for a quarter turn clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = write_folder(tmp_path / "clip", ["1.png"])
    Image.fromarray(pictures(1)[0]).save(folder / "1.png", exif=exif)
    upright = np.rot90(pictures(1)[0], -1)
    assert_frames(folder, [upright])
    assert_frames(folder / "1.png", [upright])


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.webp", {"lossless": True})])
def test_an_animation_gives_its_frames(name, options, tmp_path):
    file = write_animation(tmp_path / name, **options)
    assert_frames(file, pictures(7))
    assert_frames(file.read_bytes(), pictures(7))


def test_a_gif_gives_its_frames(tmp_path):
    few = [Image.fromarray(picture).quantize(32) for picture in pictures(7)]
    few[0].save(tmp_path / "a.gif", save_all=True, append_images=few[1:])
    assert_frames(tmp_path / "a.gif", arrays(few))


def test_an_image_is_a_video_of_one_frame(tmp_path):
    Image.fromarray(pictures(1)[0]).save(tmp_path / "a.png")
    assert_frames(tmp_path / "a.png", pictures(1))


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.avi", "ffv1", "bgr0", {}),
        ("a.mkv", "libx264rgb", "rgb24", {"qp": "0"}),
        ("a.mov", "png", "rgb24", {}),
    ],
)
def test_a_film_without_loss_gives_the_frames_that_were_written(name, codec, pixels, options, tmp_path):
    file = write_film(tmp_path / name, codec, pixels, count=20, **options)
    assert_frames(file, pictures(20))
    assert_frames(file.read_bytes(), pictures(20))


FILMS = [
    *(("a.mp4", "libx264", key_every, between) for key_every, between in [(30, 3), (6, 0), (6, 3), (2, 2), (1, 0)]),
    ("a.mkv", "libx264", 6, 3),
    ("a.mov", "mpeg4", 6, 2),
    ("a.webm", "libvpx-vp9", 10, 0),
    ("a.avi", "libx264", 12, 3),
    ("a.avi", "mpeg4", 5, 3),
    ("a.ts", "mpeg2video", 12, 3),
    ("a.mpg", "mpeg2video", 12, 3),
    ("a.m2v", "mpeg2video", 12, 3),
    ("a.h264", "libx264", 6, 3),
    ("a.flv", "libx264", 5, 3),
]


@pytest.mark.parametrize(("name", "codec", "key_every", "between"), FILMS)
def test_any_frames_of_a_film_are_those_of_decoding_it_all_in_order(name, codec, key_every, between, tmp_path):
    file = write_film(tmp_path / name, codec, key_every=key_every, between=between)
    expected = decoded_in_order(file)
    assert len(expected) == 30
    lost = [[np.square(frame - picture.astype(float)).mean() for picture in pictures(30)] for frame in expected]
    assert np.abs(np.argmin(lost, axis=1) - np.arange(30)).max() <= 1  # but for what the codec lost
    assert_frames(file, expected)


@pytest.mark.parametrize(
    ("name", "codec", "key_every", "between"), [film for film in FILMS if film[0][2:] in ("mp4", "mkv", "mov", "webm")]
)
def test_frames_are_looked_for_where_the_container_tells_their_times(
    name, codec, key_every, between, tmp_path, monkeypatch
):
    file = write_film(tmp_path / name, codec, key_every=key_every, between=between)
    expected = decoded_in_order(file)
    monkeypatch.setattr(films.Film, "counted", None)
    assert_frames(file, expected)


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [("a.ts", "mpeg2video", "mpegts"), ("a.mpg", "mpeg2video", "mpeg")],
)
def test_frames_are_counted_where_looking_for_them_leads_elsewhere(name, codec, kind, tmp_path, monkeypatch):
    """As it does in these containers, if they are taken for one that tells times."""
    file = write_film(tmp_path / name, codec, key_every=5, between=3)
    expected = decoded_in_order(file)
    monkeypatch.setattr(films, "MP4", kind)
    film: Any = open_video(file)
    assert film.looked_for([29]) is None
    assert_same(film.images([29, 28, 29]), [expected[29], expected[28], expected[29]])


def moved_in_time(film: Path, file: Path, frames: int) -> Path:
    """The same packets, so much earlier that the container says to leave out the first frames."""
    with av.open(str(film)) as given, av.open(str(file), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        packet: Any
        for packet in given.demux(video=0):
            if packet.dts is not None:
                shift = frames * packet.duration
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                container.mux(packet)
    return file


def test_frames_that_an_edit_list_leaves_out_are_not_counted(tmp_path):
    film = write_film(tmp_path / "whole.mp4", "libx264", between=3)
    file = moved_in_time(film, tmp_path / "a.mp4", 4)
    assert_frames(file, decoded_in_order(film)[4:])


@pytest.mark.parametrize(("turned", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_film_is_turned_as_the_camera_was_held(turned, quarters, tmp_path):
    lying = write_film(tmp_path / "lying.mp4", "libx264", count=3)
    file = write_film(tmp_path / "a.mp4", "libx264", count=3, turned=turned)
    assert_frames(file, [np.rot90(frame, quarters) for frame in decoded_in_order(lying)])


@pytest.mark.parametrize("name", ["12:30.mp4", "a%03d.mp4", "-"])
def test_a_film_may_have_any_name(name, tmp_path, monkeypatch):
    film = write_film(tmp_path / "a.mp4", "libx264", count=3)
    monkeypatch.chdir(tmp_path)
    film.rename(name)
    assert_frames(Path(name), decoded_in_order(tmp_path / name))


def read_all(source: Path | bytes, name: str | None = None) -> None:
    video = open_video(source, name)
    video.images(range(len(video)))


def refuse(source: Path | bytes, *says: str, name: str | None = None) -> None:
    """With a sentence that begins with the name, and holds these words."""
    with pytest.raises(UnreadableVideo) as refusal:
        read_all(source, name)
    assert str(refusal.value).startswith(f"{name or source}: ")
    for words in says:
        assert words in str(refusal.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png"])
def test_an_empty_file_is_no_video(name, tmp_path):
    (tmp_path / name).touch()
    refuse(tmp_path / name, "it is empty")
    refuse(b"", "it is empty", name="row 7 of clips.parquet")


def test_nothing_is_no_video(tmp_path):
    refuse(tmp_path / "a.mp4", "it does not exist")


def test_a_folder_without_images_is_no_video(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    refuse(tmp_path, "it holds no frames", ".png")


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.nfo", "a.csv", "a.png"])
def test_a_text_is_no_video(name, tmp_path):
    (tmp_path / name).write_text("frame,label\n1,cat\n" * 40)
    refuse(tmp_path / name)
    refuse((tmp_path / name).read_bytes(), name="the second of two")


def test_a_sound_is_no_video(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    refuse(tmp_path / "a.wav", "no pictures")


def test_what_a_container_of_no_codec_holds_is_no_video(tmp_path):
    film = write_film(tmp_path / "a.mkv", "ffv1", "bgr0", count=3)
    film.write_bytes(film.read_bytes().replace(b"V_FFV1", b"V_NONE"))
    refuse(film)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
@pytest.mark.parametrize("name", ["a.mp4", "front.mp4", "a.mkv", "a.webm", "a.avi", "a.png", "a.webp", "a.gif"])
def test_a_file_that_is_cut_off_is_refused(name, share, tmp_path):
    file = tmp_path / name
    if name.endswith(("png", "webp", "gif")):
        write_animation(file)
    elif name == "front.mp4":  # whose table of contents comes first
        write_film(file, "libx264", between=2, container={"movflags": "faststart"})
    else:
        write_film(file, {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(name[2:], "libx264"))
    whole = file.read_bytes()
    read_all(file)
    file.write_bytes(whole[: int(len(whole) * share)])
    refuse(file)
    refuse(file.read_bytes(), name="the film of row 3")


def test_a_film_that_is_cut_off_in_its_last_frame_is_refused_before_any_is_decoded(tmp_path):
    film = write_film(tmp_path / "a.avi", "mpeg4")
    whole = film.read_bytes()
    film.write_bytes(whole[: whole.index(b"idx1") - 8])
    with pytest.raises(UnreadableVideo, match="a.avi: it is cut off after 30 frames"):
        open_video(film)


def test_whatever_pyav_raises_becomes_a_sentence():
    errors = [
        error
        for error in vars(av_error).values()
        if isinstance(error, type) and issubclass(error, av_error.FFmpegError)
    ]
    assert len(errors) > 20
    for error in errors:
        with pytest.raises(UnreadableVideo, match="^film: "), in_a_sentence("film"):
            raise error(1, "broken", "film")


def test_a_film_that_is_broken_in_the_middle_is_refused_where_it_is_decoded(tmp_path):
    film = write_film(tmp_path / "a.mp4", "libx264", between=2, container={"movflags": "faststart"})
    whole = bytearray(film.read_bytes())
    start = whole.find(b"mdat") + 4
    middle = start + (len(whole) - start) // 2
    whole[middle : middle + 400] = bytes(400)
    film.write_bytes(whole)
    refuse(film)


def test_a_frame_that_is_broken_is_named(tmp_path):
    folder = write_folder(tmp_path / "clip", ["1.png", "2.png"])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:50])
    with pytest.raises(UnreadableVideo, match="clip/2.png: "):
        open_video(folder).images([0, 1])
    assert_same(open_video(folder).images([0]), pictures(1))


def test_without_pyav_a_film_is_refused_with_the_way_out_and_all_else_is_read(tmp_path, monkeypatch):
    film = write_film(tmp_path / "a.mp4", "libx264", count=3)
    monkeypatch.setattr(video_frames, "av", None)
    monkeypatch.setattr(video_frames, "decoders_of_torchcodec", lambda: None)
    refuse(film, "pip install av")
    refuse(film.read_bytes(), "pip install av", name="a film")
    assert_frames(write_animation(tmp_path / "a.png"), pictures(7))
    assert_frames(write_folder(tmp_path / "clip", ["1.png", "2.png"]), pictures(2))
