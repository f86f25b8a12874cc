import pytest

from vit_hf.errors import require_library as required


def test_a_missing_library_is_named_with_how_to_install_it():
    with pytest.raises(ValueError, match="This needs the-zoo .*; install it with: pip install the-zoo"):
        required("no_such_module_anywhere", "the-zoo")
    assert required("json", "json").dumps(1) == "1"
