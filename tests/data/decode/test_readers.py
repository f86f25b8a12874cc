import io
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, features

from vit_hf.data.decode import readers
from vit_hf.data.decode.images import UnreadableImage, open_picture

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64


@pytest.fixture(autouse=True)
def as_new():
    readers.register_readers.cache_clear()
    yield
    readers.register_readers.cache_clear()


def test_a_heic_image_without_a_reader_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(UnreadableImage, match=r"a\.heic: it is a HEIC image; to read those: pip install pillow-heif"):
        open_picture(tmp_path / "a.heic", "a.heic").pixels(3)


def test_a_reader_of_heic_that_is_installed_is_registered(monkeypatch: pytest.MonkeyPatch):
    called, module = [], ModuleType("pillow_heif")
    module.register_heif_opener = lambda: called.append("heif")  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    monkeypatch.setattr(readers, "find_spec", lambda name: name == "pillow_heif")
    assert "heic" in readers.register_readers()
    readers.register_readers()
    assert called == ["heif"]
    assert readers.missing_reader(HEIC) is None


def test_avif_is_read_where_pillow_can():
    known = "avif" in readers.register_readers()
    assert known == ("avif" in features.modules and features.check("avif"))
    if known:
        buffer = io.BytesIO()
        Image.new("RGB", (8, 6), (200, 10, 10)).save(buffer, "AVIF")
        assert open_picture(buffer.getvalue(), "a.avif").pixels(3).shape == (6, 8, 3)
