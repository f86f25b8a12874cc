"""Asking the Hub again where its client gives up."""

import logging
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError

from .errors import FAILED_REQUEST, first_line, status_of

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

ATTEMPTS = 5
LONGEST_WAIT = 120.0  # seconds


def is_transient(error: Exception) -> bool:
    """Whether the same request may go well a little later. The storage refuses what did not arrive as it was sent."""
    uploading = isinstance(error, RuntimeError)
    status = status_of((uploading and error.__cause__) or error)
    return status is None or status in (408, 429) or status >= 500 or (uploading and status == 400)


def backoff(error: Exception, attempt: int) -> float:
    """Seconds to wait: what the Hub asks for, else 1, 2, 4, 8."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(float(asked), LONGEST_WAIT) if asked.replace(".", "", 1).isdigit() else 2.0**attempt


def with_retries(call: Callable[[], Result]) -> Result:
    """The result of a call that may be made twice: it looks anew at what the Hub holds, or changes nothing again."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except FAILED_REQUEST as error:
            if attempt == ATTEMPTS - 1 or not is_transient(error):
                raise
            wait = backoff(error, attempt)
            logger.info("The Hub did not answer (%s); trying again in %g s.", first_line(error), wait)
            sleep(wait)
    raise AssertionError("every attempt returns or raises")
