import torch
from tiny import tiny_config
from torch.utils.flop_counter import FlopCounterMode

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.training.operations import Numbers, forward_operations, operations_of


def test_the_count_for_a_config_is_that_for_its_numbers():
    numbers = Numbers(width=768, layers=12, heads=12, inner=3072, patch=16)
    config = VisionTransformerConfig(num_labels=1000)  # pyright: ignore[reportCallIssue] (a property of transformers)
    assert operations_of(config) == forward_operations(numbers)


def test_torch_counts_the_same():
    config = tiny_config(image_size=[32, 16], head_dim=5, num_channels=1, num_register_tokens=2, pooling="mean")
    model = VisionTransformerForImageClassification(config).eval()
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 1, 32, 16))
    assert operations_of(config) == counter.get_total_flops()
