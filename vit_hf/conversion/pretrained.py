"""Any pretrained Vision Transformer as ours, with everything else that is known of it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load
from yaml import YAMLError

from ..completion.saved_fields import CONFIG_KINDS, refuse_unknown_quantization, refuse_wrong_kinds
from ..errors import UserError, first_line
from ..families import FAMILIES, Family, find_family
from ..files import read_json
from ..hub.download import local, split_revision
from ..hub.saved_files import refuse_wrong_files
from ..models.shapes import pair
from .core.parity import Parity, Runnable, compare, our_runnable, sample_images
from .core.pixels import PixelParity, compare_pixels, pixels_by
from .core.preprocessing import processor_from_json, processor_from_timm, published_processor

logger = logging.getLogger(__name__)


@dataclass
class Loaded:
    """A source as ours.

    kind: whose format it was: "vit_hf", "transformers", "timm", "vit-pytorch" or "original".
    processor: None where the source does not say how images are prepared.
    base_model: its id on the Hub, or what its card calls its origin.
    theirs: the model that it was before, where its library can build it, for a comparison.
    their_pixels: what makes c h w of an image as its library does, where that is there.
    notes: what was left out or assumed.
    """

    source: str
    kind: str
    model: Any
    processor: Any = None
    license: str | None = None
    base_model: str | None = None
    theirs: Runnable | None = None
    their_pixels: Callable[[Any], Any] | None = None
    notes: list[str] = field(default_factory=list)

    def compare(self) -> Parity | None:
        """None where there is no other model to compare with."""
        if self.theirs is None:
            return None
        return compare(our_runnable(self.model), self.theirs, sample_images(self.model.config))

    def compare_pixels(self) -> PixelParity | None:
        """None where there is no other processor to compare with."""
        if self.their_pixels is None or self.processor is None:
            return None
        return compare_pixels(self.processor, self.their_pixels)


def load_any(source: Any, *, architecture: str | None = None, **words: Any) -> Loaded:
    """Our model of any source, recognized by what lies in it.

    source: a folder or an id on the Hub of vit_hf, transformers or timm; a file of vit-pytorch's, Google's, DeiT's,
        MAE's, DINO's or torchvision's weights.
    architecture: timm's name of what a file of weights alone holds.
    words: what a file of weights alone does not say, as `from_original` and `from_vit_pytorch` take it.

    Raises: UserError that says what is wrong with the source.
    """
    path = local(source)
    refuse_parts_of_models(str(source), path)
    read = read_folder if (path / "config.json").is_file() else read_file
    loaded = read(str(source), path, architecture, words)
    card = card_of(path if path.is_dir() else path.parent)
    loaded.license = license_of(card) or loaded.license
    loaded.base_model = card.get("base_model") if Path(source).expanduser().exists() else split_revision(str(source))[0]
    if loaded.processor is None:
        loaded.notes.append("the source does not say how images are prepared; look it up and set mean and std")
    return loaded


def refuse_parts_of_models(source: str, path: Path) -> None:
    """Raises: UserError for an adapter alone, and for weights that are quantized."""
    if (path / "adapter_config.json").is_file() and not (path / "model.safetensors").is_file():
        base = read_json(path / "adapter_config.json").get("base_model_name_or_path")
        raise UserError(
            f"{source} holds a PEFT adapter of {base}, and no model. Merge and save it first: "
            "peft.AutoPeftModel.from_pretrained(...).merge_and_unload().save_pretrained(FOLDER), then convert FOLDER."
        )
    config = read_json(path / "config.json") if (path / "config.json").is_file() else {}
    refuse_unknown_quantization(config, source)
    if quantized := config.get("quantization_config"):
        method = quantized.get("quant_method", "unknown") if isinstance(quantized, Mapping) else quantized
        raise UserError(
            f"{source} holds weights that are quantized ({method}), which have no form in another library; convert the "
            "model that they were made of, and quantize it again there."
        )


def family_named_by(source: str) -> str | None:
    """The family whose model a source becomes, as far as its config.json tells before any weights are read; else None.

    timm's architectures and transformers' model types begin with the name of the family: swinv2, timesformer.
    """
    try:
        config = read_json(local(source) / "config.json")
        refuse_wrong_kinds(config, CONFIG_KINDS)
    except (OSError, UserError):  # who loads the source says what is wrong with it
        return None
    if (ours := find_family(config.get("model_type", ""))) is not None:
        return ours.name
    called = str(config.get("architecture") or config.get("model_type") or "")
    return next((name for name in FAMILIES if called.startswith(name)), None)


def read_folder(source: str, path: Path, architecture: str | None, words: dict[str, Any]) -> Loaded:
    if words or architecture:
        raise UserError(
            f"{source} has a config.json that says what it is; {[*words] or 'architecture'} cannot change it."
        )
    config = read_json(path / "config.json")
    if "architecture" in config:
        return read_timm(source, path)
    refuse_wrong_files(path, source)
    if (family := find_family(config.get("model_type", ""))) is not None:
        return read_ours(source, path, family, config.get("architectures") or [])
    if "model_type" in config:
        return read_transformers(source, path)
    raise UserError(
        f"{path / 'config.json'} is of no known library: transformers writes a model_type there, timm an architecture."
    )


def read_timm(source: str, path: Path) -> Loaded:
    from .timm.convert import convert_from_timm, open_timm, timm_runnable

    theirs, state = open_timm(path)
    model, notes = convert_from_timm(theirs, state)
    processor, unsaid = processor_from_timm(theirs.pretrained_cfg, model.config)
    transform, uncompared = timm_pixels(theirs.pretrained_cfg)
    return Loaded(
        source,
        "timm",
        model,
        processor,
        license=license_of({}, theirs.pretrained_cfg),
        theirs=timm_runnable(theirs),
        their_pixels=transform if model.config.num_channels == IN_COLOR else None,
        notes=notes + unsaid + uncompared,
    )


def timm_pixels(pretrained_cfg: Mapping[str, Any]) -> tuple[Callable[[Any], Any] | None, list[str]]:
    """-> timm's own transform for evaluation, and a note where there is none: it needs torchvision."""
    try:
        data: Any = import_module("timm.data")
        words = data.resolve_data_config(pretrained_cfg=dict(pretrained_cfg))
        transform = data.create_transform(**words, is_training=False)
    except (ImportError, RuntimeError, AttributeError):
        return None, ["timm's own transform needs torchvision; the pixels of both were not compared"]
    return transform, []


def read_ours(source: str, path: Path, family: Family, names: list[str]) -> Loaded:
    saved = (place for place in family.classes.values() if place.__name__ in names)
    model: Any = next(saved, family.classifier).from_pretrained(path)
    return Loaded(source, "vit_hf", model.eval(), processor_from_json(path, model.config))


def read_transformers(source: str, path: Path) -> Loaded:
    from .transformers.convert import convert_from_transformers, open_transformers, transformers_runnable

    theirs = open_transformers(path)
    model, notes = convert_from_transformers(theirs)
    processor = processor_from_json(path, model.config)
    loaded = Loaded(source, "transformers", model, processor, theirs=transformers_runnable(theirs), notes=notes)
    if processor is not None:
        published = published_processor(path)
        comparable = published is not None and model.config.num_channels == IN_COLOR
        loaded.their_pixels = pixels_by(published) if comparable else None
        loaded.notes += [] if comparable else ["the published processor cannot be run here; its file was read"]
        loaded.notes += other_size(processor, model.config)
    return loaded


IN_COLOR = 3


def other_size(processor: Any, config: Any) -> list[str]:
    """A note where the processor makes images of another size than the one that positions were learned for."""
    crops = bool(getattr(processor, "do_center_crop", None))
    size: Any = dict((processor.crop_size if crops else processor.size) or {})
    sides = [size.get("height"), size.get("width")]
    if None in sides or not getattr(processor, "do_resize", True) or sides == list(pair(config.image_size)):
        return []
    height, width = pair(config.image_size)
    return [
        f"the published processor makes {sides[0]} x {sides[1]} pixels, the configuration says {height} x {width}: "
        "positions are resampled, with antialias, where others may do without"
    ]


def read_file(source: str, path: Path, architecture: str | None, words: dict[str, Any]) -> Loaded:
    from .core.checkpoint_files import open_checkpoint, under_prefix
    from .original.convert import authors_processor, convert_from_original
    from .original.peers import of_vit_pytorch, peer_of
    from .original.vit_pytorch import ANCHORS, convert_from_vit_pytorch
    from .timm.convert import convert_from_timm, open_timm, timm_runnable

    if architecture is not None:
        theirs, state = open_timm(path, architecture)
        model, notes = convert_from_timm(theirs, state)
        processor, unsaid = processor_from_timm(theirs.pretrained_cfg, model.config)
        license = license_of({}, theirs.pretrained_cfg)
        return Loaded(source, "timm", model, processor, license, theirs=timm_runnable(theirs), notes=notes + unsaid)
    part = words.pop("part", None)
    state = open_checkpoint(path, part=part)
    if any(key.endswith("embeddings.patches.projection.weight") for key in state):
        raise UserError(f"{source} holds weights of vit_hf alone; give the folder that they lie in, with config.json.")
    if any(under_prefix(state, anchor) is not None for anchor in ANCHORS):
        with told_as_incomplete(source):
            model, notes, found = convert_from_vit_pytorch(path, part=part, **words)
        loaded, kind, peer = Loaded(source, "vit-pytorch", model, notes=notes), "vit-pytorch", of_vit_pytorch
    else:
        with told_as_incomplete(source):
            model, notes, files, found = convert_from_original(path, part=part, **words)
        loaded, kind, peer = Loaded(source, "original", model, notes=notes), files.kind, files.peer
        if found.images is not None:
            loaded.processor = authors_processor(found.images, model.config)
    theirs = peer_of(kind, peer, model.config, found.state, path, head=hasattr(model, "classifier"))
    if isinstance(theirs, str):
        loaded.notes.append(theirs)
    else:
        loaded.theirs = theirs
    return loaded


@contextmanager
def told_as_incomplete(source: str) -> Iterator[None]:
    """Around what finds its way through the tensors of a file by their names and shapes.

    Raises: UserError where one that it needs is not there, or is of another shape than any model's.
    """
    try:
        yield
    except UserError:
        raise
    except (LookupError, StopIteration, ValueError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        lacks = isinstance(error, KeyError | StopIteration)
        reason = f"{str(error) or 'a part'} is missing" if lacks else first_line(error)
        raise UserError(
            f"{source} begins like the weights of a Vision Transformer, and does not go on like those of one that is "
            f"known here ({reason}). Copy or download it again, or convert the whole model that it is a part of."
        ) from error


NON_COMMERCIAL = ("-nc-", "noncommercial", "non-commercial")


def card_of(folder: Path) -> dict[str, Any]:
    """The YAML header of a model's card; empty where there is none."""
    card = folder / "README.md"
    try:
        return (metadata_load(card) if card.is_file() else None) or {}
    except (YAMLError, ValueError, RecursionError) as error:
        logger.warning("%s cannot be read (%s), and nothing that it says is known.", card, first_line(error))
        return {}


def license_of(card: Mapping[str, Any], pretrained_cfg: Mapping[str, Any] | None = None) -> str | None:
    """The license that a card names, else the one that timm knows of; None where neither says any."""
    named = card.get("license")
    if named == "other":
        named = card.get("license_name") or named
    return named or (pretrained_cfg or {}).get("license")


def is_non_commercial(license: str | None) -> bool:
    return any(word in f"{license}-".lower() for word in NON_COMMERCIAL)


def license_sentence(license: str | None) -> str:
    """What a user must know of a license, in one sentence."""
    if license is None:
        return "The source names no license; ask its authors before you publish what comes of it."
    if is_non_commercial(license):
        return f"The source's license is {license}, which forbids commercial use, also of what is trained from it."
    return f"The source's license is {license}."
