"""From an address to the function that answers it."""

from .answers import Answer, HubError
from .call import Call, front_matter
from .reading import commits, describe, listing, paths_info, refs, resolve, tree, whoami
from .repository import Repository
from .writing import change_ref, commit, create_or_delete, large_files, preupload, storage


def answer(call: Call) -> Answer:
    """Raises: nothing; what goes wrong is an answer too."""
    try:
        return route(call)
    except HubError as error:
        return error.answer
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        return Answer({"error": f"Bad request: {error!r}"}, 400)


def route(call: Call) -> Answer:
    match call.words:
        case [_, "storage", kind, owner, name, sha256]:
            return storage(call, f"{kind}/{owner}/{name}", sha256)
        case ["GET", "api", "whoami-v2"]:
            return whoami(call)
        case ["POST", "api", "validate-yaml"]:
            return validate_yaml(call)
        case ["POST" | "DELETE", "api", "repos", "create" | "delete"]:
            return create_or_delete(call)
        case ["GET", "api", "models" | "datasets" | "spaces" as kind]:
            return listing(call, kind)
        case [_, "api", "models", owner, name, *rest]:
            return about(call, f"{owner}/{name}", rest)
        case [_, "api", "datasets" | "spaces" as kind, owner, name, *rest]:
            return about(call, f"{kind}/{owner}/{name}", rest)
        case ["GET" | "HEAD", *_] if "resolve" in call.words:
            return file_of(call)
        case ["POST", *path, "info", "lfs", "objects", "batch"]:
            return large_files(call, call.repository("/".join(path).removesuffix(".git"), write=True))
    raise HubError(404, f"No such address: {call.method} {call.target}")


def file_of(call: Call) -> Answer:
    """/owner/name/resolve/revision/path, with datasets/ or spaces/ before it where it is of one."""
    middle = call.words.index("resolve")
    revision, *file = call.words[middle + 1 :]
    return resolve(call, call.repository("/".join(call.words[1:middle])), revision, "/".join(file))


def validate_yaml(call: Call) -> Answer:
    try:
        front_matter(call.json()["content"])
    except HubError as error:
        return Answer({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return Answer({"errors": [], "warnings": []})


def about(call: Call, path: str, rest: list[str]) -> Answer:
    """What lies under /api/models/owner/name. Whoever may read a repository may propose a change of it."""
    repository = call.repository(path)
    match [call.method, *rest]:
        case ["GET"]:
            return Answer(describe(repository, repository.at()))
        case ["GET", "revision", revision]:
            return Answer(describe(repository, repository.at(revision)))
        case ["GET", "tree", revision, *folder]:
            return tree(call, repository, revision, "/".join(folder).strip("/"))
        case ["POST", "paths-info", revision]:
            return paths_info(call, repository, revision)
        case ["GET", "commits", revision]:
            return commits(repository, revision)
        case ["GET", "refs"]:
            return refs(repository)
        case ["POST" | "DELETE", "branch" | "tag" as what, name]:
            return change_ref(call, writable(call, path), what, name)
        case ["POST", "preupload", revision]:
            return preupload(call, writable(call, path), revision)
        case ["POST", "commit", revision]:
            return commit(call, writable(call, path), revision)
    raise HubError(404, f"No such address: {call.method} {call.target}")


def writable(call: Call, path: str) -> Repository:
    return call.repository(path, write="create_pr" not in call.query)
