"""transformers' Trainer, fed with images: bytes from the loader, pixels on the device, and a look at who waits."""

import logging
from collections.abc import Callable
from typing import Any

from ..data.dataset import ImageBatches, RawBatches
from ..data.faults import in_sentences
from ..data.streamed_images import StreamedImages
from ..data.streaming import StreamedBatches
from .data_meter import DataMeter
from .resuming import ResumableTrainer

logger = logging.getLogger(__name__)


def finisher(data: Any) -> Callable[[Any], Any] | None:
    """What makes pixels of the raw batches of this data, on the device; None where batches come finished."""
    images = data.prepare if isinstance(data, StreamedBatches) else data
    return images.finish if isinstance(images, ImageBatches | StreamedImages) else None


class FeedingTrainer(ResumableTrainer):
    """Of `ImageBatches` and `StreamedImages` the loader hands out bytes, which become pixels on the device (see
    data/device.py).

    The logs hold `data_wait`, the share of the time in which the model waited for data.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.data_meter = DataMeter()

    def _get_dataloader(self, dataset, *args: Any, **kwargs: Any):
        if isinstance(dataset, ImageBatches) and finisher(self.train_dataset) is not None:
            dataset = RawBatches(dataset)
        return super()._get_dataloader(dataset, *args, **kwargs)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        watched = self.data_meter.watch(in_sentences(epoch_iterator))
        return super().get_batch_samples(watched, num_batches, device)

    def _prepare_inputs(self, inputs):
        inputs = super()._prepare_inputs(inputs)
        finish = finisher(self.train_dataset)
        return inputs if finish is None else finish(inputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        share = self.data_meter.share() if "loss" in logs else None
        if share is not None:
            logs = {**logs, "data_wait": round(share, 4)}
        super().log(logs, start_time)
        workers, streamed = self.args.dataloader_num_workers, self.stream is not None
        advice = self.data_meter.advice(share, workers, streamed=streamed)
        if advice is not None and self.is_world_process_zero():
            logger.warning(advice)

    def evaluation_loop(self, *args: Any, **kwargs: Any):
        self.data_meter.pause()
        return super().evaluation_loop(*args, **kwargs)
