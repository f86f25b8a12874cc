"""transformers' Trainer, fed with images: bytes from the loader, pixels on the device, and a look at who waits."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import EvalPrediction
from transformers.trainer_callback import ProgressCallback

from ...data.batches.dataset import ImageBatches, RawBatches, collate, in_sentences
from ...data.batches.streaming import StreamedBatches, StreamedImages
from ...errors import UserError
from ...fewer_tokens.put_on import every_token, use_fewer_tokens
from ..ema import MovingAverage
from ..lora import add_adapters, merge_adapters
from ..losses import Teacher, build_objective
from ..masking import MaskedImages
from ..metrics.measure import Evaluated
from ..optimizer import (
    forget_trunk_gradients,
    freeze_parameters,
    frozen_modules,
    parameter_groups,
    timm_optimizer,
)
from ..problem import Problem, figure_names, in_digits
from ..progressive_resizing import refuse_unfit, resized
from ..recipe.optimization import OptimizationSettings
from ..recipe.selection import refuse_unknown_metric
from ..targets import settle_targets
from ..throughput import DataMeter, Speedometer
from .early_stopping import EarlyStopping
from .muon import Muon
from .out_of_memory import out_of_memory, out_of_memory_in_evaluation
from .resumable import ResumableTrainer
from .sharding import shard_by_layers
from .state import load_states

logger = logging.getLogger(__name__)


def finisher(data: Any) -> Callable[[Any], Any] | None:
    """What makes pixels of the raw batches of this data, on the device; None where batches come finished."""
    images = data.prepare if isinstance(data, StreamedBatches) else data
    return images.finish if isinstance(images, ImageBatches | StreamedImages | MaskedImages) else None


class FeedingTrainer(ResumableTrainer):
    """Of `ImageBatches` and `StreamedImages` the loader hands out bytes, which become pixels on the device (see
    data/device.py).

    The logs hold `data_wait`, the share of the time in which the model waited for data.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.data_meter = DataMeter()

    def _get_dataloader(self, dataset, *args: Any, **kwargs: Any):
        if isinstance(dataset, ImageBatches | MaskedImages) and finisher(self.train_dataset) is not None:
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
        """Raises: OutOfMemory where a batch of an evaluation or a prediction does not fit."""
        self.data_meter.pause()
        try:
            return super().evaluation_loop(*args, **kwargs)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise out_of_memory_in_evaluation(self, error) from error


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """The share of images whose largest logit is the right one."""
    logits: Any = prediction.predictions
    return {"accuracy": float((logits.argmax(-1) == prediction.label_ids).mean())}


def figures_measured(compute_metrics: Any) -> list[str]:
    """What an evaluation of ours measures."""
    if isinstance(compute_metrics, Evaluated):
        return figure_names(compute_metrics.problem.problem_type, len(compute_metrics.problem.names))
    return ["accuracy", "loss"] if compute_metrics is accuracy else ["loss"]


def images_in(batch: Mapping[str, Any]) -> int:
    """Of a batch that may not have its pixels yet."""
    return len(next(iter(batch.values())))


class ProgressBar(ProgressCallback):
    """One bar with the newest figures in it, instead of a line for every log."""

    def __init__(self, headline: str = "accuracy"):
        super().__init__()
        self.names = ("loss", "eval_loss", f"eval_{headline}", f"eval_ema_{headline}")
        self.figures: dict[str, str] = {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.training_bar is None:
            return
        for name, value in (logs or {}).items():
            if name in self.names:
                self.figures[name] = in_digits(float(value))
        self.training_bar.set_postfix(self.figures)

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.training_bar is None:
            super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)


def prepare_model(model: nn.Module, settings: OptimizationSettings) -> None:
    """Adapters and frozen weights, before anything holds the parameters."""
    if settings.lora is not None:
        add_adapters(model, settings.lora)
    freeze_parameters(model, settings.freeze)


def refuse_contradictions(arguments: transformers.TrainingArguments, settings: OptimizationSettings) -> None:
    """Raises: UserError for two fields of a recipe of which one would undo the other."""
    if arguments.label_smoothing_factor:
        raise UserError(
            "training.label_smoothing_factor fails on labels that are shares, as mixed images have; take "
            f"optimization.label_smoothing: {arguments.label_smoothing_factor:g} instead."
        )


class Trainer(FeedingTrainer):
    """Batches of pixels, figures to watch, and the `optimization:` section of a recipe.

    problem: what is predicted, by which losses, figures and the model's own loss go; without it, one class of each
    image, of which the accuracy is measured.
    """

    model: Any
    optimizer: Any

    def __init__(
        self,
        model: Any = None,
        *args: Any,
        data_collator=collate,
        compute_metrics: Any = accuracy,
        optimization: OptimizationSettings | None = None,
        teacher: Teacher | None = None,
        problem: Problem | None = None,
        **kwargs: Any,
    ):
        self.optimization = optimization or OptimizationSettings()
        self.objective = build_objective(self.optimization, teacher, problem)
        self.problem = problem
        if model is not None:
            self.begin_with(model)
        if problem is not None:
            compute_metrics = Evaluated(problem) if compute_metrics is accuracy else compute_metrics
        super().__init__(model, *args, data_collator=data_collator, compute_metrics=compute_metrics, **kwargs)
        refuse_contradictions(self.args, self.optimization)
        if compute_metrics in (None, accuracy) or isinstance(compute_metrics, Evaluated):
            refuse_unknown_metric(self.args, self.optimization, figures_measured(compute_metrics))
        if self.optimization.early_stopping is not None:
            self.add_callback(EarlyStopping(self.optimization.early_stopping))
        if self.is_fsdp_enabled:
            shard_by_layers(self.accelerator.state.fsdp_plugin, self.model)
        # Losses are means over a batch, also of models that would divide by a number of items if they were told one.
        self.model_accepts_loss_kwargs = False
        self.frozen = frozen_modules(self.model) if self.optimization.freeze != "none" else []
        self.speed = Speedometer(self.model, self.args)
        if resizing := self.optimization.progressive_resizing:
            refuse_unfit(resizing, self.model.config.patch_size)
            self.speed.operations = None  # which differ from step to step
        if self.with_fewer_tokens:
            self.speed.operations = None  # of which there are fewer than it counts
        self.average: MovingAverage | None = None
        if ema := self.optimization.ema:
            self.average = MovingAverage(self.model, decay=ema.decay, warm_up=ema.warm_up)
            self.stateful["ema"] = self.average
            self.add_callback(self.average)
        if not self.args.disable_tqdm:
            self.remove_callback(ProgressCallback)
            self.add_callback(ProgressBar(problem.headline if problem else "accuracy"))

    def call_model_init(self, trial=None) -> Any:
        model = super().call_model_init(trial)
        self.begin_with(model)
        return model

    def begin_with(self, model: Any) -> None:
        """Make ready what is about to be trained."""
        if self.problem is not None:
            settle_targets(model, self.problem)
        prepare_model(model, self.optimization)
        if self.with_fewer_tokens:
            merging, dropped = self.optimization.token_merging, self.optimization.patch_dropout
            use_fewer_tokens(model, merging, evaluation=False, dropped=dropped)

    @property
    def with_fewer_tokens(self) -> bool:
        return self.optimization.token_merging is not None or self.optimization.patch_dropout > 0

    def train(self, *args: Any, **kwargs: Any):
        """Raises: OutOfMemory where a step does not fit into the device, once transformers has tried smaller batches if
        that is wanted (auto_find_batch_size)."""
        try:
            return super().train(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            if not self.model.training:
                raise
            raise out_of_memory(self, error) from error

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device):
        """The batches of one step of the optimizer, and how many images they are."""
        self.speed.start()
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        images = sum(map(images_in, batches))
        self.speed.images += images
        return batches, images

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """In training a batch's share of the mean over all images of the step, so that batches of any size add up."""
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs)
        for part in self.frozen:
            part.eval()  # what learns from features must not find them dropped or disturbed
        if self.objective is None:
            loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
        else:
            loss, outputs = self.objective(model, inputs)
        if num_items_in_batch is not None:
            loss = loss * (len(inputs["pixel_values"]) / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _prepare_inputs(self, inputs):
        inputs = super()._prepare_inputs(inputs)
        if (resizing := self.optimization.progressive_resizing) and self.model.training:
            share = self.state.global_step / max(self.state.max_steps, 1)
            inputs = {**inputs, "pixel_values": resized(inputs["pixel_values"], share, resizing)}
        return inputs

    def training_step(self, model, inputs, num_items_in_batch=None):
        # What transformers would divide by; a loss is a share of the step's mean already. (Its `loss_is_scaled_for_ga`
        # says so too, but 5.17 does not know it.)
        self.current_gradient_accumulation_steps = 1
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.state.global_step < self.optimization.head_only_steps:
            forget_trunk_gradients(self.accelerator.unwrap_model(model))
        return loss

    def create_optimizer(self, model=None):
        """The optimizer that the recipe names, over groups that decay or not and learn as fast as their depth says."""
        if self.optimizer is not None:
            return self.optimizer
        trained = self.model if model is None else model
        word = self.optimization.optimizer
        try:
            if word == "muon":
                kind, keywords = Muon, {"lr": self.args.learning_rate}
            elif word:
                kind, keywords = timm_optimizer(word, self.args)
            else:
                kind, keywords = self.get_optimizer_cls_and_kwargs(self.args, trained)
        except ImportError as error:
            raise UserError(f"training.optim: {self.args.optim}: {error}") from error
        groups = parameter_groups(
            trained,
            self.get_decay_parameter_names(trained),
            learning_rate=self.args.learning_rate,
            weight_decay=self.args.weight_decay,
            layer_decay=self.optimization.layer_decay,
        )
        # What an optimizer chooses itself (a part of the parameters, the whole model) stands.
        self.optimizer_cls_and_kwargs = kind, {"params": groups, **keywords}
        return super().create_optimizer(trained)

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """The model's own weights as `eval_*`; where there is an average of them, it too, as `eval_ema_*`."""
        if isinstance(self.eval_dataset if eval_dataset is None else eval_dataset, dict):
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)  # which comes back for each
        with self.speed.paused():
            figures = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
            if self.average is not None and self.average.updates:
                with self.average.applied_to(self.model):
                    figures |= super().evaluate(eval_dataset, ignore_keys, f"{metric_key_prefix}_ema")
        return figures

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """The loss of the images of the split alone, where processes fill up their last batches with others.

        transformers counts each process's loss once for every image of the whole that falls to it, so it has to be the
        mean over these. Every process looks again, for their models may be shards of one.
        """
        loss, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        state = self.accelerator.gradient_state
        if loss is not None and self.args.world_size > 1 and state.end_of_dataloader and state.remainder > 0:
            each = images_in(inputs)
            own = min(max(state.remainder - each * self.args.process_index, 1), each)
            fewer = {name: values[:own] for name, values in inputs.items()}
            loss = super().prediction_step(model, fewer, True, ignore_keys)[0]
        return loss, logits, labels

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """A figure that is undefined, as the AUROC of a single class, is no better than any before."""
        wanted = self.args.metric_for_best_model
        if wanted is not None and f"eval_{wanted.removeprefix('eval_')}" not in metrics:
            logger.warning(f"{wanted} is undefined on the images of this evaluation, which is therefore not the best.")
            return False
        return super()._determine_best_metric(metrics, trial)

    def _load_best_model(self) -> None:
        """With the average of that time, where one is kept."""
        super()._load_best_model()
        if self.average is not None and not self.args.save_only_model:
            load_states({"ema": self.average}, Path(str(self.state.best_model_checkpoint)), anyway=True)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log({**logs, **self.speed.figures()} if "loss" in logs else logs, start_time)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Counted once; transformers would go through all modules at every step, and count pixels as tokens."""
        return (self.speed.operations or 0) * images_in(inputs)

    def use_final_weights(self) -> None:
        """The model as it is to be saved: the averaged weights where asked for, adapters added in."""
        if hasattr(self.optimizer, "eval") and callable(self.optimizer.eval):
            self.optimizer.eval()  # those without a schedule keep the weights to be used apart
        if self.average is not None and self.average.updates and self.optimization.ema and self.optimization.ema.final:
            self.average.copy_to(self.model)
        if self.optimization.lora is not None:
            merge_adapters(self.model)
        if self.with_fewer_tokens:
            every_token(self.model)
        self.average = None

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices that multiply tokens: not biases, scales, positions, class, mask and register tokens."""
        owners = (nn.Linear, nn.Conv2d)
        return [
            f"{name}.weight" if name else "weight"
            for name, module in model.named_modules()
            if isinstance(module, owners) and isinstance(module.weight, torch.Tensor) and ".relative_bias." not in name
        ]
