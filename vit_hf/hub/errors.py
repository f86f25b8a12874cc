"""What went wrong between here and the Hub, in a sentence that says what would help."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import UserError, first_line

# What is raised where a connection breaks comes from the HTTP library below huggingface_hub, which has changed its
# name; the errors of the Hub inherit from the same class.
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]  # pyright: ignore[reportAssignmentType]
GARBLED = (JSONDecodeError, UnicodeDecodeError)  # the answer of a proxy, or of a network that wants a login
# What comes back where a request failed on the way; a RuntimeError is wrapped around that of an upload.
FAILED_REQUEST = (HTTP_ERROR, RuntimeError, *GARBLED)
FROM_HUB = (*FAILED_REQUEST, EntryNotFoundError, HFValidationError, OfflineModeIsEnabled)
LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


@contextmanager
def explain_hub_errors(repository: str, revision: str | None = None, *, after: str = "") -> Iterator[None]:
    """Around what asks the Hub. `after` a push that failed: what that means for the repository.

    Raises: UserError in place of whatever the Hub's client raises.
    """
    try:
        yield
    except FROM_HUB as error:
        raise UserError(f"{sentence(error, repository, revision)} {after}".rstrip()) from error
    except OSError as error:
        raise UserError(f"{repository} cannot be fetched or kept ({first_line(error)}). {after}".rstrip()) from error
    except ValueError as error:
        if not str(error).startswith("Invalid metadata"):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"The Hub refused the card ({reason}); check its header. {after}".rstrip()) from error


def sentence(error: BaseException, repository: str, revision: str | None) -> str:
    """Errors of several kinds at once are told as the most particular of them."""
    page = f"{constants.ENDPOINT}/{repository}"
    if isinstance(error, GatedRepoError):
        return f"{repository} is for those who accepted its license on {page}; do so, and {LOGIN}."
    if isinstance(error, RepositoryNotFoundError):
        return f"{repository} is no folder here, and no repository on the Hub{unless_private()}"
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no branch, tag or commit {revision or 'main'}; {page}/tree/main lists them."
    if isinstance(error, HFValidationError):
        return f"{repository!r} is no id of a repository ({first_line(error)}); it is written owner/name."
    if isinstance(error, LocalEntryNotFoundError):
        reason = unanswered(error.__cause__ or error.__context__ or error, repository)
        return (
            f"{repository} is no folder here, and not, or not whole, in the cache. {reason} "
            f"Fetch it where there is a network (`hf download {repository}`)."
        )
    if isinstance(error, EntryNotFoundError):
        return f"{repository} lacks a file ({first_line(error)})."
    if isinstance(error, BadRequestError):
        return f"The Hub refused what was sent to {repository} ({first_line(error)}); try again, or check the files."
    return unanswered(error, repository)


def unless_private() -> str:
    if get_token() is None:
        return f"; if it is private, {LOGIN}."
    return ", or it is private and your token may not read it (`hf auth whoami` says whose it is)."


def unanswered(error: BaseException, repository: str) -> str:
    """Why the Hub did not do what was asked."""
    status = status_of(error)
    if status == 401:
        return f"The Hub does not know your token: {LOGIN} with a new one."
    if status == 403:
        return f"Your token may not do this with {repository} ({first_line(error)}): {LOGIN} with one that may."
    if status == 429:
        return "The Hub has had too many requests from here; wait some minutes, and run the same command again."
    if isinstance(error, OfflineModeIsEnabled):
        return "The Hub is not asked, because HF_HUB_OFFLINE is set; unset it."
    if isinstance(error, GARBLED):
        return (
            "What came was no answer of the Hub, but garbled, or the page of a network or a proxy that wants a login: "
            "open any page in a browser, log in where it asks, and run the same command again."
        )
    what = f"The Hub answered with an error ({status})" if status else f"The connection failed ({first_line(error)})"
    return f"{what}; run the same command again, what has arrived is not sent twice."


def status_of(error: BaseException) -> int | None:
    """None where no answer came."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None
