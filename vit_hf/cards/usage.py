"""The Python of a card that loads what the card is of, and where it says that this lies."""

import re
from typing import NamedTuple

from ..errors import UserError
from ..modality import IMAGE, VIDEO


class Usage(NamedTuple):
    """How a model of a modality is used. imports, inputs: Python of an example. note: on what it takes. processor: what
    the processor is."""

    imports: str
    inputs: str
    note: str
    processor: str


USAGE = {
    IMAGE: Usage(
        "from PIL import Image\nfrom transformers import AutoImageProcessor, AutoModelForImageClassification",
        'Image.open("image.png")',
        "",
        "An image processor of `vit_hf`, which cuts the middle out of an image as timm does.",
    ),
    VIDEO: Usage(
        "from transformers import AutoModelForVideoClassification\n"
        "from transformers.models.auto.video_processing_auto import AutoVideoProcessor",
        '"video.mp4"',
        "A video is a file, a folder of frames, a list of images or an array of frames. GIF, WebP, APNG and folders of "
        "frames need\nnothing else, other files the package `av`. `transformers.AutoVideoProcessor` is the same where "
        "torchvision is installed.",
        "A video processor of `vit_hf`, which chooses the frames of a clip and cuts the middle out of each.",
    ),
}

# Of every example, one line by itself; what is published is found by it and led to its place.
ADDRESS = 'repository, revision = "{}", "{}"'
ADDRESS_LINE = re.compile("^" + re.escape(ADDRESS).replace(r"\{\}", '[^"\n]*') + "$", re.MULTILINE)
USES_ADDRESS = "revision=revision"
READ_THE_CODE = "# Of a repository on the Hub, name the commit whose code you have read in place of the revision."


def address_line(repository: str, revision: str = "main") -> str:
    return ADDRESS.format(repository, revision)


def loading_code(repository: str, revision: str = "main", *, runs_code: bool = True, **autos: str) -> str:
    """The lines that load things by their Auto classes, which are imported above: model="AutoModel".

    runs_code: whether the repository brings code, which a stranger runs.
    """
    lines = [READ_THE_CODE] if runs_code else []
    lines.append(address_line(repository, revision))
    for thing, auto in autos.items():
        if runs_code:
            trust = "repository, revision=revision, code_revision=revision, trust_remote_code=True"
            lines.append(f"{thing} = {auto}.from_pretrained(\n    {trust}\n)")
        else:
            lines.append(f"{thing} = {auto}.from_pretrained(repository, {USES_ADDRESS})")
    return "\n".join(lines)


def readdressed(card: str, repository: str, revision: str) -> str:
    """The card whose example leads to `repository` at `revision`; one without an example stays as it is.

    Raises: UserError for a card whose example uses an address that nothing gives.
    """
    card, count = ADDRESS_LINE.subn(lambda _: address_line(repository, revision), card)
    if USES_ADDRESS in card and not count:
        raise UserError(
            "The card's example loads `repository` at `revision`, and no line says what these are; write into it: "
            f"{address_line(repository, revision)}"
        )
    return card
