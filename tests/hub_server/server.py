"""The Hub over HTTP, with a log and with faults."""

import os
import re
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from .faults import NO_FAULT, Fault, Request
from .handler import Handler
from .hub import Hub, User
from .repository import Repository

# For clients in processes of their own. Uploads through xet need a server that speaks it.
ALWAYS = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_SAFETENSORS_CONVERSION": "1"}


class Listener(ThreadingHTTPServer):
    """A thread for each connection, on a socket that is bound already."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, bound: socket.socket, owner: "HubServer"):
        super().__init__(bound.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.owner = bound, owner
        self.server_activate()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class HubServer:
    """Serves one Hub at a time: `begin` forgets everything and opens another."""

    def __init__(self, bound: socket.socket):
        self.listener = Listener(bound, self)
        port = bound.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.storage = f"http://localhost:{port}/storage"
        self.lock = threading.RLock()
        self.faults: list[Fault] = []
        self.log: list[Request] = []

    def begin(self, folder: Path, users: dict[str, User]) -> None:
        with self.lock:
            self.faults.clear()
            self.log.clear()
            self.hub = Hub(folder)
            self.hub.users |= users

    def __enter__(self) -> Self:
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.listener.shutdown()
        self.listener.server_close()

    def environment(self, home: Path, token: str = "") -> dict[str, str]:
        """For a client in a process of its own, with a cache of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
        return {**kept, **ALWAYS, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_TOKEN": token}

    def repository(self, path: str) -> Repository:
        """you/model, or datasets/you/data. Raises: KeyError."""
        return self.hub.repositories[path]

    def requests(self, pattern: str = "") -> list[Request]:
        """Those of the log in which the pattern is found, such as "PUT /storage"."""
        return [request for request in self.log if re.search(pattern, str(request))]

    def fault_for(self, request: Request) -> Fault:
        """Every fault counts the request; the first that befalls it is taken."""
        with self.lock:
            found = [fault for fault in self.faults if fault.befalls(request)]
            return found[0] if found else NO_FAULT
