"""A model that answers files one by one and draws why, and the examples that it is shown with."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..data.decode.files import UnreadableImage
from ..errors import UserError
from ..explanation.explain import explain
from ..files import name_for_others
from ..modality import Modality, modality_of
from ..plots.heat_maps import FRAME_MS, drawn_over
from ..publishing.load_classifier import label_names_of, load_classifier
from ..runs.evaluate import device_of_choice, refuse_broken_answers
from ..runs.predict import ViewsPredictor, answers_of, find_images
from ..training.calibration import MULTI_LABEL
from .showing import SHOWING

MOST_EXAMPLES = 12
LABELS_SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """answers: as `predict` gives them, best label first. picture: the heat over what the model sees, a WebP, of a
    video animated; or None of a model that cannot be explained. explained: the label that the heat is of, the most
    probable one, also of several labels, and of several numbers the first."""

    answers: list[dict[str, Any]]
    picture: Path | None = None
    explained: str | None = None


class Exhibit:
    """A classifier of images or videos, from a folder or the Hub, ready to be tried.

    Raises: UserError for a model that cannot be loaded, or has no head.
    """

    def __init__(self, model_name: str, *, max_pixels: int | None = None, trust_remote_code: bool = False):
        self.name, self.title = model_name, name_for_others(model_name)
        model, processor = load_classifier(model_name, trust_remote_code=trust_remote_code)
        refuse_no_head(model.config, model_name)
        self.model = model.to(device_of_choice()).eval()
        self.names, self.modality = label_names_of(model), modality_of(model.config)
        self.predictor = self.modality.predictor(model, processor, self.modality.views(None), max_pixels)
        self.viewed = ViewsPredictor(self.modality, model, processor, self.modality.views(None), max_pixels)
        self.frames = getattr(processor, "frames", None)
        self.pictures = Path(tempfile.mkdtemp(prefix="vit_hf-demo-"))
        weakref.finalize(self, shutil.rmtree, self.pictures, ignore_errors=True)
        self.unexplained = self.why_not_explained()

    @property
    def is_regression(self) -> bool:
        return self.model.config.problem_type == "regression"

    @property
    def has_several(self) -> bool:
        """Whether an item may have several labels, or none."""
        return self.model.config.problem_type == MULTI_LABEL

    def why_not_explained(self) -> str | None:
        """The reason in a sentence, found out before anybody asks; None where there will be heat."""
        blank = torch.zeros(1, *self.modality.input_shape(self.model.config))
        try:
            explain(self.model, blank)
        except UserError as error:
            return str(error)
        return None

    def __call__(self, file: str | Path) -> Shown:
        """Raises: UnreadableImage, which names the file without the folders that it lies in."""
        path = Path(file)
        try:
            SHOWING[self.modality].check(self.modality.open(path, str(path), self.viewed.reading), str(path))
            logits = self.predictor([self.predictor.read(path)])
            shown = self.viewed.read(path).float().div(255)  # 1 (t) c h w
        except UnreadableImage as error:
            raise UnreadableImage(str(error).replace(str(path), path.name)) from error
        refuse_broken_answers(logits, [path.name])
        answers = answers_of(logits[0], self.names, self.model.config, LABELS_SHOWN)
        return Shown(answers) if self.unexplained else Shown(answers, *self.draw_heat(shown))

    def draw_heat(self, shown: Tensor) -> tuple[Path, str]:
        """-> a picture, and the label that it is of"""
        inputs = self.viewed.preparation.normalize_(shown.clone()).to(self.model.device)
        found = explain(self.model, inputs)
        heat = found.heat((shown.shape[-2], shown.shape[-1]))
        with tempfile.NamedTemporaryFile(dir=self.pictures, suffix=".webp", delete=False) as file:
            save_frames_of(drawn_over(shown[0], heat[0]), Path(file.name))
        return Path(file.name), self.names[int(found.targets[0])]

    def save_examples(self, given: Sequence[Path], folder: Path) -> list[Path]:
        """As `examples_beside` finds them and `save_shown` writes them."""
        sources = examples_beside(self.name, self.modality, given, self.frames)
        return save_shown(sources, self.modality, self.viewed.preparation, folder)


def save_frames_of(drawn: Sequence[Image.Image], path: Path) -> None:
    """A picture, or of several an animation, without loss."""
    drawn[0].save(path, save_all=len(drawn) > 1, append_images=drawn[1:], duration=FRAME_MS, loop=0, lossless=True)


def refuse_no_head(config: Any, name: str) -> None:
    """Raises: UserError for weights that were saved without a head, for which a random one would answer."""
    head = modality_of(config).head
    saved = getattr(config, "architectures", None) or []
    if not config.num_labels or (saved and not any(head in one for one in saved)):
        raise UserError(
            f"{name} has no classifier ({', '.join(saved) or 'and no labels'}), so there is no answer to show; train "
            f"one on it with `vit-hf train DATA --from {name}`."
        )


def examples_beside(
    model_name: str, modality: Modality, given: Sequence[Path] = (), frames: str | None = None
) -> list[Path]:
    """The files or folders of frames to try a model on: those given, or those that a training left beside it."""
    beside = Path(model_name) / "examples"
    places = list(given) or ([beside] if beside.is_dir() else [])
    return find_images(places, modality, frames)[:MOST_EXAMPLES] if places else []


def save_shown(sources: Sequence[Path], modality: Modality, preparation: Any, folder: Path) -> list[Path]:
    """A file that browsers show of each item, numbered in their order; of those that no browser can be given, none.

    Raises: UserError for one that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for number, source in enumerate(sources):
        item = modality.open(source, source.name)
        path = SHOWING[modality].save(preparation, item, folder / f"{number:02}")
        saved += [] if path is None else [path]
    return saved
