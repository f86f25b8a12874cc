import pytest

from vit_hf.errors import first_line
from vit_hf.errors import require_library as required


def test_a_missing_library_is_named_with_how_to_install_it():
    with pytest.raises(ValueError, match="This needs the-zoo .*; install it with: pip install the-zoo"):
        required("no_such_module_anywhere", "the-zoo")
    assert required("json", "json").dumps(1) == "1"


def test_of_an_error_the_first_line_with_words_is_said_or_its_kind():
    assert first_line(OSError("\n  no room \nat all")) == "no room"
    assert first_line(RecursionError(" \n")) == "RecursionError"
