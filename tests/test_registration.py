"""Importing the package breaks none of transformers' imports, and the Auto classes know ours whatever comes first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("import_transformers.py")
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
    "what all models inherit first": "import vit_hf.models.modeling_base",
    "what they inherit of the package first": "import vit_hf.completion.loading",
    "a record first": "import vit_hf.families.swin",
    "the Auto classes first": "from transformers import AutoModel; import vit_hf",
}
# That broke once, and were asked about.
ONCE_BROKEN = [
    "ViTForImageClassification",
    "CLIPModel",
    "LlamaForCausalLM",
    "MaskFormerForInstanceSegmentation",
    "VideoMAEForVideoClassification",
    "SwinForImageClassification",
    "TimesformerForVideoClassification",
    "Dinov2Model",
    "BeitModel",
    "DetrForObjectDetection",
]


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("first", ORDERS)
def test_the_auto_classes_know_ours_whatever_comes_first(first):
    run("-c", ORDERS[first] + FIND)


@pytest.fixture(scope="module")
def without() -> dict:
    """Every public model class of transformers that can be imported here, and then ours."""
    return json.loads(run(str(SCRIPT), "all", "without"))


def test_every_model_of_transformers_can_be_imported_after_ours_and_ours_after_them(without):
    after = json.loads(run(str(SCRIPT), "all", "after"))
    assert len(without["there"]) > 500
    missing = set(without["there"]) - set(after["there"])
    assert not missing, {name: after["errors"].get(name) for name in sorted(missing)[:5]}
    assert without["ours"] == after["ours"]
    assert "VisionTransformerForImageClassification" in without["ours"]


def test_models_of_transformers_can_each_be_imported_beside_ours_in_a_fresh_process(without):
    there = without["there"]
    names = [*(name for name in ONCE_BROKEN if name in there), *there[:: len(there) // 16]]
    assert len(names) >= 20
    assert json.loads(run(str(SCRIPT), "each", *names)) == {}


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(ImportError, match="VisionTransfomerModel"):
        run_here("from vit_hf import VisionTransfomerModel")


def run_here(statement: str) -> None:
    exec(statement, {})
