"""A folder that any web server can serve, and that classifies images in the browser: page, model, runtime, examples."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from transformers import AutoConfig

from ..data.decode.resize import Sizing
from ..errors import UserError
from ..exporting.exported import is_exported
from ..exporting.graphs import PROBABILITIES
from ..exporting.runtimes import EXPORT
from ..families import find_family
from ..files import name_for_others, read_json, refuse_no_folder, write_json, written_aside
from ..modality import modality_of
from ..models.shapes import pair
from ..publishing.load_classifier import channels_of, model_folder, refuse_strange_folder
from ..runs.export import export
from ..training.calibration import MULTI_LABEL
from .exhibits import examples_beside, refuse_no_head, save_shown
from .npm import RUNTIME, NpmPackage, archive_of, take_out
from .showing import SHOWING

PAGE_FILES = Path(__file__).parent / "page"
SETTINGS, GRAPH_FILE = "settings.json", "model.onnx"
# Under names that every server knows: .mjs is no program to some.
RUNTIME_FILES = {
    "ort.js": "package/dist/ort.wasm.bundle.min.mjs",
    "ort.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
NOTICE = "{} {}, of Microsoft Corporation, under the MIT License: https://github.com/microsoft/onnxruntime\n"
STOPS = 64  # colors from cold to hot
LARGEST_GRAPH = 2**31  # bytes that a browser's memory for programs takes


@dataclass(frozen=True)
class StaticPage:
    """A folder that was written. bytes: of its files. examples: how many it shows."""

    folder: Path
    bytes: int
    examples: int


def write_static_page(
    model_name: str,
    dest: Path,
    *,
    title: str | None = None,
    examples: Sequence[Path] = (),
    package: NpmPackage = RUNTIME,
    trust_remote_code: bool = False,
) -> StaticPage:
    """Write the page of a model, or of a folder that it was exported to with its preprocessing, into the folder `dest`.

    Raises: UserError for a folder with something in it, a model that a browser cannot run, and what npm does not fetch.
    """
    refuse_full_folder(dest)
    runtime = archive_of(package)
    with exported_for_browsers(model_name, trust_remote_code=trust_remote_code) as exported:
        return assemble(
            exported,
            dest,
            runtime,
            package=package,
            title=title or name_for_others(model_name),
            examples=examples,
            beside=model_name,
        )


def refuse_full_folder(dest: Path) -> None:
    refuse_no_folder(dest, "--static")
    if dest.is_dir() and any(dest.iterdir()):
        raise UserError(f"The folder {dest} is not empty; name another, or remove what is in it.")


@contextmanager
def exported_for_browsers(model_name: str, *, trust_remote_code: bool) -> Iterator[Path]:
    """-> a folder with a graph from bytes to probabilities: the one that is named, or one made of a model"""
    if is_exported(Path(model_name)):
        yield Path(model_name)
        return
    refuse_strange_folder(model_name)
    given = model_folder(model_name, code=trust_remote_code)
    config = AutoConfig.from_pretrained(given, trust_remote_code=trust_remote_code)
    refuse_no_head(config, model_name)
    modality = modality_of(config)
    if not SHOWING[modality].on_pages:
        raise UserError(
            f"{model_name} takes {modality.plural}, and a page that runs in the browser alone takes images; leave "
            "--static out, and the app takes them."
        )
    refuse_large_model(sum(file.stat().st_size for file in given.glob("model*.safetensors")))
    heat = find_family(config.model_type) is not None  # whose attention is known
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "exported"
        export(model_name, folder, preprocessing=True, heat=heat, trust_remote_code=trust_remote_code)
        yield folder


def assemble(
    exported: Path,
    dest: Path,
    runtime: Path,
    *,
    package: NpmPackage,
    title: str,
    examples: Sequence[Path],
    beside: str,
) -> StaticPage:
    """The folder as a whole or not at all. runtime: the package's archive. beside: where examples lie, if none are."""
    told = read_json(exported / EXPORT)
    config = AutoConfig.from_pretrained(exported)
    refuse_other_export(told, exported)
    refuse_no_head(config, beside)
    modality = modality_of(config)
    processor = modality.load_processor(exported, config, trust_remote_code=False)
    preparation = modality.preparation(processor, channels_of(config))
    sources = examples_beside(beside, modality, examples)
    with written_aside(dest, replace=True) as folder:
        for file in sorted(PAGE_FILES.iterdir()):
            shutil.copyfile(file, folder / file.name)
        take_out(runtime, RUNTIME_FILES, folder / "runtime")
        (folder / "runtime" / "NOTICE").write_text(NOTICE.format(package.name, package.version), encoding="utf-8")
        write_graph(exported / told["file"], folder / GRAPH_FILE)
        saved = save_shown(sources, modality, preparation, folder / "examples")
        settings = {
            "title": title,
            "examples": [
                {"file": f"examples/{path.name}", "name": f"Example {number}"}
                for number, path in enumerate(saved, start=1)
            ],
            "model": GRAPH_FILE,
            "model_bytes": (folder / GRAPH_FILE).stat().st_size,
            **page_settings(config, processor),
        }
        write_json(folder / SETTINGS, settings)
    written = sum(path.stat().st_size for path in dest.rglob("*") if path.is_file())
    return StaticPage(dest, written, len(saved))


def refuse_other_export(told: dict[str, Any], folder: Path) -> None:
    """Raises: UserError for a graph that does not take a picture's bytes, or has no probabilities."""
    prepared, batched = told.get("preprocessing"), told.get("batched")
    if told.get("format") != "onnx" or not prepared or batched or PROBABILITIES not in told.get("outputs", []):
        how = " without preprocessing" if not prepared else " for batches" if batched else ""
        raise UserError(
            f"{folder} was exported as {told.get('format')}{how}, and a page needs ONNX from one picture's bytes to "
            "its probabilities; name the model itself, of which that is made here."
        )


def refuse_large_model(size: int) -> None:
    """size: of a model, in bytes. Raises: UserError for one that is too large for a browser."""
    if size >= LARGEST_GRAPH:
        raise UserError(f"The model takes {size / 1e9:.1f} GB, and a browser runs no more than 2; take a smaller one.")


def write_graph(source: Path, target: Path) -> None:
    """One file, whatever lies beside: a browser opens no others.

    Raises: UserError for a graph that is too large for a browser.
    """
    beside = sum(path.stat().st_size for path in source.parent.glob(f"{source.name}*") if path.is_file())
    refuse_large_model(beside)
    if beside == source.stat().st_size:
        shutil.copyfile(source, target)
        return
    import onnx

    onnx.save(onnx.load(source), target)


def page_settings(config: Any, processor: Any) -> dict[str, Any]:
    """What the page must know of the model beside its graph: plain values, for a file that is read as JSON."""
    sizing = Sizing.of(processor)
    assert sizing is not None, "no graph prepares images so"
    names = [str(config.id2label.get(number, number)) for number in range(config.num_labels)]
    several = config.problem_type == MULTI_LABEL
    colors = matplotlib.colormaps["inferno"].resampled(STOPS)(range(STOPS), bytes=True)[:, :3]
    seen = pair(sizing.crop or sizing.size)
    patches = pair(getattr(config, "patch_size", None) or 1)
    return {
        "labels": names,
        "thresholds": (getattr(config, "thresholds", None) or [0.5] * len(names)) if several else None,
        "are_numbers": config.problem_type == "regression",
        "channels": channels_of(config),
        "sees": {
            "size": sizing.size,
            "crop": sizing.crop,
            "border": sizing.border is not None,
        },
        "patch_share": [patch / side for side, patch in zip(seen, patches, strict=True)],
        "colors": colors.tolist(),
    }
