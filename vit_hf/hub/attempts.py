"""Requests to the Hub that are made again; and where that did not help, what became of the repository, as far as it is
known.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, Literal, TypeVar

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from ..errors import UserError, first_line
from ..files import hash_of
from .errors import FAILED_REQUEST, explain_hub_errors, status_of

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
RepoType = Literal["model", "space"]

ATTEMPTS = 5
LONGEST_WAIT = 120.0  # seconds
UNCHANGED = "The repository is as it was."
GONE = (404, 410)


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


class Overtaken(UserError):
    """Somebody else's commit came first, and nothing of this push is there."""


@dataclass
class Made:
    """Something that a push made on its way. untouched: whether nobody else has put anything into it."""

    what: str
    untouched: Callable[[], bool]
    undo: Callable[[], Any]


class Attempt:
    """One push. base: the commit that it builds on, once it is known. asked: whether a commit was asked for, and no
    clear answer came. holds: whether a commit is the one that it would make. pulls: the pull requests that there were,
    where it asks for one.
    """

    def __init__(
        self, api: HfApi, repo_id: str, branch: str, holds: Callable[[str], bool], repo_type: RepoType = "model"
    ):
        self.api, self.repo_id, self.branch, self.holds = api, repo_id, branch, holds
        self.repo_type: RepoType = repo_type
        self.made: list[Made] = []
        self.base: str | None = None
        self.pulls: set[str] | None = None
        self.asked = False

    @property
    def page(self) -> str:
        return f"{self.api.endpoint}/{'spaces/' if self.repo_type == 'space' else ''}{self.repo_id}"

    def head(self) -> str:
        kind = self.repo_type
        return with_retries(lambda: str(self.api.repo_info(self.repo_id, revision=self.branch, repo_type=kind).sha))

    def overtaken_by(self, commit: str) -> Overtaken:
        return Overtaken(
            f"Somebody else has pushed to {self.repo_id} since this push began (commit {commit[:8]}), and nothing of "
            f"this one is there. Look at {self.page}/commits/{self.branch}; run the same command again to put this "
            "model in the place of that one."
        )

    def clear_up(self, error: BaseException) -> str:
        """Undo what was made, and say how the repository is now."""
        if self.asked and (fate := self.fate()) is not None:
            return fate
        left = []
        for one in reversed(self.made):
            if (stays := self.undo(one)) is None:
                left = []  # what lay in it is gone too
            elif stays:
                left.append(one.what)
        if left:
            return f"Nothing was committed.{self.left(left)}"
        return "" if isinstance(error, Overtaken) else UNCHANGED

    def fate(self) -> str | None:
        """Of what was asked for without an answer, as far as it is known; None where it was not done."""
        wanted = "commit" if self.pulls is None else "pull request"
        try:
            if self.pulls is not None:
                new = with_retries(lambda: pull_requests(self.api, self.repo_id, self.repo_type)) - self.pulls
                return f"And yet a pull request is made: look at {self.page}/discussions." if new else None
            now = self.head()
            if now == self.base:
                return None
            if self.holds(now):
                return f"And yet the commit {now[:8]} is made: {self.page} holds what was pushed."
        except FAILED_REQUEST:
            return (
                f"Whether the {wanted} was made is not known, because the Hub does not answer: look at {self.page}."
                f"{self.left([one.what for one in self.made])}"
            )
        return f"Since it began somebody else has pushed {now[:8]}; of this push nothing is there."

    def undo(self, one: Made) -> bool | None:
        """-> None where it is gone, whether it may be left else; what others have put something into is theirs."""
        try:
            if not with_retries(one.untouched):
                return False
            with_retries(one.undo)
        except FAILED_REQUEST as error:
            return None if status_of(error) in GONE else True
        return None

    def left(self, what: list[str]) -> str:
        if not what:
            return ""
        return f" {' and '.join(what)}, made for this push, may be left there: look at {self.page}, and remove what is."


@contextmanager
def told_if_it_fails(attempt: Attempt, revision: str | None) -> Iterator[None]:
    """Raises: UserError in place of whatever the Hub's client raises, which says how the repository is now."""
    try:
        yield
    except BaseException as error:
        told = attempt.clear_up(error)
        if isinstance(error, UserError):
            if not told:
                raise
            raise UserError(f"{error} {told}".rstrip()) from (error.__cause__ or error)
        with explain_hub_errors(attempt.repo_id, revision, after=told):
            raise


def pull_requests(api: HfApi, repo_id: str, repo_type: RepoType = "model") -> set[str]:
    refs = api.list_repo_refs(repo_id, include_pull_requests=True, repo_type=repo_type)
    return {ref.ref for ref in refs.pull_requests or []}


def is_commit_of(
    api: HfApi, repo_id: str, commit: str, files: Mapping[str, Path | bytes], repo_type: RepoType = "model"
) -> bool:
    """Whether all of these files are there, to the byte."""
    there = with_retries(lambda: api.get_paths_info(repo_id, [*files], revision=commit, repo_type=repo_type))
    found = {one.path: one for one in there}
    return files.keys() <= found.keys() and all(is_content(found[path], file) for path, file in files.items())


def is_content(entry: Any, file: Path | bytes) -> bool:
    """entry: of huggingface_hub, a file with the hash that the Hub knows it by."""
    large = getattr(entry, "lfs", None)
    known, kind = (large.sha256, "sha256") if large else (entry.blob_id, "git")
    return known == hash_of(file, kind)
