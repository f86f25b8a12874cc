"""The application: files in, labels out, and a sentence for everything else that may come in."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ByteSize, Field, create_model
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..data.decode.files import UnreadableImage
from ..errors import UserError
from ..settings import Section
from ..version import __version__
from .batching import Batcher, ServedModel
from .bodies import BoundedBodies, CountedAnswers, Metrics

ANY_TYPE = "application/octet-stream"
MOST_PARTS = 1000  # of a form, whatever the number of images that are taken
# What is a program or a list of places to read from, and no picture: PostScript, HLS, DASH, FFmpeg's lists, SDP, SVG.
TEXT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<|#|%!|\[|ffconcat|v=)|\xc5\xd0\xd3\xc6")
SAID = {
    400: "a form or a request that cannot be read",
    408: "a body that comes too slowly",
    413: "too large a body, or too many files",
    415: "a type that is not taken",
    422: "a file that cannot be read",
    431: "too long an address, or headers",
    503: "too much to do; Retry-After says when to come again",
}


class Serving(Section):
    """Limits and sizes of a server; the command's options."""

    max_batch: int = Field(default=16, ge=1, le=4096, description="items that the model answers at once")
    batch_wait_ms: float = Field(default=5, ge=0, le=60_000, description="milliseconds that the first waits for others")
    max_bytes: ByteSize = Field(default=ByteSize(20_000_000), ge=1, description="of a request, such as 20MB")
    max_count: int = Field(default=32, ge=1, le=MOST_PARTS, description="files in one request")
    max_pixels: int = Field(default=50_000_000, ge=1, description="larger images are not read")
    max_waiting: int = Field(default=256, ge=1, description="requests at once; more are told to come again")
    timeout: float = Field(default=30, gt=0, le=3600, description="seconds for a body to come, and for an answer")
    workers: int = Field(default=2, ge=1, le=256, description="threads that decode and resize")
    top: int = Field(default=3, ge=1, description="labels in an answer")


class Refusal(BaseModel):
    detail: str


class Named(NamedTuple):
    """A file, and how a sentence calls it."""

    name: str
    data: bytes


class Busy(HTTPException):
    """An error 503, with the time to come again."""

    def __init__(self, sentence: str):
        super().__init__(503, sentence, headers={"Retry-After": "1"})


def answer_schemas(served: ServedModel) -> tuple[type[BaseModel], type[BaseModel]]:
    """-> of one file, and of each of several"""
    figure = "value" if served.config.problem_type == "regression" else "probability"
    fields: Any = {"label": (str, ...), figure: (float, ...)}
    predictions: Any = {"predictions": (list[create_model("Prediction", **fields)], ...)}
    name: Any = {served.modality.noun: (str, Field(description="the name of the file"))}
    return create_model("Answer", **predictions), create_model("NamedAnswer", **name, **predictions)


def body_schema(served: ServedModel) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    kinds = [f"{start}*" for start in served.modality.media_types]
    form = {
        "type": "object",
        "properties": {"file": {"type": "array", "items": file}},
        "required": ["file"],
        "description": "any name of a field does, each as often as there are files",
    }
    content = {kind: {"schema": file} for kind in [*kinds, ANY_TYPE]}
    return {"requestBody": {"required": True, "content": content | {"multipart/form-data": {"schema": form}}}}


class Predicting:
    """What happens between a request and its answer."""

    def __init__(self, served: ServedModel, settings: Serving):
        self.served, self.settings, self.modality = served, settings, served.modality
        self.metrics = Metrics(lambda: self.batcher.queue.qsize())
        self.batcher = Batcher(
            served.answer,
            largest=settings.max_batch,
            wait=settings.batch_wait_ms / 1000,
            seen=self.metrics.batches.observe,
        )
        self.threads = ThreadPoolExecutor(settings.workers, "decoding")
        self.under_way = 0
        self.batching: asyncio.Task | None = None

    @property
    def ready(self) -> bool:
        return self.batching is not None and not self.batching.done()

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        self.batching = asyncio.create_task(self.batcher.run())
        yield
        self.batching.cancel()
        for pool in (self.threads, self.batcher.thread):
            pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        if self.under_way >= self.settings.max_waiting:
            raise Busy(f"{self.under_way} requests are under way, and no more are taken; come again in a second.")
        self.under_way += 1
        self.metrics.under_way.set(self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1
            self.metrics.under_way.set(self.under_way)

    async def answer(self, request: Request) -> Response:
        with self.admitted():
            files, several = await self.files_of(request)
            try:
                async with asyncio.timeout(self.settings.timeout):
                    answers = await self.answers_for(files)
            except TimeoutError:
                raise Busy(
                    f"There was no answer within {self.settings.timeout:g} seconds, for there is too much to do; come "
                    "again later, or start the server with a longer --timeout."
                ) from None
        if not several:
            return JSONResponse({"predictions": answers[0]})
        named = zip(files, answers, strict=True)
        return JSONResponse([{self.modality.noun: file.name, "predictions": found} for file, found in named])

    async def answers_for(self, files: list[Named]) -> list[list[dict[str, Any]]]:
        loop = asyncio.get_running_loop()
        try:
            items = await asyncio.gather(
                *(loop.run_in_executor(self.threads, self.served.prepare, file.data, file.name) for file in files)
            )
            return [self.served.answers(row) for row in await asyncio.gather(*map(self.batcher, items))]
        except UnreadableImage as error:
            most = f"{self.settings.max_pixels:,} pixels"
            raise HTTPException(
                422, f"{error}. Send {self.modality.article} that is whole, of {most} at most."
            ) from error

    async def files_of(self, request: Request) -> tuple[list[Named], bool]:
        """-> and whether they came in a form, as several may"""
        kind = media_type(request.headers.get("content-type"))
        several = kind == "multipart/form-data"
        if not several:
            self.refuse_type(kind, "The body")
        try:
            async with asyncio.timeout(self.settings.timeout):
                body = await request.body()
        except TimeoutError:
            raise HTTPException(
                408,
                f"The body did not come within {self.settings.timeout:g} seconds; send a smaller file, or start the "
                "server with a longer --timeout.",
            ) from None
        files = await self.files_in_form(request) if several else [Named(f"the {self.modality.noun}", body)]
        for file in files:
            if TEXT.match(file.data):
                raise HTTPException(415, f"{file.name} is text, and no {self.modality.noun}; {self.way_out()}")
        return files, several

    async def files_in_form(self, request: Request) -> list[Named]:
        files = []
        async with request.form(max_files=MOST_PARTS, max_fields=MOST_PARTS) as form:
            for field, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    raise HTTPException(422, f"The form's field {field!r} is text, and no file; {self.way_out()}")
                self.refuse_type(media_type(value.content_type), f"The form's {value.filename!r}")
                files.append(Named(value.filename or field, await value.read()))
        if not files:
            raise HTTPException(422, f"There is no file in the form; {self.way_out()}")
        if len(files) > (most := self.settings.max_count):
            raise HTTPException(
                413, f"The form holds {len(files)} files, and {most} are taken at once; send them in several requests."
            )
        return files

    def refuse_type(self, kind: str, whose: str) -> None:
        if kind != ANY_TYPE and not kind.startswith(self.modality.media_types):
            raise HTTPException(415, f"{whose} is of the type {kind!r}, which is not taken; {self.way_out()}")

    def way_out(self) -> str:
        kind = f"{self.modality.media_types[0]}..."
        return (
            f"send {self.modality.article} as the body (curl --data-binary @FILE -H 'Content-Type: {kind}'), or one or "
            "more in a form (curl -F file=@FILE)."
        )


def media_type(header: str | None) -> str:
    """Without parameters; what says nothing may be anything."""
    return (header or ANY_TYPE).partition(";")[0].strip().lower()


def make_app(served: ServedModel, settings: Serving) -> FastAPI:
    """POST /predict, GET /health, /metrics, /docs and /openapi.json, of a model that is loaded."""
    predicting = Predicting(served, settings)
    title = f"{served.name} names what is in {served.modality.plural}"
    app = FastAPI(title=title, version=__version__, lifespan=predicting.running, redoc_url=None)
    one, several = answer_schemas(served)
    refusals: Any = {status: {"model": Refusal, "description": said} for status, said in SAID.items()}
    answered = {"model": one | list[several], "description": "of a body one, of a form a list with one for each file"}

    @app.post("/predict", response_model=None, openapi_extra=body_schema(served), responses={**refusals, 200: answered})
    async def predict(request: Request) -> Response:
        """The most probable labels of what is in a file, or in each of several."""
        return await predicting.answer(request)

    @app.get("/health", response_model=None, responses={503: {"description": "not ready"}})
    async def health() -> Response:
        """Whether the model answers, and what it is."""
        status = "ready" if predicting.ready else "not ready"
        about = {"model": served.name, "takes": served.modality.noun, "labels": served.labels}
        return JSONResponse({"status": status, **about}, 200 if predicting.ready else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """In the format of Prometheus."""
        return Response(generate_latest(predicting.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    answer_mistakes(app)
    paths = {getattr(route, "path", "") for route in app.routes}
    app.add_middleware(BoundedBodies, most=int(settings.max_bytes))  # pyright: ignore[reportArgumentType]
    app.add_middleware(CountedAnswers, metrics=predicting.metrics, paths=frozenset(paths))  # pyright: ignore[reportArgumentType]
    return app


def answer_mistakes(app: FastAPI) -> None:
    """Each in a sentence, {"detail": ...}."""
    offered = "POST /predict, GET /health, GET /metrics, GET /docs and GET /openapi.json"

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        said, asked = error.detail, f"{request.method} {request.url.path}"
        if error.status_code == 404:
            said = f"There is no {asked}; there are {offered}."
        elif error.status_code == 405:
            said = f"{asked} is not answered; there are {offered}."
        elif error.status_code == 400:
            said = f"The form cannot be read ({error.detail}); send it as curl -F file=@FILE does."
        return JSONResponse({"detail": said}, error.status_code, error.headers)

    @app.exception_handler(UserError)
    async def unfit(request: Request, error: UserError) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # which nobody reads

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "The server failed over this request; its log says where."}, 500)
