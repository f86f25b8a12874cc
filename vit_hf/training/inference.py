"""A model over a whole split, without a Trainer."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.collation import collate
from ..data.dataset import ImageBatches


def device_of_choice() -> torch.device:
    """The accelerator that there is, else the processor."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


@torch.inference_mode()
def predict_logits(model: nn.Module, images: ImageBatches, *, batch_size: int = 64) -> Tensor:
    """-> b labels, on the CPU, in the order of the images"""
    device = device_of_choice()
    model = model.to(device).eval()
    loader = DataLoader(images, batch_size=batch_size, collate_fn=collate)
    bar = tqdm(loader, desc="Predicting", unit=" batches", leave=False, disable=None)
    return torch.cat([model(pixel_values=batch["pixel_values"].to(device)).logits.float().cpu() for batch in bar])
