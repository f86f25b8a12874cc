"""Every file imports only from floors below its own, and the files that travel only what a stranger has."""

import ast
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vit_hf"
FILES = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}

FLOORS = [
    ["models.shapes", "models.words", "models.frame_choice", "models.video_frames", "families", "version"],
    ["requirements"],
    ["models.patches", "models.positions", "models.image_processing_*"],
    ["models.attention", "models.clips", "models.windows", "models.configuration_*", "models.*_processing_*"],
    ["models.blocks", "models.window_attention"],
    ["models.divided", "models.pooling", "models.window_attention_v2"],
    ["models.image_start", "models.modeling_base", "models.window_blocks"],
    ["models.clip_inputs"],
    ["models.modeling_vit", "models.modeling_swin", "models.modeling_timesformer"],
    ["models.modeling_*", "models.__init__", "completion.*", "data.*"],
    ["training.*", "conversion.*"],
    ["hub.*", "analysis.*", "export.*"],
    ["registration"],
    ["__init__"],
    ["commands.*"],
]
TRAVELS_WITH = {"torch", "einops", "transformers"}
# What transformers' own processors need.
PROCESSORS_TRAVEL_WITH = {"numpy", "PIL"}


def floor_of(module: str) -> int:
    return next(floor for floor, names in enumerate(FLOORS) if any(fnmatch(module, name) for name in names))


def imports(module: str) -> list[tuple[str, str]]:
    """-> (statement, module) of every import; a module of ours is written as in `FILES`, another's as "torch.nn"."""
    found = []
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(ast.unparse(node), alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = module.split(".")[: -node.level] if node.level else []
            base = start + node.module.split(".") if node.module else start
            for alias in node.names:
                possible = (".".join(parts) for parts in ([*base, alias.name], base, [*base, "__init__"]))
                found.append((ast.unparse(node), next((name for name in possible if name in FILES), ".".join(base))))
    return found


def neighbours(module: str, other: str) -> bool:
    """In one folder, which is free to arrange itself; but the folder that travels has floors of its own."""
    folder, inside, _ = module.partition(".")
    return bool(inside) and folder != "models" and other.startswith(f"{folder}.")


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_from_floors_below_its_own(module: str):
    for statement, imported in imports(module):
        if imported in FILES and not neighbours(module, imported):
            assert floor_of(imported) < floor_of(module), f"{module}: {statement}"
        assert imported.split(".")[0] != "vit_hf", f"{module}: {statement}; write it as a relative import"


def below(module: str) -> set[str]:
    """The module and all of ours that its import brings along."""
    return {module}.union(*(below(imported) for _, imported in imports(module) if imported in FILES))


OF_PROCESSORS = set().union(*(below(module) for module in FILES if fnmatch(module, "models.*_processing_*")))


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("models.")])
def test_a_file_that_travels_imports_only_what_a_stranger_has(module: str):
    for statement, imported in imports(module):
        if imported in FILES:
            assert re.match(r"from \.\w+ import", statement), f"{module}: {statement}; from .name import Thing"
        else:
            root = imported.split(".")[0]
            there = TRAVELS_WITH | (PROCESSORS_TRAVEL_WITH if module in OF_PROCESSORS else set())
            assert root in there or root in sys.stdlib_module_names, f"{module}: {statement}"


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("models.configuration_")])
def test_a_configuration_imports_no_torch_of_its_own(module: str):
    roots = {imported.split(".")[0] for ours in below(module) for _, imported in imports(ours)}
    assert not roots & {"torch", "einops"}
