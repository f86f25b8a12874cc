"""The process that listens, what it serves, and the folder of which a container of it is built."""

import math
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import UserError, require_library
from ..files import refuse_no_folder

SERVERS_NEED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
SERVERS_NEED |= {"prometheus_client": "prometheus-client"}
DOCKERFILE = Path(__file__).with_name("Dockerfile")
WHEELS = """\
A wheel of vit_hf that lies here is installed in place of PyPI's, with what it needs from there:

    pip wheel --no-deps --wheel-dir wheels PATH_OF_A_CLONE
"""


def require_libraries() -> None:
    """Before a model is loaded. Raises: UserError that says how to install what is missing."""
    for module, package in SERVERS_NEED.items():
        try:
            require_library(module, package)
        except UserError as error:
            raise UserError(f"Serving needs {package}; install it with: pip install 'vit_hf[serve]'") from error


@contextmanager
def exported(model: str, *, trust_remote_code: bool = False) -> Iterator[str]:
    """A folder that is exported, or else one that is made of the model and goes with the context."""
    from ..exporting.exported import is_exported
    from ..runs.export import export

    if is_exported(Path(model)):
        yield model
        return
    print(f"{model} is exported to ONNX first, and compared (--pytorch serves it as it is).", flush=True)
    with TemporaryDirectory(prefix="vit_hf-serve-") as folder:
        dest = Path(folder) / "model"
        export(model, dest, trust_remote_code=trust_remote_code)
        yield str(dest)


def bound(host: str, port: int) -> socket.socket:
    """A socket on which nobody listens yet. port: 0 for any that is free.

    Raises: UserError where the port is taken, may not be, or there is no such host.
    """
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port} is no port; they go from 0 (any that is free) to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host {host} is no address of this machine ({error}); take 127.0.0.1 or 0.0.0.0.") from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        found.close()
        raise UserError(
            f"Port {port} of {host} cannot be had ({error.strerror}); take another with --port, or 0 for any."
        ) from error
    return found


def make_server(app: Any, *, timeout: float, greeting: str) -> Any:
    """A `uvicorn.Server` that says when it is ready. timeout: seconds for what is under way when it is to end."""
    import uvicorn

    from .bodies import LARGEST_HEAD, BoundedHeads

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(greeting, flush=True)

    config = uvicorn.Config(
        app,
        http=BoundedHeads,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(timeout),
    )
    return Server(config)


def listen(app: Any, place: socket.socket, *, timeout: float, greeting: str) -> None:
    """Until SIGTERM or Ctrl-C, and then until what is under way is answered."""
    # uvicorn sends itself the signal again once all is answered, to which the end of the program was the answer.
    signal.signal(signal.SIGTERM, lambda *_: None)
    make_server(app, timeout=timeout, greeting=greeting).run([place])


def address_of(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_container(model: str, dest: Path) -> Path:
    """A folder to build a container from: a Dockerfile, the exported model, and a place for wheels.

    Raises: UserError for a destination that holds something, or cannot be written.
    """
    refuse_no_folder(dest, "--dockerfile")
    if dest.exists() and any(dest.iterdir()):
        raise UserError(f"--dockerfile {dest} is not empty; name a new folder.")
    shutil.copytree(model, dest / "model")
    shutil.copyfile(DOCKERFILE, dest / "Dockerfile")
    (dest / "wheels").mkdir()
    (dest / "wheels" / "README.txt").write_text(WHEELS, encoding="utf-8")
    return dest
