"""Every file imports only from floors below its own, and the files that travel only what a stranger has."""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "vit_hf"
FILES = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}

FLOORS = [
    ["version"],
    ["errors"],
    ["files", "memory", "requirements", "settings", "models.shapes", "models.target_units", "completion.saved_fields"],
    ["weight_hash"],
    ["kernels.*"],
    ["models.fast_groups"],
    ["finished_folder", "one_writer", "models.image_files", "models.frame_sampling"],
    ["completion.configurations", "completion.headers"],
    [
        "models.configuration_base",
        "models.patches",
        "models.positions",
        "models.films",
        "completion.loss_function",
    ],
    ["models.torchcodec_films"],
    ["models.video_frames", "models.windows", "models.configuration_*", "models.fast_paths", "completion.combinations"],
    ["models.attention", "models.fast_windows", "completion.adaptation", "completion.peft_adapters"],
    ["models.blocks", "completion.loading"],
    ["models.image_processing_*", "models.pooling", "models.window_blocks"],
    ["models.video_processing_*", "models.modeling_base"],
    ["models.clips"],
    ["models.divided"],
    ["completion.inflate"],
    ["models.modeling_vit", "models.modeling_swin", "models.modeling_timesformer"],
    ["models.modeling_*", "models.__init__", "completion.__init__"],
    ["modality"],
    ["families.*"],
    ["fewer_tokens.*"],
    ["public"],
    ["__init__"],
    ["hub.*", "data.decode.*"],
    ["data.augment.*"],
    ["data.settings"],
    ["data.sources.*"],
    ["data.batches.*", "data.__init__"],
    ["data.duplicates", "data.cut_duplicates"],
    ["conversion.core.*", "training.problem"],
    ["conversion.timm.*", "training.recipe.*"],
    ["conversion.transformers.*", "training.class_weights", "training.costs", "training.ema", "training.targets"],
    [
        "training.lora",
        "training.losses",
        "training.masking",
        "training.metrics.*",
        "training.optimizer",
        "training.probe",
        "training.progressive_resizing",
    ],
    ["conversion.original.*"],
    ["conversion.*", "training.calibration", "training.label_errors", "training.throughput"],
    ["training.trainer.*", "training.__init__"],
    ["explanation.passes"],
    ["explanation.flows", "explanation.scoring"],
    ["explanation.attention_maps"],
    ["explanation.gradient_maps", "explanation.inside"],
    ["explanation.explain", "explanation.__init__"],
    ["exporting.pixels", "exporting.runtimes"],
    ["exporting.graphs", "exporting.exported"],
    ["exporting.comparison", "exporting.*_files"],
    ["exporting.formats", "exporting.__init__"],
    ["explanation.comparison"],
    ["cards.*", "plots.*"],
    ["publishing.*"],
    ["runs.*"],
    ["serving.batching", "serving.bodies"],
    ["serving.*"],
    ["demo.*"],
    ["commands.cli", "commands.__init__"],
    [
        "commands.convert",
        "commands.demo",
        "commands.evaluate",
        "commands.explain",
        "commands.export",
        "commands.fields",
        "commands.predict",
        "commands.publish",
        "commands.recipes",
        "commands.serve",
        "commands.train",
    ],
    ["commands.benchmark.*"],
    ["commands.benchmark.gpu.*"],
    ["commands.completion"],
]
TRAVELS_WITH = {"torch", "einops", "transformers"}
# What transformers' own processors need.
PROCESSORS_TRAVEL_WITH = {"numpy", "PIL"}


# Files that call upward: what they import within a function may lie on any floor, for it is imported when it is called.
CALL_UPWARD = [
    "__init__",
    "completion.adaptation",
    "completion.configurations",
    "completion.loading",
    "families.*",
    "modality",
    "models.modeling_vit",  # whose other heads travel with it
]
# What a file that travels may take from the package, and only where it is a part of it.
OF_THE_PACKAGE = """\
if not __name__.startswith('vit_hf.'):
    raise ImportError"""
NOT_OF_IT = """\
if __name__.startswith('vit_hf.'):
    raise"""


def floor_of(module: str) -> int:
    """Of the pattern that says most: a folder within another may have a floor of its own."""
    found = [(len(name), floor) for floor, names in enumerate(FLOORS) for name in names if fnmatch(module, name)]
    return max(found)[1]


class Import(NamedTuple):
    """A module of ours is written as in `FILES`, another's as "torch.nn"."""

    statement: str
    module: str
    called: bool  # within a function
    relative: bool


def nodes_of(tree: ast.AST, called: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        yield node, called
        yield from nodes_of(node, called or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module: str) -> list[Import]:
    found = []
    for node, called in nodes_of(tree_of(module)):
        if isinstance(node, ast.Import):
            found += [Import(ast.unparse(node), alias.name, called, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = [*module.split(".")[: -node.level], *base]
            elif base[0] == "vit_hf":
                base = base[1:]
            for alias in node.names:
                possible = (".".join(parts) for parts in ([*base, alias.name], base, [*base, "__init__"]))
                ours = node.level or (node.module or "").startswith("vit_hf")
                there = next((name for name in possible if ours and name in FILES), ".".join(base))
                found.append(Import(ast.unparse(node), there, called, bool(node.level)))
    return found


def neighbors(module: str, other: str) -> bool:
    """In one folder, which is free to arrange itself; but two of them have floors of their own."""
    folder = module.rpartition(".")[0]
    return folder not in ("", "models", "completion") and folder == other.rpartition(".")[0]


def taken_from_the_package(module: str) -> set[str]:
    """The statements by which a file that travels takes something from the package, where it is a part of it, and has
    something else where it is not."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Try) and ast.unparse(node.body[0]) == OF_THE_PACKAGE:
            (handler,) = node.handlers
            assert ast.unparse(handler.body[0]) == NOT_OF_IT, f"{module}: a circle of imports would pass unseen"
            found |= {ast.unparse(statement) for statement in node.body[1:]}
    return found


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_from_floors_below_its_own(module: str):
    upward = any(fnmatch(module, name) for name in CALL_UPWARD)
    travels = module.startswith("models.")
    for one in imports(module):
        if one.module in FILES and not neighbors(module, one.module) and not (upward and one.called):
            assert floor_of(one.module) < floor_of(module), f"{module}: {one.statement}"
        if one.module in FILES and not travels:
            assert one.relative, f"{module}: {one.statement}; write it as a relative import"


def below(module: str) -> set[str]:
    """The module and all of ours that travels with it."""
    ours = (one.module for one in imports(module) if one.module in FILES and one.relative)
    return {module}.union(*(below(imported) for imported in ours))


OF_PROCESSORS = set().union(*(below(module) for module in FILES if fnmatch(module, "models.*_processing_*")))


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("models.")])
def test_a_file_that_travels_imports_only_what_a_stranger_has(module: str):
    of_the_package = taken_from_the_package(module)
    for one in imports(module):
        if one.module in FILES and not one.relative:
            assert one.statement in of_the_package, f"{module}: {one.statement}, where there may be no vit_hf"
        elif one.module in FILES:
            assert re.match(r"from \.\w+ import", one.statement), f"{module}: {one.statement}; from .name import Thing"
        else:
            root = one.module.split(".")[0]
            there = TRAVELS_WITH | (PROCESSORS_TRAVEL_WITH if module in OF_PROCESSORS else set())
            assert root in there or root in sys.stdlib_module_names, f"{module}: {one.statement}"


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("models.configuration_")])
def test_a_configuration_imports_no_torch_of_its_own(module: str):
    roots = {one.module.split(".")[0] for ours in below(module) for one in imports(ours)}
    assert not roots & {"torch", "einops"}
