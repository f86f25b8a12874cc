"""timm and vit-pytorch as oracles, beside any build of torch."""

from vit_hf.commands.benchmark.operators import make_torchvision_importable

make_torchvision_importable()
