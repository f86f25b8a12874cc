"""One connection: requests are read, logged, answered and, where a fault says so, broken."""

import io
import json
import os
import re
import secrets
import socket
import struct
import tempfile
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from .answers import Answer
from .call import Call
from .faults import Fault, Request
from .routes import answer

CHUNK = 1 << 16


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        """The server's log has it."""

    def serve(self) -> None:
        site = self.server.owner
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        user = site.hub.users.get(token)
        name = user.name if user else token and "?"
        request = Request(self.command, unquote(self.path), name, self.headers.get("Range"))
        site.log.append(request)
        fault = site.fault_for(request)
        request.fault = fault.kind
        try:
            with tempfile.SpooledTemporaryFile(max_size=1 << 20) as body:
                time.sleep(fault.seconds)
                self.receive(body, request, fault)
                if fault.kind == "status":
                    reply = Answer({"error": "Broken on purpose"}, fault.status, fault.headers)
                else:
                    call = Call(site.hub, site.endpoint, site.storage, self.command, self.path, token, body)
                    with site.lock:
                        reply = answer(call)
                if fault.kind == "lost":
                    hang_up(self.connection, reset=fault.reset)
                self.send(reply, request, fault)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def receive(self, body: IO[bytes], request: Request, fault: Fault) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        if fault.kind == "drop":
            left = min(left, fault.after)
        while left:
            if not (chunk := self.rfile.read(min(left, CHUNK))):
                raise ConnectionAbortedError
            if fault.kind == "corrupt" and not request.received:
                chunk = turned(chunk)
            body.write(chunk)
            left -= len(chunk)
            request.received += len(chunk)
        if fault.kind == "drop":
            hang_up(self.connection, reset=fault.reset)
        body.seek(0)

    def send(self, reply: Answer, request: Request, fault: Fault) -> None:
        headers = {"X-Request-Id": secrets.token_hex(8)}
        content = reply.content
        if not isinstance(content, bytes | Path):
            content = b"" if content is None else json.dumps(content).encode()
            headers["Content-Type"] = "application/json"
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        request.status, start, end = reply.status, 0, size
        if isinstance(content, Path):
            request.status, start, end = self.part(size, reply.headers["ETag"])
            if request.status == 206:
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            elif request.status == 416:
                headers["Content-Range"] = f"bytes */{size}"
        self.send_response(request.status)
        for name, value in {**headers, "Content-Length": str(end - start), **reply.headers}.items():
            self.send_header(name, value.replace("\n", " "))
        self.end_headers()
        if self.command != "HEAD":
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
                source.seek(start)
                self.send_body(source, end - start, request, fault)

    def part(self, size: int, etag: str) -> tuple[int, int, int]:
        """-> the status, and from where to where a file is sent"""
        if self.headers.get("If-None-Match") == etag:
            return 304, 0, 0
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            return 200, 0, size
        start, end = int(asked[1]), min(size, int(asked[2] or size) + 1)
        return (206, start, end) if start < end else (416, 0, 0)

    def send_body(self, source: IO[bytes], left: int, request: Request, fault: Fault) -> None:
        whole = left
        if fault.kind == "cut":
            left = min(left, fault.after)
        while left and (chunk := source.read(min(left, CHUNK))):
            if fault.kind == "corrupt" and not request.received and not request.sent:
                chunk = turned(chunk)
            self.wfile.write(chunk)
            request.sent += len(chunk)
            left -= len(chunk)
        if request.sent < whole:
            hang_up(self.connection, reset=fault.reset)


def turned(chunk: bytes) -> bytes:
    """With another first byte."""
    return bytes([chunk[0] ^ 255]) + chunk[1:]


def hang_up(connection: socket.socket, *, reset: bool) -> None:
    """Raises: ConnectionAbortedError, always."""
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())
    raise ConnectionAbortedError
