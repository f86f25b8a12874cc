"""Asking the Hub again where its client gives up, and saying in a sentence what went wrong in the end."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from time import sleep
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import UserError
from .errors import BROKEN as HTTP_ERROR
from .errors import first_line

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# What comes back where a request failed on the way. A RuntimeError is wrapped around that of an upload. An answer that
# is no JSON is that of a proxy, or of a network that wants a login.
BROKEN = (HTTP_ERROR, RuntimeError, JSONDecodeError, UnicodeDecodeError)
ATTEMPTS = 5
LONGEST_WAIT = 120.0  # seconds
LOGIN = "log in with `hf auth login`, or set HF_TOKEN, with a token that may write"


def status_of(error: BaseException) -> int | None:
    """None where no answer came."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def passes(error: Exception) -> bool:
    """Whether the same request may go well a little later. The storage refuses what did not arrive as it was sent."""
    uploading = isinstance(error, RuntimeError)
    status = status_of((uploading and error.__cause__) or error)
    return status is None or status in (408, 429) or status >= 500 or (uploading and status == 400)


def seconds_to_wait(error: Exception, attempt: int) -> float:
    """What the Hub asks for, else 1, 2, 4, 8 seconds."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(float(asked), LONGEST_WAIT) if asked.replace(".", "", 1).isdigit() else 2.0**attempt


def patiently(call: Callable[[], Result]) -> Result:
    """The result of a call that may be made twice: it looks anew at what the Hub holds, or changes nothing again."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except BROKEN as error:
            if attempt == ATTEMPTS - 1 or not passes(error):
                raise
            wait = seconds_to_wait(error, attempt)
            logger.info("The Hub did not answer (%s); trying again in %g s.", first_line(error), wait)
            sleep(wait)
    raise AssertionError("every attempt returns or raises")


@contextmanager
def in_a_sentence(repo_id: str, unchanged: str = "") -> Iterator[None]:
    """Raises: UserError in place of what the client raises; `unchanged` says what that means for the repository."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise UserError("The Hub is not asked, because HF_HUB_OFFLINE is set; unset it to publish.") from error
    except HFValidationError as error:
        raise UserError(f"{repo_id!r} is no id of a repository ({first_line(error)}); write it owner/name.") from error
    except BROKEN as error:
        raise UserError(f"{sentence(error, repo_id)} {unchanged}".rstrip()) from error
    except ValueError as error:
        if not str(error).startswith("Invalid metadata"):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"The Hub refused the card ({reason}); check its header. {unchanged}") from error


def sentence(error: Exception, repo_id: str) -> str:
    status = status_of(error)
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such branch, tag or commit ({first_line(error)})."
    if isinstance(error, RepositoryNotFoundError):
        return f"There is no {repo_id} on {constants.ENDPOINT}, or your token may not see it."
    if status == 401:
        return f"The Hub does not know your token; {LOGIN}."
    if status == 403:
        return f"Your token may not do this with {repo_id} ({first_line(error)}); {LOGIN}, or take another name."
    if isinstance(error, BadRequestError):
        return f"The Hub refused what was sent to {repo_id} ({first_line(error)}); try again, or check the files."
    if isinstance(error, (JSONDecodeError, UnicodeDecodeError)):
        return "The Hub's answer was garbled on the way; run the same command again."
    if status == 429:
        return "The Hub has had too many requests from here; wait some minutes, and run the same command again."
    reason = f"it answered {status}" if status else first_line(error)
    return f"The Hub cannot be reached ({reason}); run the same command again, what was uploaded is not sent twice."
