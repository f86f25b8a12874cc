"""A model behind a queue: files are prepared one by one by several threads, and answered by one, many at a time."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import chain
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError, first_line
from ..exporting.exported import Pictures
from ..files import name_for_others
from ..modality import modality_of
from ..models.shapes import pair
from ..publishing.load_classifier import label_names_of, load_classifier
from ..runs.evaluate import device_of_choice, refuse_broken_answers
from ..runs.predict import answers_of

Prepared = Tensor | Pictures


class ServedModel:
    """A classifier of images or videos, of PyTorch or exported, with all that makes answers of files.

    Raises: UserError for a model that cannot be loaded, has no labels, or fails over an empty image.
    """

    def __init__(self, name: str, *, top: int, max_pixels: int, trust_remote_code: bool = False):
        model, processor = load_classifier(name, trust_remote_code=trust_remote_code)
        self.name, self.top, self.config = name_for_others(name), top, model.config
        self.modality = modality_of(model.config)
        self.labels = label_names_of(model)
        one_view = self.modality.views(None)
        self.predictor = self.modality.predictor(model.to(device_of_choice()).eval(), processor, one_view, max_pixels)
        self.warm_up()

    def warm_up(self) -> None:
        """A still is an image, and a video of one frame."""
        height, width = pair(getattr(self.config, "image_size", None) or 224)
        blank = BytesIO()
        Image.new("L", (width, height)).save(blank, "PNG")
        try:
            self.answers(self.answer([self.prepare(blank.getvalue(), "an empty image")])[0])
        except Exception as error:
            raise UserError(f"{self.name} does not answer for an empty image: {first_line(error)}") from error

    def prepare(self, data: bytes, name: str) -> Prepared:
        """The bytes of a file -> 1 (t) c h w, or its picture where the graph prepares it. Raises: UnreadableImage."""
        return self.predictor.prepare([self.predictor.read(data, name)])

    def answer(self, items: Sequence[Prepared]) -> Tensor:
        """What is prepared, all of one size -> b labels"""
        pictures = [one for one in items if isinstance(one, Pictures)]
        tensors = [one for one in items if isinstance(one, Tensor)]
        return self.predictor.answer(Pictures(chain.from_iterable(pictures)) if pictures else torch.cat(tensors))

    def answers(self, logits: Tensor) -> list[dict[str, Any]]:
        """labels -> as `vit-hf predict --json` says them. Raises: UserError where they are no numbers."""
        refuse_broken_answers(logits[None])
        return answers_of(logits, self.labels, self.config, self.top)


class Waiting(NamedTuple):
    """What is prepared, since when it waits on the clock of the loop, and where its labels are wanted."""

    item: Prepared
    since: float
    logits: asyncio.Future[Tensor]


class Batcher:
    """Prepared items -> their logits, of several at once what the model answers for all of them together.

    answer: items of one size -> b labels. largest: items in a batch. wait: seconds that the first of a batch waits for
    others. seen: is told the size of each batch.
    """

    def __init__(
        self, answer: Callable[[Sequence[Prepared]], Tensor], *, largest: int, wait: float, seen: Callable[[int], Any]
    ) -> None:
        self.answer, self.largest, self.wait, self.seen = answer, largest, wait, seen
        self.queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self.thread = ThreadPoolExecutor(1, "model")

    async def __call__(self, item: Prepared) -> Tensor:
        """-> labels"""
        loop = asyncio.get_running_loop()
        waiting = Waiting(item, loop.time(), loop.create_future())
        self.queue.put_nowait(waiting)
        return await waiting.logits

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            batch = [one for one in await self.collect() if not one.logits.done()]  # but for those who gave up
            for alike in of_one_size(batch):
                await self.answer_together(alike)

    async def collect(self) -> list[Waiting]:
        """What waits already, and what comes as long as the first may wait."""
        batch = [await self.queue.get()]
        try:
            async with asyncio.timeout_at(batch[0].since + self.wait):
                while len(batch) < self.largest:
                    batch.append(await self.queue.get())
        except TimeoutError:
            pass
        return batch

    async def answer_together(self, batch: Sequence[Waiting]) -> None:
        self.seen(len(batch))
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self.thread, self.answer, [one.item for one in batch]
            )
        except Exception as error:  # noqa: BLE001, whoever asked is told, and the next batch is another
            for one in batch:
                if not one.logits.done():
                    one.logits.set_exception(error)
            return
        for one, logits in zip(batch, found, strict=True):
            if not one.logits.done():
                one.logits.set_result(logits)


def of_one_size(batch: Sequence[Waiting]) -> list[list[Waiting]]:
    """In groups that fit into one tensor, for some processors leave images the shape that they are."""
    groups: dict[torch.Size | None, list[Waiting]] = {}
    for one in batch:
        groups.setdefault(None if isinstance(one.item, Pictures) else one.item.shape, []).append(one)
    return [*groups.values()]
