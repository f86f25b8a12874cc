"""A folder to a repository on the Hub, in one commit that is made as a whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypedDict, Unpack

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import validate_repo_id

from ..errors import UserError
from .attempts import UNCHANGED, Attempt, Made, RepoType, is_commit_of, pull_requests, told_if_it_fails, with_retries
from .errors import LOGIN, explain_hub_errors, status_of
from .repository import repository_files

# What of an earlier push is in the way where this one does not bring it again.
OWN_FILES = ("*.py", "*.safetensors", "*.safetensors.index.json")
OVERTAKEN = (409, 412)
SPACE_SDK = "gradio"


def is_own_file(path: str) -> bool:
    return any(fnmatch(path, pattern) for pattern in OWN_FILES)


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

    Raises: UserError, in a sentence that says how the repository is then: as it was, and one that was made for this
    gone, as far as the Hub answers.
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
    repo_type: RepoType = "model",
) -> Pushed:
    """These files, in one commit; of the others in the repository those vanish that `replaces` names. See PushOptions.

    repo_type: what the repository is, in the Hub's words.

    Raises: UserError, as `push`.
    """
    if create_pr and branch not in (None, "main"):
        raise UserError(f"A pull request is made against main, and not against {branch}; leave one of the two out.")
    api = HfApi(token=token)
    repo_id = full_name(api, repo_id)
    where = branch or "main"

    def holds(commit: str) -> bool:
        return is_commit_of(api, repo_id, commit, files, repo_type)

    attempt = Attempt(api, repo_id, where, holds, repo_type)
    with told_if_it_fails(attempt, revision):
        prepare_branch(attempt, branch=branch, revision=revision, tag=tag, private=private)
        base = attempt.base = attempt.head()
        pulls = attempt.pulls = pull_requests(api, repo_id, repo_type) if create_pr else None

        def commit() -> Any:
            if pulls is not None and (new := pull_requests(api, repo_id, repo_type) - pulls):
                # Made before, though no answer came.
                return api.repo_info(repo_id, revision=new.pop(), repo_type=repo_type)
            there = api.list_repo_files(repo_id, revision=base, repo_type=repo_type)
            operations = [CommitOperationAdd(path, file) for path, file in files.items()]
            gone = [CommitOperationDelete(path) for path in there if path not in files and replaces(path)]
            attempt.asked = True
            try:
                return api.create_commit(
                    repo_id,
                    [*operations, *gone],
                    commit_message=message or "Publish the model",
                    revision=where,
                    create_pr=create_pr,
                    repo_type=repo_type,
                    parent_commit=base,  # of two that push at once the second is refused, and mixes nothing
                )
            except HfHubHTTPError as error:
                if status_of(error) not in OVERTAKEN:
                    raise
                return own_commit(attempt, error)

        # Operations are made anew at each attempt, for they remember what was sent.
        info = with_retries(commit)
        commit_id = getattr(info, "oid", None) or info.sha
    if tag is not None:
        made = f"The commit {commit_id} is made; whether its tag {tag} is there, {attempt.page}/tags shows."
        with explain_hub_errors(repo_id, after=made):
            with_retries(
                lambda: api.create_tag(repo_id, tag=tag, revision=commit_id, exist_ok=True, repo_type=repo_type)
            )
    url = f"{attempt.page}/commit/{commit_id}"
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


def own_commit(attempt: Attempt, error: HfHubHTTPError) -> Any:
    """The commit that the branch has instead of the one that was built on, where it is this push's own: made before,
    though no answer came. Raises: Overtaken where it is another's, and `error` where the branch has not moved.
    """
    now = attempt.head()
    if now == attempt.base:
        raise error
    if not attempt.holds(now):
        attempt.asked = False
        raise attempt.overtaken_by(now) from error
    return attempt.api.repo_info(attempt.repo_id, revision=now, repo_type=attempt.repo_type)


def prepare_branch(
    attempt: Attempt, *, branch: str | None, revision: str | None, tag: str | None, private: bool
) -> None:
    """A repository and a branch to commit to; how each is undone again is noted in the attempt."""
    api, repo_id, made, kind = attempt.api, attempt.repo_id, attempt.made, attempt.repo_type
    if not with_retries(lambda: api.repo_exists(repo_id, repo_type=kind)):
        # Before it is known to be made: of a request without an answer nobody knows what became.
        made.append(
            Made(
                "the repository",
                lambda: len(api.list_repo_commits(repo_id, repo_type=kind)) <= 1,
                lambda: api.delete_repo(repo_id, repo_type=kind),
            )
        )
        sdk = SPACE_SDK if kind == "space" else None
        with_retries(lambda: api.create_repo(repo_id, private=private, exist_ok=True, repo_type=kind, space_sdk=sdk))
    refs = with_retries(lambda: api.list_repo_refs(repo_id, repo_type=kind))
    taken = {ref.name: ref.target_commit for ref in refs.tags}
    if tag in taken:
        raise UserError(f"{repo_id} has a tag {tag} already, at {taken[tag][:8]}; take another.")
    if branch is not None and branch not in {ref.name for ref in refs.branches}:
        start = with_retries(lambda: api.repo_info(repo_id, revision=revision, repo_type=kind).sha)
        made.append(
            Made(
                f"the branch {branch}",
                lambda: api.repo_info(repo_id, revision=branch, repo_type=kind).sha == start,
                lambda: api.delete_branch(repo_id, branch=branch, repo_type=kind),
            )
        )
        with_retries(
            lambda: api.create_branch(repo_id, branch=branch, revision=revision, exist_ok=True, repo_type=kind)
        )
