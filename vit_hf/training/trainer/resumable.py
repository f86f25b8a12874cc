"""transformers' Trainer, made to go on after any interruption as if there had been none."""

import json
from collections.abc import Mapping, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from accelerate.utils import broadcast_object_list, gather_object
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.utils.data import Sampler
from transformers import TrainerCallback

from ...data.batches.streaming import StreamedBatches, StreamLoader
from ...errors import UserError
from ...one_writer import one_writer
from ..recipe.yaml_files import read_yaml, write_yaml
from .callbacks import BrokenLoss, Interruption, MetricLog
from .checkpoints import (
    checkpoint_aside,
    checkpoints_in,
    differences,
    newest_complete,
    refuse_damaged_checkpoint,
    remove_leftovers,
    remove_outdated,
)
from .order import EpochOrder, Epochs
from .sharding import sharded_state, whole, whole_state
from .state import Stateful, load_states, random_state, save_states, set_random_state, stateful_callbacks, whole_states

RUN, RECIPE, PROCESSES, OPTIMIZER, SCHEDULER = "run.json", "recipe.yaml", "processes.pt", "optimizer.pt", "scheduler.pt"


class Restored(TrainerCallback):
    """Goes last when training begins, so that nothing begins anew what the checkpoint remembers."""

    def __init__(self, trainer: "ResumableTrainer", checkpoint: Path):
        self.trainer = trainer
        self.checkpoint = checkpoint

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer.restore(self.checkpoint)


class ResumableTrainer(transformers.Trainer):
    """Checkpoints that are whole and hold everything, and a resumed run that is bit for bit the uninterrupted one.

    recipe: kept in every checkpoint, and compared with the one that would resume it.
    resume_anyway: go on with a changed recipe, batch or set of stateful objects.
    stateful: what else the run remembers, by name; callbacks that have a state need not be named here.
    """

    def __init__(self, *args: Any, recipe: Mapping[str, Any] | None = None, resume_anyway: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.recipe = recipe
        self.resume_anyway = resume_anyway
        self.stateful: dict[str, Stateful] = {}
        self.order: EpochOrder | None = None
        self.stream: StreamLoader | None = None
        self.interruption = Interruption()
        self.broken_loss = BrokenLoss(self)
        for callback in (MetricLog(), self.interruption, self.broken_loss, Epochs(self)):
            self.add_callback(callback)

    @property
    def run_folder(self) -> Path:
        return Path(self._get_output_dir(None))

    @property
    def global_batch(self) -> int:
        return self.get_total_train_batch_size(self.args)

    @property
    def order_seed(self) -> int:
        return self.args.data_seed if self.args.data_seed is not None else self.args.seed

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any):
        """resume_from_checkpoint: a checkpoint, or True for the newest that is complete.

        Raises: UserError where another process writes into the folder.
        """
        with one_writer(self.run_folder) if self.is_world_process_zero() else nullcontext():
            return self.train_alone(resume_from_checkpoint, *args, **kwargs)

    def train_alone(self, resume_from_checkpoint: str | bool | None, *args: Any, **kwargs: Any):
        checkpoint = self.agreed_checkpoint(resume_from_checkpoint)
        restored = None
        if checkpoint:
            self.refuse_changes(checkpoint)
            self.args.eval_on_start = False  # the run has had its start
            restored = Restored(self, checkpoint)
            self.add_callback(restored)
        try:
            with self.interruption.listening():
                return super().train(str(checkpoint) if checkpoint else None, *args, **kwargs)
        finally:
            if restored:
                self.pop_callback(restored)

    def agreed_checkpoint(self, asked: str | bool | None) -> Path | None:
        """What process 0 found, which alone reads and checks the files."""
        found: list[str | None] = [None]
        if self.is_world_process_zero():
            remove_leftovers(self.run_folder)
            if asked is True:
                newest = newest_complete(self.run_folder)
                print(f"Resuming from {newest}." if newest else f"No checkpoint in {self.run_folder}: from the start.")
                found = [str(newest)] if newest else found
            elif asked:
                refuse_damaged_checkpoint(Path(asked))
                found = [str(asked)]
            elif there := checkpoints_in(self.run_folder):
                raise UserError(
                    f"{self.run_folder} holds checkpoints of an earlier run, up to {there[-1].name}; go on with it "
                    "(--resume), remove them (--overwrite), or choose another --training.output_dir."
                )
        if self.args.world_size > 1:
            broadcast_object_list(found)
        return Path(found[0]) if found[0] else None

    def facts(self) -> dict[str, Any]:
        """What a run must have in common with the checkpoint that it goes on from."""
        data = self.train_dataset
        return {
            "seed": self.order_seed,
            "images_of_one_step": self.global_batch,
            "training_images": len(cast(Sized, data)) if hasattr(data, "__len__") else None,
        }

    def refuse_changes(self, checkpoint: Path) -> None:
        """Raises: UserError that names each difference, unless told to resume anyway."""
        if not (checkpoint / RUN).is_file():
            raise UserError(f"{checkpoint} holds a model only (save_only_model), and nothing to resume from.")
        saved = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))
        changed = differences({"run": saved["facts"]}, {"run": self.facts()})
        if self.recipe is not None and (checkpoint / RECIPE).is_file():
            changed += differences(read_yaml(checkpoint / RECIPE), self.recipe)
        if not changed:
            return
        text = f"The run has changed since {checkpoint}: " + "; ".join(changed)
        if not self.resume_anyway:
            raise UserError(f"{text}. Undo the change, or go on all the same with --resume-anyway.")
        print(f"{text}. Going on all the same.")

    def _init_training_state(
        self, max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
    ):
        """A run that had ended takes no step more: transformers, which asks for the end after a step, would."""
        epochs, steps = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        if resume_from_checkpoint is not None and self.had_ended(Path(resume_from_checkpoint), max_steps):
            return num_train_epochs, 0
        return epochs, steps

    def had_ended(self, checkpoint: Path, max_steps: int) -> bool:
        """By its number of steps, or before by a callback, unless told to go on anyway."""
        if self.state.global_step >= max_steps:
            return True
        run = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))
        return run.get("stopped", False) and not self.resume_anyway

    @property
    def stopped_early(self) -> bool:
        """Whether a callback, such as early stopping, has asked for the end."""
        return self.control.should_training_stop and self.state.global_step < self.state.max_steps

    # Saving

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self.store_flos()
        step, root = self.state.global_step, Path(self._get_output_dir(trial))
        folder = root / f"checkpoint-{step}"
        if best := self.state.best_global_step:
            best_folder = root / f"checkpoint-{best}"
            if best == step or best_folder.is_dir():
                self.state.best_model_checkpoint = str(best_folder)
        with checkpoint_aside(folder, writes=self.args.should_save) as aside:
            self.save_model(str(aside), _internal_call=True)
            if not self.args.save_only_model or self.interruption.stopping:
                self.save_run(aside)
        if self.args.world_size > 1:
            self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(folder))
        if self.args.should_save:
            best_folders = [Path(self.state.best_model_checkpoint)] if self.state.best_model_checkpoint else []
            remove_outdated(root, step, self.args.save_total_limit, best_folders)

    def save_run(self, folder: Path) -> None:
        """Everything but the model. All processes come here, and the first one writes."""
        optimizer = whole_state(cast(Any, self.optimizer).state_dict())
        scheduler = cast(Any, self.lr_scheduler).state_dict()
        states = whole_states(self.all_stateful())
        own = {"random": random_state(self.args.device), "loss": self._tr_loss.cpu()}
        if self.stream is not None:
            own["stream"] = self.stream.state_dict()
        processes = gather_object([own]) if self.args.world_size > 1 else [own]
        if not self.args.should_save:
            return
        torch.save(optimizer, folder / OPTIMIZER)
        torch.save(scheduler, folder / SCHEDULER)
        torch.save(processes, folder / PROCESSES)
        self._save_scaler(str(folder))
        save_states(states, folder)
        self.state.save_to_json(str(folder / "trainer_state.json"))
        sums = {"loss": self._total_loss_scalar, "last_report": self._globalstep_last_logged}
        run = {"facts": self.facts(), "sums": sums, "stopped": self.stopped_early}
        (folder / RUN).write_text(json.dumps(run) + "\n", encoding="utf-8")
        if self.recipe is not None:
            write_yaml(folder / RECIPE, dict(self.recipe))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Sharded weights are saved whole, as any number of processes can read them."""
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)
            return
        model: Any = self.model
        self._save(output_dir, {name: whole(tensor).cpu() for name, tensor in model.state_dict().items()})
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save(output_dir, state_dict)
        # A pickle has no place in a folder that strangers load; the recipe says the same.
        (Path(output_dir or str(self.args.output_dir)) / "training_args.bin").unlink(missing_ok=True)

    # Resuming

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        self.load_weights(Path(resume_from_checkpoint), model)

    def _load_best_model(self) -> None:
        best = Path(str(self.state.best_model_checkpoint))
        refuse_damaged_checkpoint(best)
        self.load_weights(best)

    def load_weights(self, folder: Path, model: nn.Module | None = None) -> None:
        """Every tensor, or an error that names those which do not fit: transformers loads what it can."""
        files = sorted(folder.glob("model*.safetensors"))
        if not files:  # adapters of PEFT, which bring a loader of their own
            super()._load_from_checkpoint(str(folder), model)
            return
        model = self.model if model is None else model
        weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
        try:
            if self.is_fsdp_enabled:
                options = StateDictOptions(full_state_dict=True, strict=True)
                set_model_state_dict(model, weights, options=options)  # pyright: ignore[reportArgumentType]
            else:
                model.load_state_dict(weights, strict=True)  # pyright: ignore[reportOptionalMemberAccess]
        except RuntimeError as error:
            raise UserError(f"The weights of {folder} are not those of this model: {error}") from error

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        folder, optimizer = Path(checkpoint), cast(Any, self.optimizer)
        state = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True)
        optimizer.load_state_dict(sharded_state(state, optimizer))
        cast(Any, self.lr_scheduler).load_state_dict(torch.load(folder / SCHEDULER, weights_only=True))

    def restore(self, checkpoint: Path) -> None:
        """What a run adds up along the way, in itself and in what else it remembers."""
        load_states(self.all_stateful(), checkpoint, anyway=self.resume_anyway)
        sums = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))["sums"]
        self._total_loss_scalar, self._globalstep_last_logged = sums["loss"], sums["last_report"]
        processes = self.saved_processes(checkpoint)
        if self.stream is not None:
            self.stream.load_state_dict(processes[min(self.args.process_index, len(processes) - 1)]["stream"])
        losses = [process["loss"] for process in processes]
        same = len(losses) == self.args.world_size
        loss = losses[self.args.process_index] if same else torch.stack(losses).mean()
        self._tr_loss = loss.to(self._tr_loss.device, self._tr_loss.dtype)

    def all_stateful(self) -> dict[str, Stateful]:
        named = list(map(id, self.stateful.values()))
        others = [callback for callback in self.callback_handler.callbacks if id(callback) not in named]
        return {**self.stateful, **stateful_callbacks(others)}

    def saved_processes(self, checkpoint: Path) -> list[dict[str, Any]]:
        return torch.load(checkpoint / PROCESSES, map_location="cpu", weights_only=True)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        processes, own = self.saved_processes(Path(checkpoint)), self.args.process_index
        if own < len(processes):
            set_random_state(processes[own]["random"], self.args.device)
        else:  # more processes than there were
            transformers.set_seed(self.args.seed + self.state.global_step + own)

    # The rest of what must be the same

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        data = self.train_dataset if train_dataset is None else train_dataset
        if not hasattr(data, "__len__") or getattr(self.args, "train_sampling_strategy", "random") != "random":
            return super()._get_train_sampler(train_dataset)
        images, drop_last = len(cast(Sized, data)), self.args.dataloader_drop_last
        batch, repeats = self.global_batch, getattr(data, "repeats", 1)
        labels = np.asarray(cast(Any, data).labels) if getattr(data, "balanced", False) else None
        self.order = EpochOrder(
            images, batch=batch, seed=self.order_seed, drop_last=drop_last, repeats=repeats, labels=labels
        )
        return self.order

    def get_train_dataloader(self) -> Any:
        if not isinstance(self.train_dataset, StreamedBatches):
            return super().get_train_dataloader()
        self.args.ignore_data_skip = True  # a stream goes to its position, and reads nothing to get there
        workers = self.args.dataloader_num_workers
        self.stream = StreamLoader(self.train_dataset, num_workers=workers, pin_memory=self.args.dataloader_pin_memory)
        return self.stream

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "train_loss" in logs:  # of all steps, and not of those since the run was resumed
            logs["train_loss"] = self._total_loss_scalar / max(self.state.global_step, 1)
        super().log(logs, start_time)
