"""A model to try: an app on this machine, the same as a Space on the Hub, or a page that runs in the browser alone."""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..errors import UserError
from .cli import given_arguments, guarded, parser

EXAMPLES = """\
  {program} outputs/photos
  {program} you/photos --port 8000
  {program} outputs/photos --static page && python -m http.server --directory page
  {program} outputs/photos --space you/photos-demo

The app answers this machine alone (127.0.0.1), and sends nothing to anybody. A static page needs no Python where it is
served: the model runs in the browser of whoever opens it, and pictures stay there.
"""


def run(given: Namespace) -> int:
    refuse_both_ways(given)
    if given.static is not None:
        return write_folder(given)
    if given.space is not None:
        return publish_space(given)
    return serve_app(given)


def refuse_both_ways(given: Namespace) -> None:
    chosen = [name for name in ("static", "space", "share") if getattr(given, name)]
    if len(chosen) > 1:
        raise UserError(f"--{chosen[0]} and --{chosen[1]} lead to different places; leave one of them out.")


def write_folder(given: Namespace) -> int:
    from ..demo.static import write_static_page

    page = write_static_page(
        given.model,
        given.static,
        title=given.title,
        examples=given.examples,
        trust_remote_code=given.trust_remote_code,
    )
    print(f"{page.folder}: {page.bytes / 1e6:,.1f} MB, with {page.examples} examples. To open it:")
    print(f"  python -m http.server --directory {page.folder}")
    return 0


def publish_space(given: Namespace) -> int:
    from ..demo.space import push_space

    pushed = push_space(
        given.model,
        given.space,
        title=given.title,
        examples=given.examples,
        private=given.private,
        trust_remote_code=given.trust_remote_code,
        say=partial(print, flush=True),
    )
    print(pushed.commit_url)
    return 0


def serve_app(given: Namespace) -> int:
    from ..demo.app import build_app, launch_app, refuse_no_gradio
    from ..demo.exhibits import Exhibit
    from ..serving.server import bound

    refuse_no_gradio()
    if given.port is not None:  # before a model is loaded, which takes longer
        bound(given.host, given.port).close()
    exhibit = Exhibit(given.model, max_pixels=given.max_pixels, trust_remote_code=given.trust_remote_code)
    if exhibit.unexplained is not None:
        print(f"There will be no heat map: {exhibit.unexplained}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="vit_hf-examples-") as place:
        examples = exhibit.save_examples(given.examples, Path(place))
        app = build_app(exhibit, examples, title=given.title)
        launch_app(app, host=given.host, port=given.port, share=given.share)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("demo", "Show a model to people: in an app, on the Hub, or on a page of its own.", EXAMPLES)
    parse.add_argument("model", help="the output folder of a training, or an id on the Hub, owner/name[@revision]")
    parse.add_argument("--static", type=Path, metavar="FOLDER", help="write a page that runs in the browser alone")
    parse.add_argument("--space", metavar="OWNER/NAME", help="publish the app as a Space on the Hub")
    parse.add_argument("--private", action="store_true", help="if the Space is made")
    parse.add_argument("--title", help="above it (the model's name where not said)")
    parse.add_argument(
        "--examples",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="files or folders to try (the examples beside the model where not said)",
    )
    parse.add_argument("--host", default="127.0.0.1", help="0.0.0.0 answers other machines too")
    parse.add_argument("--port", type=int, help="of the app, 0 for any (the first free from 7860 on)")
    parse.add_argument("--share", action="store_true", help="also at a public address, by a tunnel of Gradio's makers")
    parse.add_argument("--max-pixels", type=int, help="larger images are not read (179 million where not said)")
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(run, parse.parse_args(given_arguments(words)))
