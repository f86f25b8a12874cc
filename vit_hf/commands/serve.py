"""A model as a server: files of images or videos in, labels out, over HTTP."""

from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from .cli import given_arguments, guarded, parser

EXAMPLES = """\
  {program} outputs/photos
  {program} outputs/photos-onnx --host 0.0.0.0 --port 80 --max-bytes 5MB --workers 8
  {program} outputs/photos --dockerfile photos-server

  curl --data-binary @one.jpg -H 'Content-Type: image/jpeg' localhost:8000/predict
  curl -F file=@one.jpg -F file=@two.jpg localhost:8000/predict

GET /health says whether it is ready, /metrics how it does (Prometheus), /docs and /openapi.json how to ask.
"""
# Options that are fields of `Serving`, whose own defaults and bounds they have.
OPTIONS = {
    "max_batch": (int, "N", "items that the model answers at once (16 where not said)"),
    "batch_wait_ms": (float, "MS", "milliseconds that the first of a batch waits for others (5)"),
    "max_bytes": (str, "SIZE", "of a request (20MB)"),
    "max_count": (int, "N", "files in one request (32)"),
    "max_pixels": (int, "N", "larger images are not read (50 million)"),
    "max_waiting": (int, "N", "requests at once; more are told to come again (256)"),
    "timeout": (float, "S", "seconds for a body to come, and for an answer (30)"),
    "workers": (int, "N", "threads that decode and resize (2)"),
    "top": (int, "N", "labels in an answer (3)"),
}


def run(given: Namespace) -> int:
    from ..files import name_for_others
    from ..serving.server import address_of, bound, exported, listen, require_libraries, write_container

    require_libraries()
    from ..serving.app import Serving, make_app
    from ..serving.batching import ServedModel
    from ..settings import explain_wrong_fields

    with explain_wrong_fields("vit-hf serve"):
        settings = Serving(**{name: value for name in OPTIONS if (value := getattr(given, name)) is not None})
    remote = {"trust_remote_code": given.trust_remote_code}
    if given.dockerfile is not None:
        with exported(given.model, **remote) as model:
            folder = write_container(model, given.dockerfile)
        print(f"docker build -t my-model {folder} && docker run --rm -p 8000:8000 my-model")
        return 0
    ready = nullcontext(given.model) if given.pytorch else exported(given.model, **remote)
    with bound(given.host, given.port) as place, ready as model:
        served = ServedModel(model, top=settings.top, max_pixels=settings.max_pixels, **remote)
        served.name = name_for_others(given.model)
        greeting = f"{given.model} ({len(served.labels)} labels) is served on {address_of(place)}; how: /docs"
        listen(make_app(served, settings), place, timeout=settings.timeout, greeting=greeting)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("serve", "Answer over HTTP what is in images or videos.", EXAMPLES)
    parse.add_argument("model", help="an exported folder, the output folder of a training, or an id on the Hub")
    parse.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for everyone (127.0.0.1: this machine alone)")
    parse.add_argument("--port", type=int, default=8000, help="0 for any that is free (8000)")
    for name, (kind, unit, means) in OPTIONS.items():
        parse.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=unit, help=means)
    parse.add_argument("--pytorch", action="store_true", help="serve the PyTorch model, and do not export it first")
    parse.add_argument("--dockerfile", type=Path, metavar="DEST", help="write what a container is built of, and end")
    parse.add_argument("--trust-remote-code", action="store_true", help="run the code that lies beside the weights")
    return guarded(run, parse.parse_args(given_arguments(words)))
