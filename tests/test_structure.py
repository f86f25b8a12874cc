"""The shape of the package: no fragments, no giants, and no name with two meanings."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
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


# Files of one kind, which call the same thing by the same name on purpose.
COMMANDS = "EXAMPLES main next_commands run"
BENCHMARKS = "BENCHMARKED BUILDERS benchmark build_ours build_timm build_transformers config_fields"
CONVERTERS = (
    "ATTENTION_POOL CLASSES NAMES TRANSFORMERS changes_of_training converter_for our_fields pooling_of runnable "
    "table_for takes timm_arguments to_ours to_theirs trunk_table unsupported_by_timm unsupported_by_transformers "
    "unsupported_features v2_words"
)
ALIKE = {
    "*": "__all__ logger __getattr__",
    "commands/*": COMMANDS,
    "commands/benchmark/*": BENCHMARKS,
    "conversion/*": CONVERTERS,
    "conversion/original/*": "ANCHOR IMAGES",
    "models/configuration_*": "AUTO_MAP",
    "*convert.py": "TARGETS",  # the command's are those of the conversion, which it does not import for its help
}


def named_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a file gives to something; what a `try` falls back on is no other."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def test_a_name_has_one_meaning():
    places: dict[str, list[str]] = {}
    for name in PACKAGE.rglob("*.py"):
        file = name.relative_to(PACKAGE).as_posix()
        for statement in ast.parse(name.read_text(encoding="utf-8")).body:
            for found in {*named_by(statement)}:
                places.setdefault(found, []).append(file)
    allowed = [(found, pattern) for pattern, names in ALIKE.items() for found in names.split()]
    twice = {found: sorted({*files}) for found, files in places.items() if len({*files}) > 1}
    for found, files in twice.items():
        patterns = [pattern for known, pattern in allowed if known == found]
        assert any(all(fnmatch(file, pattern) for file in files) for pattern in patterns), f"{found}: {files}"
    assert {found for found, _ in allowed} <= {*twice}, "an exception that nothing needs any more"
