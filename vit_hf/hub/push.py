"""A folder to a repository on the Hub, in one commit that is made as a whole or not at all."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from time import sleep
from typing import Any, TypedDict, TypeVar, Unpack

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import validate_repo_id

from ..errors import UserError
from .errors import FAILED_REQUEST, LOGIN, explain_hub_errors, first_line, status_of
from .repository import repository_files

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

ATTEMPTS = 5
LONGEST_WAIT = 120.0  # seconds

# What of an earlier push is in the way where this one does not bring it again.
OWN_FILES = ("*.py", "*.safetensors", "*.safetensors.index.json")
UNCHANGED = "The repository is as it was."


def is_own_file(path: str) -> bool:
    return any(fnmatch(path, pattern) for pattern in OWN_FILES)


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


@dataclass(frozen=True)
class Pushed:
    """A commit on the Hub, in the words of huggingface_hub's CommitInfo."""

    repo_id: str
    oid: str
    commit_url: str
    tag: str | None = None
    pr_url: str | None = None


class PushOptions(TypedDict, total=False):
    """branch: made if it is missing, at `revision` where that is said. tag: of the new commit. private: if the
    repository is made. create_pr: ask for the change instead of making it. message: of the commit."""

    branch: str | None
    revision: str | None
    tag: str | None
    private: bool
    create_pr: bool
    message: str | None
    token: str | None


def push(folder: Path, repo_id: str, **options: Unpack[PushOptions]) -> Pushed:
    """Publish the model in a folder: what `repository_files` names, and nothing else.

    Raises: UserError, in a sentence; then the repository is as it was, and one that was made for this is gone.
    """
    return push_files({name: folder / name for name in repository_files(folder)}, repo_id, **options)


def push_files(
    files: Mapping[str, Path | bytes],
    repo_id: str,
    *,
    branch: str | None = None,
    revision: str | None = None,
    tag: str | None = None,
    private: bool = False,
    create_pr: bool = False,
    message: str | None = None,
    token: str | None = None,
    replaces: Callable[[str], bool] = is_own_file,
) -> Pushed:
    """These files, in one commit; of the others in the repository those vanish that `replaces` names. See PushOptions.

    Raises: UserError, as `push`.
    """
    if create_pr and branch not in (None, "main"):
        raise UserError(f"A pull request is made against main, and not against {branch}; leave one of the two out.")
    api = HfApi(token=token)
    repo_id = full_name(api, repo_id)
    with explain_hub_errors(repo_id, revision, after=UNCHANGED), undone_if_it_fails(api) as made:
        prepare_branch(api, repo_id, made, branch=branch, revision=revision, tag=tag, private=private)
        where = branch or "main"
        pulls = pull_requests(api, repo_id) if create_pr else set()

        def commit() -> Any:
            if create_pr and (new := pull_requests(api, repo_id) - pulls):
                return api.repo_info(repo_id, revision=new.pop())  # made before, though no answer came
            there = api.list_repo_files(repo_id, revision=where)
            operations = [CommitOperationAdd(path, file) for path, file in files.items()]
            gone = [CommitOperationDelete(path) for path in there if path not in files and replaces(path)]
            return api.create_commit(
                repo_id,
                [*operations, *gone],
                commit_message=message or "Publish the model",
                revision=where,
                create_pr=create_pr,
            )

        # Made anew at each attempt: of a commit whose answer was lost, nothing is left to be changed.
        info = with_retries(commit)
        commit_id = getattr(info, "oid", None) or info.sha
        made.clear()
    if tag is not None:
        with explain_hub_errors(repo_id, after=f"The commit {commit_id} is made; only its tag {tag} is missing."):
            with_retries(lambda: api.create_tag(repo_id, tag=tag, revision=commit_id, exist_ok=True))
    url = f"{api.endpoint}/{repo_id}/commit/{commit_id}"
    return Pushed(repo_id, commit_id, url, tag, getattr(info, "pr_url", None))


def full_name(api: HfApi, repo_id: str) -> str:
    """owner/name. Raises: UserError for an id that is none, without a token, with one that is wrong or only reads."""
    if repo_id.count("/") > 1 or not all(repo_id.split("/")):
        raise UserError(f"{repo_id!r} is no id of a repository; write it owner/name.")
    with explain_hub_errors(repo_id, after=UNCHANGED):
        validate_repo_id(repo_id)
        if not (api.token or get_token()):
            raise UserError(f"There is no token for the Hub; {LOGIN}.")
        who = with_retries(api.whoami)
    owner = repo_id.partition("/")[0] if "/" in repo_id else who["name"]
    own = [who["name"], *(one["name"] for one in who.get("orgs", []))]
    if owner not in own:
        raise UserError(f"Your token is that of {', '.join(own)}, which may not write to {repo_id}; take {own[0]}/...")
    if who.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise UserError(f"Your token may only read, and not write to {repo_id}; {LOGIN}.")
    return repo_id if "/" in repo_id else f"{owner}/{repo_id}"


def prepare_branch(
    api: HfApi,
    repo_id: str,
    made: list[Callable[[], Any]],
    *,
    branch: str | None,
    revision: str | None,
    tag: str | None,
    private: bool,
) -> None:
    """A repository and a branch to commit to; how each is undone again goes into `made`."""
    if not with_retries(lambda: api.repo_exists(repo_id)):
        # Before it is known to be made: of a request without an answer nobody knows what became.
        made.append(lambda: api.delete_repo(repo_id, missing_ok=True))
        with_retries(lambda: api.create_repo(repo_id, private=private, exist_ok=True))
    refs = with_retries(lambda: api.list_repo_refs(repo_id))
    taken = {ref.name: ref.target_commit for ref in refs.tags}
    if tag in taken:
        raise UserError(f"{repo_id} has a tag {tag} already, at {taken[tag][:8]}; take another. {UNCHANGED}")
    if branch is not None and branch not in {ref.name for ref in refs.branches}:
        made.append(lambda: api.delete_branch(repo_id, branch=branch))
        with_retries(lambda: api.create_branch(repo_id, branch=branch, revision=revision, exist_ok=True))


def pull_requests(api: HfApi, repo_id: str) -> set[str]:
    refs = api.list_repo_refs(repo_id, include_pull_requests=True)
    return {ref.ref for ref in refs.pull_requests or []}


class undone_if_it_fails:
    """A list of what is to be called, last first, if the block fails; a failure of that is not told."""

    def __init__(self, api: HfApi):
        self.api = api
        self.undo: list[Callable[[], Any]] = []

    def __enter__(self) -> list[Callable[[], Any]]:
        return self.undo

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            for step in reversed(self.undo):
                try:
                    with_retries(step)
                except FAILED_REQUEST:
                    continue
