"""torchcodec gives the frames and times that PyAV does, of every whole film that it reads."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_films import write_film
from models.test_films import write_at
from models.test_video_frames import moved_in_time

from vit_hf.models import torchcodec_films, video_frames
from vit_hf.models.films import Film, UnreadableVideo
from vit_hf.models.frame_sampling import Sampling, choose_frames
from vit_hf.models.torchcodec_films import TorchcodecFilm, decoders_of_torchcodec
from vit_hf.models.video_frames import open_video

installed = pytest.mark.skipif(
    decoders_of_torchcodec() is None, reason="torchcodec is not installed, or finds no libraries of FFmpeg"
)


def both(file: Path | bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Film, TorchcodecFilm]:
    by_pyav = open_video(file)
    monkeypatch.setattr(video_frames, "av", None)
    other = open_video(file)
    assert isinstance(by_pyav, Film)
    assert isinstance(other, TorchcodecFilm)
    return by_pyav, other


def assert_same(one: Film, other: TorchcodecFilm, *, most: int = 0) -> None:
    assert len(one) == len(other)
    numbers = [len(one) - 1, 0, 0, len(one) // 2, *range(len(one))]
    for found, expected in zip(other.images(numbers), one.images(numbers), strict=True):
        assert found.size == expected.size
        assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).max() <= most
    assert other.timing.rate == pytest.approx(one.timing.rate, rel=1e-3)
    wanted: list[tuple[Sampling, float]] = [("uniform", 0.0), ("uniform", 0.5), ("dense", 0.3), ("dense", 1.0)]
    for sampling, place in wanted:
        clips = [choose_frames(video.timing, 8, sampling, 4, place).tolist() for video in (one, other)]
        assert clips[0] == clips[1]


@installed
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"between": 3}),
        ("a.mkv", "libx264", {"between": 3, "key_every": 12}),
        ("a.mov", "mpeg4", {"between": 2}),
        ("a.webm", "libvpx-vp9", {"key_every": 10}),
        ("a.mp4", "libx265", {"x265-params": "log-level=0"}),
        ("a.mkv", "ffv1", {"pixels": "bgr0"}),
        ("a.mp4", "libx264", {"turned": 90}),
        ("a.mp4", "libx264", {"turned": -90}),
        ("a.mp4", "libx264", {"turned": 180}),
    ],
)
def test_torchcodec_gives_the_frames_and_times_of_pyav(name, codec, options, tmp_path, monkeypatch):
    file = write_film(tmp_path / name, codec, **options)
    assert_same(*both(file, monkeypatch))


@installed
def test_bytes_are_read_as_the_file_is(tmp_path, monkeypatch):
    file = write_film(tmp_path / "a.mp4", "libx264", between=2)
    assert_same(*both(file.read_bytes(), monkeypatch))


@installed
def test_pixels_that_are_not_square_are_made_so_by_another_resizing(tmp_path, monkeypatch):
    file = write_film(tmp_path / "a.mkv", "libx264", shape=Fraction(16, 11))
    assert_same(*both(file, monkeypatch), most=12)


@installed
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_of_a_variable_rate_are_chosen_by_when_they_are_shown(name, tmp_path, monkeypatch):
    """Ten frames in the first second, then one in each of eight, and a short one at the end."""
    file = write_at(tmp_path / name, [*(number / 10 for number in range(10)), *range(1, 10)])
    one, other = both(file, monkeypatch)
    assert_same(one, other)
    assert choose_frames(other.timing, 5, "uniform", 1, 0.5).tolist() == [9, 11, 13, 15, 17]


@installed
def test_what_torchcodec_does_not_read_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(video_frames, "av", None)
    film = write_film(tmp_path / "a.mp4", "libx264", count=100, container={"movflags": "faststart"})
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableVideo, match="a.mp4: it is cut off after .* frames"):
        open_video(film)
    (tmp_path / "a.txt").write_text("frame,label\n" * 40)
    with pytest.raises(UnreadableVideo, match="a.txt: "):
        open_video(tmp_path / "a.txt")


@installed
def test_frames_that_an_edit_list_leaves_out_are_not_counted(tmp_path, monkeypatch):
    film = write_film(tmp_path / "whole.mp4", "libx264", between=3)
    assert_same(*both(moved_in_time(film, tmp_path / "a.mp4", 4), monkeypatch))


def test_pyav_comes_first_and_a_torchcodec_that_does_not_load_is_none(tmp_path, monkeypatch):
    film = write_film(tmp_path / "a.mp4", "libx264", count=3)
    assert isinstance(open_video(film), Film)

    def broken(name: str):
        raise RuntimeError("Could not load libtorchcodec.")

    monkeypatch.setattr(torchcodec_films, "find_spec", lambda name: object())
    monkeypatch.setattr(torchcodec_films, "import_module", broken)
    monkeypatch.setattr(video_frames, "decoders_of_torchcodec", decoders_of_torchcodec.__wrapped__)
    monkeypatch.setattr(video_frames, "av", None)
    with pytest.raises(UnreadableVideo, match="pip install av"):
        open_video(film)
