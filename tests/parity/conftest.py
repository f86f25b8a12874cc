"""timm and vit-pytorch as oracles, beside any build of torch, and Triton, whose programs are interpreted."""

import os
import runpy
from pathlib import Path

# By its path, because importing the package imports transformers, and transformers may import torchvision.
OPERATORS = Path(__file__).parents[2] / "vit_hf" / "commands" / "benchmark" / "operators.py"
runpy.run_path(str(OPERATORS))["make_torchvision_importable"]()

# Read when Triton is imported, and then for all of its functions.
os.environ["TRITON_INTERPRET"] = "1"
