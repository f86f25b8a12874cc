import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_images import noise
from PIL import Image

from vit_hf.data.decode.ends import IS_WHOLE, looks_whole
from vit_hf.data.decode.files import USUAL_READING, Reading
from vit_hf.data.decode.images import UnreadableImage, open_picture

FORMATS = sorted(set(IS_WHOLE) - {"MPO"})


def saved(form: str, size: int = 24) -> bytes:
    file = io.BytesIO()
    noise(0, size).save(file, form)
    return file.getvalue()


def saved_deep() -> bytes:
    file = io.BytesIO()
    Image.new("I;16", (8, 8), 1000).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_file_looks_whole_from_disk_and_from_memory(tmp_path, form):
    path = tmp_path / "image"
    path.write_bytes(saved(form))
    assert looks_whole(path, USUAL_READING)
    assert looks_whole(saved(form), USUAL_READING)


@pytest.mark.parametrize("form", FORMATS)
@given(share=st.floats(0, 1))
def test_a_file_without_its_end_does_not(form, share):
    content = saved(form)
    cut = content[: int(share * (len(content) - 1))]
    assert not looks_whole(cut, USUAL_READING)


@pytest.mark.parametrize("form", FORMATS)
def test_what_follows_the_end_is_nobodys_proof_of_damage(form):
    """A file that does not look whole is decoded, and decoding says that it is."""
    content = saved(form) + b"appended"
    if not looks_whole(content, USUAL_READING):
        assert open_picture(content, "it").pixels(3).shape == (24, 24, 3)


def test_zeros_behind_a_jpeg_are_its_padding():
    assert looks_whole(saved("JPEG") + bytes(1000), USUAL_READING)


@pytest.mark.parametrize("form", ["TIFF", "PPM"])
def test_of_a_format_without_an_end_only_decoding_tells(form):
    assert not looks_whole(saved(form), USUAL_READING)


def test_a_deep_png_looks_whole_and_a_large_one_is_for_the_reader_to_refuse():
    assert looks_whole(saved_deep(), USUAL_READING)
    assert not looks_whole(saved("PNG"), Reading(max_pixels=100))
    with pytest.raises(UnreadableImage, match="576 pixels"):
        open_picture(saved("PNG"), "it", Reading(max_pixels=100)).pixels(3)


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF", b"BM"])
def test_what_is_no_image_does_not_look_like_one(content, tmp_path):
    assert not looks_whole(content, USUAL_READING)
    assert not looks_whole(tmp_path / "gone.png", USUAL_READING)
