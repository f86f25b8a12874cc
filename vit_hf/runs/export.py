"""From a classifier to a folder for another runtime, with a card that says how nearly it is the same there."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cards.export import export_card
from ..conversion.core.preprocessing import stock_processor
from ..conversion.transformers.convert import convert_to_transformers
from ..data.batches.load_batches import reading_of
from ..data.sources.split_record import SPLIT_FILE
from ..data.sources.tables import ImageTable
from ..errors import UserError
from ..exporting.comparison import ExportTrial, Measured
from ..exporting.exported import ExportedClassifier, is_exported
from ..exporting.formats import (
    Order,
    Precision,
    file_name,
    find_format,
    next_command,
    refuse_precisions,
    refuse_sizes,
    size_on_disk,
)
from ..exporting.graphs import PICTURE_INPUT, Graph, graph_of
from ..exporting.runtimes import EXPORT
from ..files import name_for_others, write_json, written_aside
from ..hub.repository import CARD
from ..modality import modality_of
from ..publishing.load_classifier import channels_of, label_names_of, load_classifier
from ..version import __version__
from .evaluate import data_settings, in_the_models_order
from .explained_answers import evenly
from .recognize import choose_images, record_of_model

RECIPE_FILE = "recipe.yaml"
IMAGES_TRIED = 500  # real images, at most
BYTES_TRIED = 400_000_000  # bytes of them
CALIBRATION = 128  # real images, whose ranges int8 takes over
ITEMS_AT_ONCE = 8
RANDOM_PICTURES = ((1, 37, 53), (3, 240, 320), (2, 64, 64))  # so many, where several are taken, of a size


@dataclass(frozen=True)
class ExportResult:
    """What was written. complaints: why it should not be used. next: the command that another tool takes it on with."""

    dest: Path
    files: dict[Precision, str]
    measured: list[Measured]
    open: str
    complaints: list[str]
    next: str | None = None


@dataclass(frozen=True)
class Real:
    """Real images or videos of a split, and as their labels the model's numbers; or none."""

    table: ImageTable
    labels: Tensor | None
    preparation: Any

    def some(self, count: int) -> "Real":
        """Evenly of all of them, and no more than memory is for."""
        count = min(count, len(self.table), max(1, BYTES_TRIED // (4 * self.preparation.bytes_per_image)))
        chosen = evenly(len(self.table), count)
        return replace(
            self, table=self.table.select(chosen), labels=None if self.labels is None else self.labels[chosen]
        )

    def pixel_values(self, index: int) -> Tensor:
        """-> (t) c h w, as the model takes it"""
        return self.preparation.normalize_(self.preparation.pixels(self.table.open(index)).float().div_(255))

    def picture(self, index: int) -> Tensor:
        """-> h w c, bytes"""
        return torch.from_numpy(np.ascontiguousarray(self.table.open(index).pixels(self.preparation.channels)))

    def inputs(self, graph: Graph) -> dict[str, Tensor]:
        """What the graph takes, by name: batches, or picture by picture, which differ in size."""
        numbers = range(len(self.table))
        if graph.inputs == PICTURE_INPUT:
            pictures = ((number, self.picture(number)) for number in numbers)
            return {f"real {number}": picture[None] if graph.batched else picture for number, picture in pictures}
        groups = (numbers[start : start + ITEMS_AT_ONCE] for start in numbers[::ITEMS_AT_ONCE])
        return {f"real {group[0]}": torch.stack([self.pixel_values(number) for number in group]) for group in groups}


def export(
    model_name: str,
    dest: Path,
    to: str = "onnx",
    *,
    precisions: Sequence[Precision] = ("float32",),
    preprocessing: bool = False,
    batched: bool = False,
    heat: bool = False,
    fixed_size: bool = False,
    data: str | None = None,
    images: int = IMAGES_TRIED,
    allow_difference: bool = False,
    overwrite: bool = False,
    trust_remote_code: bool = False,
) -> ExportResult:
    """Write a classifier into the new folder `dest`, a file for each precision, and try each in its own runtime.

    to: of `exporting.formats`. preprocessing, batched, heat, fixed_size: as `graph_of`. data: real images to try it on,
    as `data.name` of a recipe; None for the test images of the model's own recipe, if there are any. images: at most so
    many of them. allow_difference: whether what differs too much is kept all the same.

    Raises: UserError for a model that cannot be loaded or written so, a runtime that is missing or fails, and a folder
    that is there already.
    """
    format_, handed = find_format(to)
    refuse_precisions(to, format_, precisions)
    refuse_unexported(dest, overwrite=overwrite)
    model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
    if isinstance(model, ExportedClassifier):
        raise UserError(f"{model_name} is an exported folder; export the model that it was made of.")
    refuse_sizes(to, format_, precisions, sum(weights.numel() for weights in model.parameters()))
    model = model.eval()
    closed = fixed_size or not format_.opens_sizes
    graph = graph_of(model, processor, preprocessing=preprocessing, batched=batched, heat=heat, fixed_size=closed)
    real = images_to_try(model_name, model, processor, data)
    if "int8" in precisions and format_.calibrated and real is None:
        raise UserError(f"int8 for {to} is measured out on real images; name some with --data.")
    names = label_names_of(model)
    metadata = {
        "labels": names,
        "problem_type": model.config.problem_type or "single_label_classification",
        "preprocessing": processor.to_dict(),
    }
    trial = trial_of(model, graph, real.some(images) if real and images else None)
    calibration = calibration_of(graph, real) if format_.calibrated and real else ()
    with written_aside(dest, replace=overwrite) as folder, tempfile.TemporaryDirectory() as scratch:
        save_facts(*(stock_of(model, processor) if format_.stock else (model.config, processor)), folder)
        for name in (RECIPE_FILE, SPLIT_FILE):  # which images it may be evaluated on
            if (known := Path(model_name) / name).is_file():
                shutil.copy(known, folder)
        files: dict[Precision, str] = {precision: file_name(format_, precision) for precision in precisions}
        record = {
            "format": to if handed is None else handed.of,
            "runtime": format_.runtime,
            "file": files[precisions[0]],
            "precision": precisions[0],
            "files": files,
            "input": graph.inputs,
            "outputs": graph.outputs,
            "open": graph.open,
            "preprocessing": preprocessing,
            "batched": graph.batched,
            "source": name_for_others(model_name),
            "vit_hf": __version__,
        }
        write_json(folder / EXPORT, record)
        order = Order(graph, metadata, calibration)
        measured = []
        for precision, name in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            format_.write(order, precision, folder / name, Path(scratch))
            measured.append(trial.measure(folder, name, precision, size_on_disk(folder / name)))
        complaints = [said for one in measured if (said := one.complaint())]
        if complaints and not allow_difference:
            raise UserError(
                f"{'; '.join(complaints)}. Nothing is written to {dest}; --allow-difference writes it all the same."
            )
        write_json(folder / EXPORT, {**record, "measured": [asdict(one) for one in measured]})
        export_card(dest.name, record, measured, names, model.config).save(folder / CARD)
    shape = modality_of(model.config).input_shape(model.config)
    command = None if handed is None else next_command(handed, dest / files[precisions[0]], graph.inputs, shape)
    return ExportResult(dest, files, measured, graph.open, complaints, command)


def refuse_unexported(dest: Path, *, overwrite: bool) -> None:
    """Raises: UserError for a folder with anything in it, but an earlier export where that may go."""
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return
    if not overwrite or not dest.is_dir():
        raise UserError(f"{dest} is there already; name a new folder, remove it first, or say --overwrite.")
    if not is_exported(dest):
        raise UserError(f"{dest} holds something else than an earlier export, which stays; name a new folder.")


def stock_of(model: Any, processor: Any) -> tuple[Any, Any]:
    """-> configuration and processor of transformers' own model that is the same function

    Raises: UserError where transformers has none.
    """
    try:
        twin, _ = convert_to_transformers(model)
        stock, changes = stock_processor(processor)
        if stock is None:
            raise UserError(f"{changes[0]}.")
        twin.config.architectures = [type(twin).__name__]
    except UserError as error:
        raise UserError(
            f"Transformers.js knows the models of transformers, and this one is none of them: {error} "
            "`vit-hf demo MODEL --static DEST` makes a page that runs it in a browser without Transformers.js."
        ) from error
    return twin.config, stock


def save_facts(config: Any, processor: Any, folder: Path) -> None:
    """config.json and preprocessor_config.json, without the code that a model brought."""
    said = config.to_dict()
    write_json(folder / "config.json", {name: said[name] for name in said if name != "auto_map"})
    processor.save_pretrained(folder)
    for code in folder.glob("*.py"):
        code.unlink()


def images_to_try(model_name: str, model: Any, processor: Any, data: str | None) -> Real | None:
    """Those that are named, or the test images of the model's own recipe; None where nothing is known of any.

    Raises: UserError for data that is named and cannot be read, or has other labels.
    """
    recipe, record = Path(model_name) / RECIPE_FILE, record_of_model(model_name)
    if data is None and not recipe.is_file():
        return None
    settings, modality = data_settings(model_name, data, (), record), modality_of(model.config)
    preparation = modality.preparation(processor, channels_of(model.config))
    try:
        chosen = choose_images(settings, None, modality, record, own=data is None)
    except UserError:
        if data is not None:
            raise
        return None  # the images of a recipe that came from another machine
    table = in_the_models_order(chosen.table, chosen.label_names, label_names_of(model))
    table = replace(table, reading=reading_of(settings, preparation))
    classes = table.labels.ndim == 1
    return Real(table, torch.from_numpy(table.labels) if classes else None, preparation)


def trial_of(model: Any, graph: Graph, real: Real | None) -> ExportTrial:
    """Random inputs of the configured size and of others, and all real ones, with what PyTorch says to each."""
    inputs = {**random_inputs(model, graph), **(real.inputs(graph) if real else {})}
    module = graph.module.eval()
    with torch.inference_mode():
        expected = {name: [output.clone() for output in module(value)] for name, value in inputs.items()}
    classes = (model.config.problem_type or "single_label_classification") == "single_label_classification"
    return ExportTrial(inputs, expected, graph.outputs, classes, real.labels if real and classes else None)


def random_inputs(model: Any, graph: Graph) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = modality_of(model.config).input_shape(model.config)
    if graph.inputs == PICTURE_INPUT:
        sizes = RANDOM_PICTURES if graph.batched else [size[1:] for size in RANDOM_PICTURES]
        return {
            f"random {size}": torch.randint(256, (*size, shape[0]), generator=generator, dtype=torch.uint8)
            for size in sizes
        }
    found = {"random": torch.randn(ITEMS_AT_ONCE, *shape, generator=generator)}
    found["random, one"] = torch.randn(1, *shape, generator=generator)
    other = tuple(graph.example.shape[1:])
    return found if other == shape else {**found, "random, other size": torch.randn(3, *other, generator=generator)}


def calibration_of(graph: Graph, real: Real) -> list[np.ndarray]:
    return [values.numpy() for values in real.some(CALIBRATION).inputs(graph).values()]
