"""Pushing while a model is trained. A Hub that fails costs a warning, and nothing of the training."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from transformers import TrainerCallback
from transformers.trainer_utils import HubStrategy

from ..cards.short import short_card
from ..hub.attempts import is_transient
from ..hub.errors import FAILED_REQUEST
from ..hub.push import Pushed, full_name, push_files
from ..hub.repository import CARD, repository_files

logger = logging.getLogger(__name__)

LAST = "last-checkpoint"  # where transformers looks for a checkpoint to go on from


class HubPush(TrainerCallback):
    """What `push_to_hub: true` asks for, by the `hub_*` fields of the training arguments.

    Every push takes a snapshot of the checkpoint first, and goes on beside the training. One that finds another still
    under way is left out, unless `hub_always_push`.
    """

    def __init__(self, arguments: Any):
        self.repo_id = arguments.hub_model_id or Path(arguments.output_dir).resolve().name
        self.strategy = HubStrategy(arguments.hub_strategy)
        self.always = arguments.hub_always_push
        self.options: dict[str, Any] = {
            "token": arguments.hub_token,
            "private": bool(arguments.hub_private_repo),
            "branch": arguments.hub_revision,
        }
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="push")
        self.under_way: Future | None = None
        self.warned = False

    @classmethod
    def asked_for(cls, arguments: Any) -> "HubPush | None":
        """In place of transformers' own pushing, which leaves code and card out, and stops where the Hub does.

        Raises: UserError for a token or an id that no later push could succeed with.
        """
        if not arguments.push_to_hub:
            return None
        arguments.push_to_hub = False
        if arguments.process_index != 0:
            return None
        push = cls(arguments)
        try:
            push.repo_id = full_name(HfApi(token=arguments.hub_token), push.repo_id)
        except ValueError as error:
            if not (isinstance(error.__cause__, FAILED_REQUEST) and is_transient(error.__cause__)):
                raise
            push.warn(error)
        return push

    def warn(self, error: Exception) -> None:
        if not self.warned:
            logger.warning("%s The training goes on, and everything is pushed at its end.", error)
        self.warned = True

    def on_save(self, args, state, control, model=None, **kwargs):
        busy = self.under_way is not None and not self.under_way.done()
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self.strategy == HubStrategy.END or not checkpoint.is_dir() or (busy and not self.always):
            return
        progress = f"step {state.global_step:,} of {state.max_steps:,}"
        note = f"Its training is under way ({progress}). At the end a whole card takes the place of this one."
        card = str(short_card(model, self.repo_id, note=note)).encode()
        snapshot = tempfile.TemporaryDirectory(dir=args.output_dir, prefix=".push-")
        shutil.copytree(checkpoint, snapshot.name, copy_function=link_or_copy, dirs_exist_ok=True)
        self.under_way = self.worker.submit(
            self.push_snapshot, snapshot, checkpoint.name, card, f"Training, {progress}"
        )

    def push_snapshot(self, snapshot: tempfile.TemporaryDirectory, name: str, card: bytes, message: str) -> None:
        with snapshot as place:
            try:
                folder = Path(place)
                files: dict[str, Path | bytes] = {**model_files(folder), CARD: card}
                if self.strategy != HubStrategy.EVERY_SAVE:
                    inside = LAST if self.strategy == HubStrategy.CHECKPOINT else name
                    every = [path for path in folder.rglob("*") if path.is_file()]
                    files |= {f"{inside}/{path.relative_to(folder).as_posix()}": path for path in every}
                self.send(files, message, inside=LAST if self.strategy == HubStrategy.CHECKPOINT else None)
            except Exception as error:  # noqa: BLE001 (whatever it is, it must not reach the training)
                self.warn(error)

    def send(self, files: Mapping[str, Path | bytes], message: str, *, inside: str | None = None) -> Pushed:
        def replaces(path: str) -> bool:
            folder, _, name = path.rpartition("/")
            return folder == inside or (not folder and name.endswith((".py", ".safetensors", ".index.json")))

        return push_files(files, self.repo_id, message=message, replaces=replaces, **self.options)

    def finish(self, files: Mapping[str, Path | bytes]) -> Pushed:
        """The finished model, after what is under way. Raises: UserError, as `push_files`."""
        self.worker.shutdown(wait=True)
        return self.send(files, "End of training")


def model_files(checkpoint: Path) -> dict[str, Path]:
    """Of a checkpoint the model alone, which loads by itself."""
    return {name: checkpoint / name for name in repository_files(checkpoint, card=False, finished=False)}


def link_or_copy(source: str, target: str) -> None:
    """A second name for the same content, so that a checkpoint may be rotated away while it is sent."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
