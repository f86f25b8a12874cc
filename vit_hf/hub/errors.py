"""What went wrong on the way to the Hub, in a sentence that says what would help."""

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import UserError

# What is raised where a connection breaks comes from the HTTP library below huggingface_hub, which has changed its
# name; the errors of the Hub inherit from the same class.
BROKEN: type[Exception] = HfHubHTTPError.__bases__[0]  # pyright: ignore[reportAssignmentType]
FROM_HUB = (BROKEN, EntryNotFoundError, HFValidationError, OfflineModeIsEnabled)
LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


@contextmanager
def in_sentences(repository: str, revision: str | None = None) -> Iterator[None]:
    """Raises: UserError instead of whatever the Hub's clients raise."""
    try:
        yield
    except FROM_HUB as error:
        raise UserError(sentence(error, repository, revision)) from error
    except OSError as error:
        raise UserError(f"{repository} cannot be fetched or kept ({first_line(error)}).") from error


def sentence(error: Exception, repository: str, revision: str | None = None) -> str:
    page = f"{constants.ENDPOINT}/{repository}"
    if isinstance(error, GatedRepoError):
        return f"{repository} is for those who accepted its license on {page}; do so, and {LOGIN}."
    if isinstance(error, RepositoryNotFoundError):
        return f"{repository} is no folder here, and no repository on the Hub{unless_private()}"
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no branch, tag or commit {revision or 'main'}; {page}/tree/main lists them."
    if isinstance(error, HFValidationError):
        return f"{repository} is no id of a repository ({first_line(error)}); it is written owner/name."
    if isinstance(error, LocalEntryNotFoundError):
        reason = error.__cause__ or error.__context__ or error
        return (
            f"{repository} is no folder here, and not, or not whole, in the cache. {unreachable(reason)} "
            f"Fetch it where there is a network (`hf download {repository}`)."
        )
    if isinstance(error, EntryNotFoundError):
        return f"{repository} lacks a file ({first_line(error)})."
    return f"{unreachable(error)} Try {repository} again later."


def unless_private() -> str:
    if get_token() is None:
        return f"; if it is private, {LOGIN}."
    return ", or it is private and your token may not read it (`hf auth whoami` says whose it is)."


def unreachable(error: BaseException) -> str:
    """Why the Hub did not do what was asked."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return f"The Hub does not know your token: {LOGIN} with a new one."
    if status == 403:
        return f"Your token may not do this ({first_line(error)}): {LOGIN} with one that may."
    if status == 429:
        return "The Hub has had too many requests from here; wait some minutes."
    if status is not None:
        return f"The Hub answered with an error ({status})."
    if isinstance(error, OfflineModeIsEnabled):
        return "The Hub is not asked, because HF_HUB_OFFLINE is set."
    return f"The connection to the Hub failed ({first_line(error)})."


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).split("\n") if line.strip()), type(error).__name__)
