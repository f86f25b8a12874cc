"""The images that were not decoded before the first step, while training goes on."""

from collections.abc import Mapping
from threading import Event, Thread, main_thread

from transformers import TrainerCallback

from ...data.batches.checks import keys_of, remember_decoded
from ...data.batches.dataset import ImageBatches
from ...data.batches.load_batches import describe_unreadable
from ...data.decode.files import UnreadableImage


class DecodingCheck(TrainerCallback):
    """Those to train on are decoded as they come up. The others come up late, those to test on at the very end: the
    first process decodes them beside the training, so that a broken one is told early. What could be decoded is
    remembered for the next run.

    Raises, in training: UnreadableImage.
    """

    def __init__(self, batches: Mapping[str, ImageBatches]):
        self.batches = batches
        self.asked = {split: images.undecoded.clone() for split, images in batches.items()}
        self.unreadable: dict[str, list[str]] = {}
        self.stop = Event()
        self.thread: Thread | None = None

    @property
    def needed(self) -> bool:
        return any(bool(asked.any()) for asked in self.asked.values())

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.thread = Thread(target=self.decode_held_out, name="decoding check")
            self.thread.start()

    def decode_held_out(self) -> None:
        for split, images in self.batches.items():
            if split == "train":
                continue
            for row in self.asked[split].nonzero().flatten().tolist():
                if self.stop.is_set() or not main_thread().is_alive():
                    return
                try:
                    if images.undecoded[row]:
                        images.readable(row, None)
                except UnreadableImage as error:
                    self.unreadable.setdefault(split, []).append(str(error))

    def on_step_end(self, args, state, control, **kwargs):
        for split, lines in list(self.unreadable.items()):
            self.stop.set()
            found = describe_unreadable(lines, len(self.batches[split]), f"images of the {split} split")
            raise UnreadableImage(
                f"{found}\nThis was found while training went on. Repair or remove them, or leave them out with "
                "--data.on_error skip."
            )

    def on_epoch_end(self, args, state, control, **kwargs):
        self.remember()

    def on_train_end(self, args, state, control, **kwargs):
        self.stop.set()
        if self.thread is not None:
            self.thread.join()
        self.remember()

    def remember(self) -> None:
        for split, images in self.batches.items():
            done = (self.asked[split] & ~images.undecoded).nonzero().flatten().tolist()
            if done:
                remember_decoded(keys_of(images.table.select(done)))
                self.asked[split][done] = False
