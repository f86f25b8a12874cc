"""`import vit_hf` costs nothing, and the Auto classes know ours in whatever order all are imported."""

import subprocess
import sys

import pytest

FIND = """
from transformers import AutoConfig, AutoModel
config = AutoConfig.for_model("vit_hf", image_size=32, hidden_size=12, num_hidden_layers=1)
assert type(AutoModel.from_config(config)).__name__ == "VisionTransformerModel"
"""

ORDERS = {
    "ours first": "import vit_hf",
    "a model first": "from vit_hf import VisionTransformerModel",
    "another family first": "from vit_hf import SwinTransformerModel",
    "a part first": "import vit_hf.models.attention",
    "a part of parts first": "import vit_hf.models.blocks",
    "a floor of all models first": "import vit_hf.models.modeling_base",
    "a head first": "import vit_hf.models.modeling_vit_backbone",
    "the Auto classes first": "from transformers import AutoModel; import vit_hf",
}


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("first", ORDERS)
def test_the_auto_classes_know_ours_whatever_comes_first(first):
    run(ORDERS[first] + FIND)


def test_the_package_loads_nothing_before_it_is_asked():
    run("import sys, vit_hf; assert not {'torch', 'transformers'} & sys.modules.keys(); assert dir(vit_hf)")


def test_an_unknown_name_is_no_attribute():
    run(
        """
import vit_hf
try:
    vit_hf.VisionTransfomerModel
except AttributeError as error:
    assert "VisionTransfomerModel" in str(error)
else:
    raise AssertionError
"""
    )
