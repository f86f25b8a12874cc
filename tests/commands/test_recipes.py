"""The recipes and sizes that come with the package, as `vit-hf recipes` lists them."""

from vit_hf.commands.cli import main
from vit_hf.families import FAMILIES
from vit_hf.training.recipe.shipped import header_of
from vit_hf.training.recipe.yaml_files import configuration_folder

FILES = sorted((configuration_folder() / "recipes").glob("*.yaml"))


def test_every_recipe_is_listed_with_what_it_is_its_hardware_and_result(capsys):
    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    for path in FILES:
        assert f"{path.stem}\n  " in said
        assert all(header_of(path)), path


def test_a_header_is_read_up_to_what_explains_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# A ViT (arXiv:2010.11929) of 0.3 M parameters. More of it.\n#   train mine --data.name x\n"
        "# Hardware and cost of ours: 2 CPU\n# cores; 13 minutes. Result, of 360 images (one is 0.28 %): 99.44 %. "
        "Chosen.\n"
        "model: {size: s}\n# Result: of no header\n"
    )
    assert header_of(path) == ("A ViT (arXiv:2010.11929) of 0.3 M parameters", "2 CPU cores", "99.44 %")


def test_a_recipe_is_printed_as_its_file(capsys):
    assert main(["recipes", "digits"]) == 0
    assert capsys.readouterr().out == (configuration_folder() / "recipes" / "digits.yaml").read_text(encoding="utf-8")


def test_sizes_are_those_of_each_family(capsys):
    assert main(["recipes", "--sizes"]) == 0
    said = capsys.readouterr().out
    for name in ("vit", "swin", "timesformer"):
        (block,) = [block for block in said.split("\n\n") if f"--model.family {name} " in block]
        assert [line.split()[0] for line in block.splitlines()[1:]] == list(FAMILIES[name].sizes())


def test_a_misspelt_recipe_is_answered_with_the_nearest(capsys):
    for command in (["train", "digitz"], ["recipes", "digitz"]):
        assert main(command) == 2
        assert "'digitz'; did you mean 'digits'?" in capsys.readouterr().err
