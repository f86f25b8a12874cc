"""An app of Gradio around a model: files and camera in, labels with probabilities and a picture of heat out.

Nothing but the browser in front of it is spoken to: no figures are sent, no fonts fetched, and no address is made that
others could reach, unless that is asked for.
"""

import os
from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..cards.trained import escape
from ..errors import UserError
from ..serving.server import bound
from .exhibits import Exhibit
from .showing import SHOWING

# Read when Gradio is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

PICTURES_KEPT = 32  # of heat; Gradio has copies of those that are shown
AN_HOUR = 3600
LARGEST_UPLOAD = "200mb"
FONTS = ["system-ui", "sans-serif"]  # those of the machine
HEIGHT = 340  # pixels of a picture
# Small pictures are seen too.
CSS = (
    "#given img, #heat img { width: 100%; height: 100%; object-fit: contain; }"
    f"#given img, #given video {{ height: {HEIGHT}px; }}"
)


def refuse_no_gradio() -> None:
    if find_spec("gradio") is None:
        raise UserError("The app is one of Gradio, which is not installed; pip install 'vit_hf[demo]' brings it.")


def build_app(exhibit: Exhibit, examples: Sequence[str | Path] = (), *, title: str | None = None) -> Any:
    """-> gradio.Blocks, whose one function is called "predict". examples: files that browsers show.

    Raises: UserError where Gradio is not installed.
    """
    refuse_no_gradio()
    import gradio

    title, modality = title or exhibit.title, exhibit.modality
    pictures: deque[Path] = deque()

    def predict(file: str | None) -> tuple[Any, str | None, str]:
        if file is None:
            return None, None, ""
        try:
            shown = exhibit(file)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from error
        if shown.picture is not None:
            pictures.append(shown.picture)
        while len(pictures) > PICTURES_KEPT:
            pictures.popleft().unlink(missing_ok=True)
        picture = None if shown.picture is None else str(shown.picture)
        return shown_answers(exhibit, shown.answers), picture, said_of_heat(exhibit, shown.explained)

    showing = SHOWING[modality]
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=(AN_HOUR, AN_HOUR)) as app:
        gradio.Markdown(f"# {escape(title)}\n\n{introduction(exhibit)}")
        with gradio.Row():
            with gradio.Column():
                given = getattr(gradio, showing.component)(
                    label=modality.noun.capitalize(), elem_id="given", **showing.options
                )
            with gradio.Column():
                answer = (
                    gradio.Dataframe(headers=["label", "value"], label="Answer", interactive=False)
                    if exhibit.is_regression
                    else gradio.Label(label="Answer", show_heading=not exhibit.has_several)
                )
                heat = gradio.Image(
                    label="Heat map",
                    type="filepath",
                    interactive=False,
                    height=HEIGHT,
                    elem_id="heat",
                    buttons=["download", "fullscreen"],  # without that which sends pictures to a forum
                    visible=exhibit.unexplained is None,
                )
                caption = gradio.Markdown()
                if exhibit.unexplained is not None:
                    gradio.Markdown(f"There is no heat map: {escape(exhibit.unexplained)}")
        given.change(predict, given, [answer, heat, caption], api_name="predict")
        if examples:
            gradio.Examples([[str(path)] for path in examples], given, cache_examples=False, label="Examples")
    return app


def introduction(exhibit: Exhibit) -> str:
    item = exhibit.modality.article
    if exhibit.is_regression:
        return f"What this model estimates from {item}, in the units of what it learned from."
    if exhibit.has_several:
        return f"The labels that {item} has, as this model sees it: each with a probability of its own."
    return f"What is in {item}, as this model sees it."


def shown_answers(exhibit: Exhibit, answers: Sequence[dict[str, Any]]) -> Any:
    """As Gradio shows answers: labels with probabilities, a sentence where there are none, or rows of labels and
    numbers."""
    if exhibit.is_regression:
        return [[one["label"], one["value"]] for one in answers]
    return {one["label"]: one["probability"] for one in answers} or "None of the labels"


def said_of_heat(exhibit: Exhibit, label: str | None) -> str:
    """In Markdown. label: which the heat is of; None: there is no heat."""
    if label is None:
        return ""
    if exhibit.is_regression:
        of = f"What raises **{escape(label)}**" + ", the first of the numbers" * (len(exhibit.names) > 1)
    else:
        of = f"What speaks for **{escape(label)}**" + ", the most probable label" * exhibit.has_several
    return f"{of}: gray is cold, bright is hot."


def launch_app(
    app: Any, *, host: str | None = None, port: int | None = None, share: bool = False, block: bool = True
) -> Any:
    """Serve it, until Ctrl-C where it blocks. host: None: as GRADIO_SERVER_NAME says, or for this machine alone. port:
    None: as GRADIO_SERVER_PORT says, or the first free one from 7860 on; 0 for any that is free. share: by an address
    on the Internet that Gradio's makers tunnel. -> as gradio's launch.

    Raises: UserError for a port that is in use.
    """
    from gradio.themes import Default

    if port is not None:
        with bound(host or "127.0.0.1", port) as place:
            port = place.getsockname()[1]
    return app.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=not block,
        max_file_size=LARGEST_UPLOAD,
        ssr_mode=False,
        show_error=True,  # a file that is no image fails before it reaches us
        footer_links=[],
        css=CSS,
        theme=Default(font=FONTS, font_mono=["ui-monospace", "monospace"]),
    )
