"""What goes around the application that answers requests: heads and bodies end at a limit, and all answers are counted.

But for heads, which come before any application, these are ASGI applications around another
(https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Seconds that a refused head or body is read and thrown away, so that its sender comes to read the answer.
LINGER = 2.0
LARGEST_HEAD = 2**16  # bytes; a longer one is taken where the system hands it over in one piece
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class BoundedHeads(H11Protocol):
    """A connection on which a head of more than `LARGEST_HEAD` bytes gets an error 431.

    uvicorn says 400 and closes at once, upon which the system resets what its sender is still writing.
    """

    refused = False

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way or getattr(sys.exception(), "error_status_hint", 400) != 431:
            super().send_400_response(msg)
            return
        self.refused = True
        said = f"The head of the request has more than {LARGEST_HEAD:,} bytes; send a shorter address or fewer headers."
        body = json.dumps({"detail": said}).encode()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.loop.call_later(LINGER, self.transport.close)


class BoundedBodies:
    """An application that gets no more than `most` bytes of a body, and of a longer one an error 413.

    Where it answers before a body has ended, the connection ends with the answer.
    """

    def __init__(self, app: Application, most: int):
        self.app, self.most = app, most

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        said = headers.get("content-length", "0")
        declared = int(said) if said.isdecimal() else 0
        read, ended = 0, not declared and "transfer-encoding" not in headers

        async def bounded() -> Message:
            nonlocal read, ended
            if declared > self.most:
                raise self.too_large(f"{declared:,}")
            message = await receive()
            read += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if read > self.most:
                raise self.too_large(f"more than {self.most:,}")
            return message

        async def answered(message: Message) -> None:
            if not ended and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            elif not ended and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await thrown_away(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, bounded, answered)

    def too_large(self, size: str) -> HTTPException:
        return HTTPException(
            413,
            f"The body has {size} bytes, and {self.most:,} are taken; send fewer or smaller files, or start the "
            "server with a larger --max-bytes.",
        )


async def thrown_away(receive: Receive) -> None:
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


class Metrics:
    """What /metrics says. queued: how many items wait for the model."""

    def __init__(self, queued: Callable[[], float]):
        self.registry = CollectorRegistry()
        known = self.registry
        self.requests = Counter("vit_hf_requests", "Answered requests", ["path", "status"], registry=known)
        self.seconds = Histogram("vit_hf_request_seconds", "From head to answer", ["path"], registry=known)
        self.batches = Histogram("vit_hf_batch_size", "Items answered at once", buckets=BATCH_SIZES, registry=known)
        self.under_way = Gauge("vit_hf_requests_under_way", "Requests to /predict without an answer", registry=known)
        Gauge("vit_hf_queued", "Prepared items that wait for the model", registry=known).set_function(queued)
        ProcessCollector(registry=known)


class CountedAnswers:
    """An application whose answers are counted. paths: those that have figures of their own."""

    def __init__(self, app: Application, metrics: Metrics, paths: frozenset[str]):
        self.app, self.metrics, self.paths = app, metrics, paths

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self.paths else "other"
        begun, status = time.monotonic(), 500

        async def answered(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, answered)
        finally:
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(time.monotonic() - begun)
