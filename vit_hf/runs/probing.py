"""The rung below fine-tuning: logistic regression on frozen features, which is measured first, and kept if better."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.batches.dataset import ImageBatches, collate
from ..training.probe import Probe, fit_probe
from ..training.trainer.trainer import Trainer
from .prepared_run import PreparedRun
from .review import name_cut_duplicates


@dataclass(frozen=True)
class Rung:
    """probe: as it was fitted. state: the model that says what it says."""

    probe: Probe
    state: dict[str, Tensor]

    def keep_the_better(self, trainer: Trainer, validation: ImageBatches) -> dict[str, Any]:
        """Compare with what training led to, on validation, and go back where it led down. -> both figures"""
        found = trainer.evaluate(validation, metric_key_prefix="fine_tuned")["fine_tuned_accuracy"]  # pyright: ignore[reportArgumentType]
        kept = "probe" if found < self.probe.accuracy else "fine-tuned"
        if kept == "probe":
            trainer.model.load_state_dict(self.state)
        comparison = (
            "did not pay, and is undone" if kept == "probe" else "pays" if found > self.probe.accuracy else "is even"
        )
        print(
            f"Fine-tuning {comparison}: {found:.2%} on validation, and logistic regression on the frozen features "
            f"{self.probe.accuracy:.2%}.",
            flush=True,
        )
        return {"probe_accuracy": self.probe.accuracy, "fine_tuned_accuracy": found, "kept": kept}


@torch.inference_mode()
def features_of(model: Any, images: ImageBatches, *, batch_size: int) -> Tensor:
    """-> b d, on the CPU: what the classifier reads of each image, without augmentation"""
    plain, found = ImageBatches(images.table, images.preparation, on_error=images.on_error), []
    plain.undecoded = images.undecoded  # what is decoded here need not be once more, to see whether it can be
    loader = DataLoader(plain, batch_size=batch_size, collate_fn=collate)
    reading = model.classifier.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].float().cpu()))
    try:
        model.eval()
        for batch in tqdm(loader, desc="Reading features", unit=" batches", leave=False, disable=None):
            model(pixel_values=batch["pixel_values"].to(model.device))
    finally:
        reading.remove()
    return torch.cat(found)


def begin_from_probe(prepared: PreparedRun, trainer: Trainer) -> Rung | None:
    """Let the classifier begin with a logistic regression on the frozen features, the best of several on validation.

    None where the recipe does not ask for it, or there is nothing pretrained to read, or nothing to choose by.
    """
    model, batches = trainer.model, prepared.batches
    asked = prepared.recipe.optimization.probe and prepared.loaded is not None and prepared.stream is None
    asked = asked and prepared.data.problem_type == "single_label_classification"
    if not asked or "validation" not in batches or not isinstance(getattr(model, "classifier", None), nn.Linear):
        return None
    size = trainer.args.per_device_eval_batch_size
    # Those to test on are seen here without their labels, to say whether they are among the others.
    parts = [part for part in ("train", "validation", "test") if part in batches]
    read = {part: features_of(model, batches[part], batch_size=size) for part in parts}
    name_cut_duplicates(prepared, read)
    labels = {part: batches[part].labels for part in read}
    classes = len(prepared.data.label_names)
    probe = fit_probe(read["train"], labels["train"], read["validation"], labels["validation"], classes)
    probe.begin(model.classifier)
    print(
        f"Logistic regression on the frozen features: {probe.accuracy:.2%} on validation. Training begins there.",
        flush=True,
    )
    return Rung(probe, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()})
