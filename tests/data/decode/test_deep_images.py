"""Images of 16 bits, whole numbers and floats: their range is one number for all of them, and nothing is guessed."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from vit_hf.data.decode.files import Reading, UnreadableImage
from vit_hf.data.decode.images import open_picture
from vit_hf.data.decode.ranges import Extremes, extremes_of, range_over


def stored(values, dtype, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array(values, dtype=dtype)).save(buffer, kind)
    return buffer.getvalue()


def grays(data: bytes, *pixel_range: float, **how) -> list:
    reading = Reading(pixel_range=(pixel_range[0], pixel_range[1]) if pixel_range else None, **how)
    return open_picture(data, "it", reading).pixels(1)[..., 0].tolist()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_twelve_bits_in_a_file_of_sixteen_fill_the_range_from_black_to_white(kind: str):
    data = stored([[0, 1024, 2048, 4095]], np.uint16, kind)
    assert grays(data, 0, 4095) == [[0, 64, 128, 255]]
    assert grays(data) == [[0, 4, 8, 16]]  # of which nothing is known: 65535 is white


def test_what_lies_beyond_the_range_is_black_and_white():
    assert grays(stored([[0, 100, 200, 65535]], np.uint16, "PNG"), 100, 200) == [[0, 0, 255, 255]]


def test_whole_numbers_of_32_bits_have_a_sign_and_a_range():
    data = stored([[-1000, 0, 1000, 3000]], np.int32, "TIFF")
    assert grays(data, -1000, 3000) == [[0, 64, 128, 255]]
    with pytest.raises(UnreadableImage, match=r"from -1000 to 3000.*data.pixel_range.*\[-1000, 3000\]"):
        grays(data)
    assert grays(stored([[0, 128, 255]], np.int32, "TIFF"), 0, 255) == [[0, 128, 255]]


def test_floats_are_scaled_alike_in_every_image():
    dark, bright = stored([[0.0, 0.5]], np.float32, "TIFF"), stored([[0.0, 200.0]], np.float32, "TIFF")
    assert (grays(dark, 0, 200), grays(bright, 0, 200)) == ([[0, 1]], [[0, 255]])
    assert grays(dark) == [[0, 128]]
    with pytest.raises(UnreadableImage, match=r"numbers from 0 to 200"):
        grays(bright)


def test_what_is_no_number_is_black_or_refused():
    data = stored([[np.nan, np.inf, -np.inf, 1.0]], np.float32, "TIFF")
    assert grays(data) == [[0, 0, 0, 255]]
    with pytest.raises(UnreadableImage, match="it: it holds NaN or infinite pixels"):
        grays(data, check_finite=True)


def test_colors_of_a_deep_gray_are_the_gray_three_times():
    picture = open_picture(stored([[0, 4095]], np.uint16, "PNG"), "it", Reading(pixel_range=(0, 4095)))
    assert picture.pixels(3).tolist() == [[[0] * 3, [255] * 3]]


def test_an_image_of_eight_bits_is_what_it_is_whatever_the_range():
    assert grays(stored([[0, 7, 255]], np.uint8, "PNG"), 0, 4095) == [[0, 7, 255]]


def test_a_deep_image_that_is_decoded_already_is_read_alike():
    image = Image.fromarray(np.array([[0, 4095]], dtype=np.uint16))
    assert open_picture(image, "it", Reading(pixel_range=(0, 4095))).pixels(1)[..., 0].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (3, 900, (0, 1023)),
        (0, 256, (0, 1023)),
        (17, 4000, (0, 4095)),
        (0, 30000, (0, 65535)),
        (0, 255, (0, 255)),
        (0.0, 0.97, (0, 1)),
        (0.0, 3.5, (0, 3.5)),
        (-1024, 3071, (-1024, 3071)),
        (5, 5, (5, 6)),
        (0, 10**6, (0, 10**6)),
    ],
)
def test_the_range_is_the_scale_that_the_numbers_are_on_or_else_theirs(low, high, expected):
    assert range_over([None, Extremes(low, high), None]) == expected


@given(some.integers(64, 65535))
def test_no_more_than_two_bits_are_lost_to_the_scale(high: int):
    found = range_over([Extremes(0, high)])
    assert found is not None
    assert high <= found[1] < 4 * high or found[1] == high


def test_images_of_eight_bits_have_no_range():
    assert extremes_of(stored([[0, 255]], np.uint8, "PNG")) is None
    assert range_over([None, None]) is None


def test_extremes_are_those_of_finite_pixels_of_whatever_can_be_read():
    assert extremes_of(stored([[np.nan, -2.5, 7.0]], np.float32, "TIFF")) == (-2.5, 7)
    assert extremes_of(stored([[3, 900]], np.uint16, "PNG")) == (3, 900)
    assert extremes_of(stored([[3, 900]], np.uint16, "PNG")[:40]) is None
    assert extremes_of(stored([[np.nan]], np.float32, "TIFF")) is None
