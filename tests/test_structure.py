"""The shape of the package: no fragments, no giants."""

from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "vit_hf"
LINES = {
    str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines())
    for file in PACKAGE.rglob("*.py")
    if file.name != "__init__.py"
}


def test_no_file_is_a_giant():
    assert [name for name, lines in LINES.items() if lines > 400] == []


def test_few_files_are_fragments():
    fragments = sorted(name for name, lines in LINES.items() if lines <= 75)
    assert len(fragments) < 0.2 * len(LINES), fragments
    assert median(LINES.values()) >= 110
