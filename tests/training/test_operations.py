import torch

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.training.costs import forward_operations_of
from vit_hf.training.operations import Numbers, forward_operations


def test_the_count_for_a_model_is_that_for_its_numbers():
    numbers = Numbers(width=768, layers=12, heads=12, inner=3072, patch=16)
    config = VisionTransformerConfig(num_labels=1000)  # pyright: ignore[reportCallIssue] (a property of transformers)
    with torch.device("meta"):
        model = VisionTransformerForImageClassification(config)
    assert forward_operations_of(model) == forward_operations(numbers)
