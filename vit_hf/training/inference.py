"""A model over a whole split, without a Trainer."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.batches.dataset import ImageBatches, ViewedVideos, collate


def device_of_choice() -> torch.device:
    """The accelerator that there is, else the processor."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def mean_of_views(logits: Tensor, views: int) -> Tensor:
    """(b v) labels -> b labels: the logarithm of the mean probability over the views of each video"""
    return rearrange(logits.softmax(-1), "(b v) labels -> b v labels", v=views).mean(1).log()


@torch.inference_mode()
def predict_logits(
    model: nn.Module, images: ImageBatches | ViewedVideos, *, batch_size: int = 64, views: int = 1
) -> Tensor:
    """-> b labels, on the CPU, in the order of the images or videos

    views: that a batch holds of each video.
    """
    device = device_of_choice()
    model = model.to(device).eval()
    loader = DataLoader(images, batch_size=batch_size, collate_fn=collate)
    bar = tqdm(loader, desc="Predicting", unit=" batches", leave=False, disable=None)
    logits = torch.cat([model(pixel_values=batch["pixel_values"].to(device)).logits.float().cpu() for batch in bar])
    return mean_of_views(logits, views) if views > 1 else logits
