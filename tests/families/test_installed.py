"""Families of other packages are found by their entry points, whatever is imported first, and do no harm."""

from pathlib import Path

import pytest
from families.packages import environment_of, install, install_tiny, run

from vit_hf.errors import UserError
from vit_hf.families import FAMILIES, Family, family_of, find_family, register
from vit_hf.families.base import OF_TRAINING
from vit_hf.models.configuration_vit import VisionTransformerConfig

FIND = """
from transformers import AutoConfig, AutoModelForImageClassification
from vit_hf.families import FAMILIES
model = AutoModelForImageClassification.from_config(AutoConfig.for_model("tiny_mixer"))
assert type(model) is FAMILIES["tiny"].classifier, FAMILIES
"""
ORDERS = {
    "vit_hf first": "import vit_hf",
    "the record first": "import tiny_family.family",
    "its class first": "from tiny_family.family import Tiny",
    "the model first": "import tiny_family.modeling_tiny, vit_hf",
}
SPAWN = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import vit_hf.families
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
    print(pool.submit(vit_hf.families.find_family, "tiny_mixer").result().title)
"""
WARN = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import vit_hf
from vit_hf.families import FAMILIES
print(*sorted(FAMILIES))
print(*(str(one.message) for one in caught if "is left out" in str(one.message)), sep="\\n")
"""
CLASH = """
from vit_hf.families import Family
from vit_hf import SwinTransformerConfig
class Clash(Family):
    name, title, config_class, classes = "{name}", "Another", SwinTransformerConfig, {{}}
"""


@pytest.mark.parametrize("first", ORDERS)
def test_a_family_is_known_whatever_is_imported_first(first: str, tmp_path: Path):
    run("-W", "error:The family", "-c", ORDERS[first] + FIND, environment=environment_of(install_tiny(tmp_path)))


def test_a_model_whose_file_imports_vit_hf_is_known_where_its_package_does_so_first(tmp_path: Path):
    package = install_tiny(tmp_path) / "tiny_family"
    (package / "__init__.py").write_text("import vit_hf\n")
    model = package / "modeling_tiny.py"
    model.write_text(f"import vit_hf.completion.loading\n{model.read_text()}")
    run("-W", "error:The family", "-c", ORDERS["the model first"] + FIND, environment=environment_of(tmp_path))


def test_a_child_process_that_is_spawned_knows_the_family(tmp_path: Path):
    assert run("-c", SPAWN, environment=environment_of(install_tiny(tmp_path))) == "Tiny Mixer\n"


def test_packages_that_cannot_be_had_cost_a_warning_each_that_says_why(tmp_path: Path):
    install_tiny(tmp_path)
    for package, entry, code in (
        ("absent-package", "absent = absent_package:Absent", ""),
        ("broken-package", "broken = broken_package:Broken", "import missing_library"),
        ("clash-by-name", "clash = clash_by_name:Clash", CLASH.format(name="vit")),
        ("clash-by-type", "clash = clash_by_type:Clash", CLASH.format(name="another")),
        ("no-family", "number = no_family:number", "number = 3"),
    ):
        install(tmp_path, package.replace("-", "_"), entry)
        if code:
            (tmp_path / f"{package.replace('-', '_')}.py").write_text(code)
    known, *warned = run("-c", WARN, environment=environment_of(tmp_path)).splitlines()
    assert known == "swin timesformer tiny vit"
    for part in (
        "the package absent_package brings (absent_package:Absent), is left out: ModuleNotFoundError: No module",
        "the package broken_package brings (broken_package:Broken), is left out: ModuleNotFoundError: No module named "
        "'missing_library'",
        "is left out: Two families have the name 'vit': Vision Transformer (vit_hf.families.vit) and Another "
        "(clash_by_name)",
        "is left out: Two families have the model_type 'swin_hf': Swin Transformer (vit_hf.families.swin) and Another "
        "(clash_by_type)",
        "is left out: no_family:number is a int, and no subclass of vit_hf.families.Family.",
    ):
        assert sum(part in line for line in warned) == 1, (part, warned)
    assert len(warned) == 5


def test_two_families_of_one_name_are_refused_in_a_sentence_that_names_both():
    class Another(Family):
        name = "vit"
        title = "Another"
        config_class = VisionTransformerConfig
        classes = {}

    with pytest.raises(UserError, match=r"the name 'vit': Vision Transformer \(vit_hf.families.vit\) and Another \("):
        register(Another())
    assert type(FAMILIES["vit"]) is not Another


def test_a_class_whose_name_does_not_say_what_it_is_for_is_refused():
    class Nameless(Family):
        name = "nameless"
        title = "Nameless"

        class config_class(VisionTransformerConfig):
            model_type = "nameless"

        classes = {"AutoModel": type("Thing", (), {})}

    with pytest.raises(UserError, match="Thing ends in none of ForImageClassification, "):
        register(Nameless())
    assert find_family("nameless") is None


def test_a_family_that_is_registered_again_is_the_one_that_is_there():
    vit = FAMILIES["vit"]
    register(type(vit)())
    assert FAMILIES["vit"] is vit


def test_a_configuration_of_somebody_else_is_answered_with_the_families_that_are_known():
    class Theirs:
        model_type = "resnet"

    assert find_family("resnet") is None
    with pytest.raises(UserError, match=r"'resnet' is no family that vit_hf knows; those are vit_hf \(Vision Trans"):
        family_of(Theirs())


def test_every_family_says_what_may_be_changed_of_its_weights_by_fields_that_it_has():
    for family in FAMILIES.values():
        assert set(family.adapts) <= set(family.config_fields())
        assert set(family.changeable) - set(OF_TRAINING) <= set(family.config_fields())
