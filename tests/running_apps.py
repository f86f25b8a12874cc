"""Servers in threads of this process, on ports of their own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vit_hf.serving.server import address_of, bound, make_server


@contextmanager
def running(app: Any) -> Iterator[str]:
    """The address where it answers."""
    place = bound("127.0.0.1", 0)
    address = address_of(place)
    server = make_server(app, timeout=5, greeting="")
    thread = threading.Thread(target=server.run, args=([place],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield address
    finally:
        server.should_exit = True
        thread.join()
        place.close()
