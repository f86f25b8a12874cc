"""Every launch configuration is one that Accelerate understands, and says how to use it."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from vit_hf.training.recipe.yaml_files import configuration_folder

FILES = sorted((configuration_folder() / "accelerate").glob("*.yaml"))
KINDS = {"one_gpu": "NO", "ddp": "MULTI_GPU", "fsdp2": "FSDP", "multi_node": "MULTI_GPU"}


def test_there_is_one_for_each_way_to_train():
    assert {path.stem for path in FILES} == set(KINDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_accelerate_reads_it_and_its_header_says_the_command(path: Path):
    assert load_config_from_file(str(path)).distributed_type.value == KINDS[path.stem]
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert f"--config_file configuration/accelerate/{path.name}" in "\n".join(header)
