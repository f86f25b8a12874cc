"""A port of this machine that is ours for as long as the tests run.

The clients read HF_ENDPOINT only once, when they are imported, long before a test asks for the server. Until then
nothing listens here, and whoever calls is refused at once.
"""

import socket

RESERVED = socket.socket()
RESERVED.bind(("127.0.0.1", 0))
ENDPOINT = f"http://127.0.0.1:{RESERVED.getsockname()[1]}"
