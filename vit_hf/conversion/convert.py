"""A model of any library in the form of another, compared before and after."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..files import write_json
from .core.parity import Parity, compare, our_runnable, sample_images
from .core.pixels import PixelParity, compare_pixels, pixels_by
from .core.preprocessing import processor_from_timm, stock_processor
from .pretrained import IN_COLOR, Loaded

Target = Literal["vit_hf", "transformers", "timm"]
TARGETS: tuple[Target, ...] = get_args(Target)


@dataclass
class Conversion:
    """model, processor: in the form of the library `to`. reports: by what was compared, such as "timm and vit_hf"."""

    loaded: Loaded
    to: Target
    model: Any
    processor: Any
    reports: dict[str, Parity | PixelParity]

    @classmethod
    def of(cls, loaded: Loaded, to: Target) -> "Conversion":
        """Convert, and run the same images through the source, ours and the target. Takes `theirs` out of `loaded`.

        Raises: UserError that names what the target cannot represent.
        """
        model, target = convert_model(loaded, to)
        processor = convert_processor(loaded, model, to)
        reports: dict[str, Any] = {**comparisons(loaded, target, to)}
        for between, report in pixel_comparisons(loaded, processor, to).items():
            reports[f"{between}, pixels"] = report
        return cls(loaded, to, model, processor, reports)

    @property
    def differing(self) -> list[str]:
        """Which comparisons found another function; the model is not to be used where there are any."""
        return [between for between, report in self.reports.items() if not report.passed]

    def allowing(self, *, other_pixels: bool) -> list[str]:
        """As `differing`, but for those of pixels where these are allowed to be others."""
        return [one for one in self.differing if not (other_pixels and isinstance(self.reports[one], PixelParity))]

    @property
    def parity(self) -> str | None:
        """The reports as text; None where there was nothing to compare."""
        return "\n".join(f"{between}\n{report}" for between, report in self.reports.items()) or None

    def save(self, folder: Path) -> None:
        """Weights, configuration, preprocessing and parity.json, as the target writes them."""
        save_model(self.model, self.processor, self.loaded, self.to, folder)
        write_json(folder / "parity.json", {between: report.to_dict() for between, report in self.reports.items()})


def convert_model(loaded: Loaded, to: Target) -> tuple[Any, Any]:
    """-> the model in the target's form, and how a comparison sees it (None for ours)"""
    if to == "timm":
        from .timm.convert import timm_runnable, to_timm

        model = to_timm(loaded.model, loaded.processor, share=True)
        return model, timm_runnable(model)
    if to == "transformers":
        from .transformers.convert import convert_to_transformers, transformers_runnable

        model, notes = convert_to_transformers(loaded.model)
        loaded.notes += notes
        return model, transformers_runnable(model)
    return loaded.model, None


def convert_processor(loaded: Loaded, model: Any, to: Target) -> Any:
    """The processor as the target has it; None where it has none. Of timm, what its words make of them."""
    if to == "transformers":
        processor, changes = stock_processor(loaded.processor)
        loaded.notes += changes
        return processor
    if to == "timm" and loaded.processor is not None:
        return processor_from_timm(model.pretrained_cfg, loaded.model.config)[0]
    return loaded.processor


def pixel_comparisons(loaded: Loaded, processor: Any, to: Target) -> dict[str, PixelParity]:
    """As `comparisons`, of what processors for colors make of a photograph."""
    found = {}
    if (report := loaded.compare_pixels()) is not None:
        found[f"{loaded.kind} and vit_hf"] = report
    both = processor, loaded.processor
    if to != "vit_hf" and None not in both and loaded.model.config.num_channels == IN_COLOR:
        found[f"vit_hf and {to}"] = compare_pixels(processor, pixels_by(loaded.processor))
    return found


def comparisons(loaded: Loaded, target: Any, to: Target) -> dict[str, Parity]:
    """What came of comparing source and ours, and ours and the target."""
    found = {}
    if (report := loaded.compare()) is not None:
        found[f"{loaded.kind} and vit_hf"] = report
    loaded.theirs = None  # one model less to hold
    if target is not None:
        found[f"vit_hf and {to}"] = compare(target, our_runnable(loaded.model), sample_images(loaded.model.config))
    return found


def save_model(model: Any, processor: Any, loaded: Loaded, to: Target, folder: Path) -> None:
    if to == "timm":
        from .timm.convert import save_timm

        save_timm(model, folder, {"license": loaded.license} if loaded.license else {})
        return
    model.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
