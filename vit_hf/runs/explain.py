"""What in files of images or videos speaks for a model's answers: pictures of heat, and how good each map is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..explanation.comparison import CHANCE, COMPARED, MethodGains
from ..explanation.explain import DEFAULT_METHOD, explain
from ..explanation.inside import attention_distance, features, filters, position_similarity, time_attention
from ..explanation.scoring import chance_maps, curves
from ..fewer_tokens.put_on import merge_tokens
from ..modality import modality_of
from ..plots.heat_maps import (
    animate_heat,
    draw_distances,
    draw_features,
    draw_filters,
    draw_heat,
    draw_positions,
    draw_time,
    draw_time_attention,
)
from ..publishing.load_classifier import label_names_of, load_classifier
from .evaluate import device_of_choice
from .predict import ViewsPredictor, find_images, read_some, refuse_missing

SHOWN_INSIDE = 8


@dataclass(frozen=True)
class Explained:
    """One file: the explained label and its probability, the gain of each method's map, and the pictures of it.

    gains: of several methods also that of an order by chance.
    """

    path: str
    label: str
    probability: float
    gains: dict[str, float]
    pictures: list[str]


@dataclass(frozen=True)
class Explanations:
    """thing: "image" or "video". unreadable: a line for each file that cannot be read. files: how many there were.
    problem_type: of the model, which says what a result's probability is."""

    thing: str
    results: list[Explained]
    unreadable: list[str]
    files: int
    problem_type: str | None = None

    @property
    def comparison(self) -> MethodGains | None:
        """Of several methods over all files; None of one, or where nothing could be read."""
        if not self.results or len(self.results[0].gains) < 2:
            return None
        names = self.results[0].gains
        return MethodGains({name: torch.tensor([one.gains[name] for one in self.results]) for name in names})


class Subject:
    """A model, and the files that it is looked at with, which are read as for a prediction.

    Raises: UserError for a model that cannot be loaded, and files that are not there.
    """

    def __init__(
        self, model_name: str, files: Sequence[str | Path], max_pixels: int | None, *, trust_remote_code: bool
    ):
        refuse_missing(files)
        model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
        self.model, self.modality = model.to(device_of_choice()).eval(), modality_of(model.config)
        self.paths = find_images(files, self.modality, getattr(processor, "frames", None))
        views = self.modality.views(None)
        self.viewed = ViewsPredictor(self.modality, model, processor, views, max_pixels)

    def read(self, path: Path) -> tuple[list[Tensor], list[str]]:
        """-> 1 (t) c h w, bytes, or a line that says why not"""
        return read_some([path], self.viewed.read)[1:]

    def inputs(self, shown: Tensor) -> Tensor:
        """b (t) c h w, from 0 to 1 -> what the model takes"""
        return self.viewed.preparation.normalize_(shown.clone()).to(self.model.device)


def explain_files(
    model_name: str,
    files: Sequence[str | Path],
    output: Path,
    *,
    methods: Sequence[str] = (DEFAULT_METHOD,),
    target: str | None = None,
    options: dict[str, Any] | None = None,
    token_merging: int | str | None = None,
    max_pixels: int | None = None,
    trust_remote_code: bool = False,
) -> Explanations:
    """For each file of images or videos, folders of them, or folders of frames, a picture in the folder `output`: what
    the model sees, and the heat of each method; of a video also an animation, and the heat of each frame.

    methods: several are drawn side by side. target: a label; None: the most probable one. options: of the one method.
    token_merging: as `predict` takes it; every patch has the heat of the token that it is merged into.

    Raises: UserError for a model that cannot be loaded or explained, files that are not there, and what does not exist.
    """
    subject = Subject(model_name, files, max_pixels, trust_remote_code=trust_remote_code)
    model, names = subject.model, label_names_of(subject.model)
    if token_merging is not None:
        merge_tokens(model, token_merging)
    results, unreadable = [], []
    for path in subject.paths:
        read, lines = subject.read(path)
        unreadable += lines
        for pixels in read:  # 1 (t) c h w, bytes
            shown = pixels.float().div(255)
            inputs = subject.inputs(shown)
            found = {
                method: explain(model, inputs, method=method, target=target, **options or {}) for method in methods
            }
            first = next(iter(found.values()))
            label, probability = names[int(first.targets)], float(first.probabilities)
            maps = {method: one.maps for method, one in found.items()}
            if len(found) > 1:
                maps[CHANCE] = chance_maps(first.maps, len(results))
            gains = {name: gain_of(model, inputs, heat, first.targets, len(results)) for name, heat in maps.items()}
            heats = {
                heat_caption(method, gains[method]): one.heat((shown.shape[-2], shown.shape[-1]))[0]
                for method, one in found.items()
            }
            title = f"{path.name}: {label} {said_in_words(probability, model.config.problem_type)}"
            pictures = draw(shown[0], heats, output / free_name(output, path), title=title)
            results.append(Explained(str(path), label, probability, gains, pictures))
    return Explanations(subject.modality.noun, results, unreadable, len(subject.paths), model.config.problem_type)


def show_inside(
    model_name: str,
    files: Sequence[str | Path],
    output: Path,
    *,
    max_pixels: int | None = None,
    trust_remote_code: bool = False,
) -> list[str]:
    """-> pictures of what the layers make of the files' images or videos, eight at most: features.png, filters.png,
    positions.png where the model adds any, attention_distance.png, and of videos time_attention.png.

    Raises: as `explain_files`.

    Without files, the examples that a training left beside its model.
    """
    examples = Path(model_name) / "examples"
    if not files and not examples.is_dir():
        raise UserError(f"{model_name} has no folder of examples; name images to look at.")
    subject = Subject(model_name, files or [examples], max_pixels, trust_remote_code=trust_remote_code)
    read = [pixels for path in subject.paths[:SHOWN_INSIDE] for pixels in subject.read(path)[0]]
    if not read:
        raise UserError(f"None of {', '.join(map(str, subject.paths[:SHOWN_INSIDE]))} can be read.")
    shown = torch.cat(read).float().div(255)
    inputs = subject.inputs(shown)
    output.mkdir(parents=True, exist_ok=True)
    pictures = {name: output / f"{name}.png" for name in ("features", "filters", "positions", "attention_distance")}
    draw_features(shown, features(subject.model, inputs), pictures["features"])
    draw_filters(filters(subject.model), pictures["filters"])
    if (similarity := position_similarity(subject.model)) is None:
        del pictures["positions"]
    else:
        draw_positions(similarity, pictures["positions"])
    draw_distances(attention_distance(subject.model, inputs), pictures["attention_distance"])
    if len(curves_of_time := time_attention(subject.model, inputs)):
        pictures["time_attention"] = output / "time_attention.png"
        draw_time_attention(curves_of_time, pictures["time_attention"])
    return [str(picture) for picture in pictures.values()]


def said_in_words(said: float, problem_type: str | None) -> str:
    """A probability, or a number that is predicted."""
    return f"{said:.4g}" if problem_type == "regression" else f"{said:.1%}"


def gain_of(model: Any, inputs: Tensor, maps: Tensor, targets: Tensor, seed: int) -> float:
    return float(curves(model, inputs, maps, targets, seed=seed).gain)


def heat_caption(method: str, gain: float) -> str:
    return f"{method.replace('_', ' ')}, gain {gain:+.2f}"


def draw(shown: Tensor, heats: dict[str, Tensor], stem: Path, *, title: str) -> list[str]:
    """(t) c h w and (t) h w, from 0 to 1 -> the files that were written"""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pictures = [stem.with_name(f"{stem.name}.png")]
    draw_heat(shown, heats, pictures[0], title=title)
    heat = next(iter(heats.values()))
    if heat.shape[:-2].numel() > 1:  # frames
        pictures += [stem.with_name(f"{stem.name}.gif"), stem.with_name(f"{stem.name}_time.png")]
        animate_heat(shown, heat, pictures[1])
        share = heat.flatten(1).sum(1)
        draw_time((share / share.sum().clamp(min=torch.finfo(share.dtype).tiny)).tolist(), pictures[2])
    return [str(picture) for picture in pictures]


def free_name(output: Path, path: Path) -> str:
    """The file's name without its ending, or with a number behind where a picture of that name is there already."""
    name, number = path.stem, 2
    while (output / f"{name}.png").exists():
        name, number = f"{path.stem}_{number}", number + 1
    return name


def methods_of(given: str | None, *, compare: bool) -> tuple[str, ...]:
    """Raises: UserError where both are asked for."""
    if given is not None and compare:
        raise UserError(f"--compare draws {', '.join(COMPARED)} side by side; leave --method out, or --compare.")
    return COMPARED if compare else (given or DEFAULT_METHOD,)


def refuse_options(methods: Sequence[str], options: dict[str, Any]) -> None:
    """Options of one method, beside several."""
    if options and len(methods) > 1:
        raise UserError(f"--{next(iter(options))} is an option of one method; leave --compare out, and name it.")
