"""The app of a model as a Space on the Hub: written, proven to run in a fresh process, and pushed as models are.

A Space holds the package's own code, for it has to answer as this version of it does wherever it is installed.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from ..errors import UserError
from ..families import find_family
from ..hub.attempts import UNCHANGED, with_retries
from ..hub.errors import explain_hub_errors
from ..hub.push import SPACE_SDK, Pushed, full_name, push_files
from ..hub.repository import CARD, RECORDS, refuse_strange_code, repository_files
from ..hub.secrets import refuse_secrets
from ..publishing.publish import Files, describe_size
from ..requirements import requirements
from ..version import __version__
from .app import refuse_no_gradio
from .exhibits import Exhibit
from .showing import SHOWING

PACKAGE_ROOT = Path(__file__).parents[1]
APP, NEEDS, HELD = "app.py", "requirements.txt", "model"
MADE_HERE = "Made by vit-hf demo"
OWN_FOLDERS = (f"{PACKAGE_ROOT.name}/", f"{HELD}/", "examples/")
# Without a card of NVIDIA's, as Spaces begin, and small.
INDEX_OF_TORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"
START_SECONDS = 180  # for the app to start

APP_CODE = '''\
"""{made} (vit_hf {version}), which writes this file anew with every push."""

from pathlib import Path

from vit_hf.demo.app import build_app, launch_app
from vit_hf.demo.exhibits import Exhibit

HERE = Path(__file__).parent
exhibit = Exhibit({model}{trust})
app = build_app(exhibit, sorted((HERE / "examples").glob("*")), title={title!r})

if __name__ == "__main__":
    launch_app(app)
'''


def push_space(
    model_name: str,
    repo_id: str,
    *,
    title: str | None = None,
    examples: Sequence[Path] = (),
    private: bool = False,
    trust_remote_code: bool = False,
    say: Callable[[str], None] = print,
) -> Pushed:
    """Publish the app of a model as the Space owner/name, in one commit, once it has answered in a fresh process.

    Of a folder the Space holds the model; one of the Hub it loads from there, at the commit that main has now.

    Raises: UserError for a name that is none or is taken, a model that is not to be published, and as `push_files`.
    """
    refuse_no_gradio()
    repo_id = full_name(HfApi(), repo_id)
    refuse_other_space(repo_id)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "space"
        write_space(folder, model_name, title=title, examples=examples, trust_remote_code=trust_remote_code)
        say("Starting the app in a fresh process ...")
        prove_that_it_runs(folder)
        files: Files = {
            path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        say(f"It answers. {repo_id}: {describe_size(files)}")
        return push_files(
            files,
            repo_id,
            private=private,
            message=f"Publish the app of {title or model_name}",
            replaces=lambda path: path.startswith(OWN_FOLDERS),
            repo_type="space",
        )


def refuse_other_space(repo_id: str) -> None:
    """Raises: UserError where the Space holds an app that was not made here."""
    with explain_hub_errors(repo_id, after=UNCHANGED), tempfile.TemporaryDirectory() as cache:
        try:
            there = with_retries(lambda: HfApi().hf_hub_download(repo_id, APP, repo_type="space", cache_dir=cache))
        except (EntryNotFoundError, RepositoryNotFoundError):
            return
        text = Path(there).read_text(encoding="utf-8", errors="replace")
    if MADE_HERE not in text:
        raise UserError(
            f"The Space {repo_id} is taken: its {APP} is another app than this command writes. Take another name."
        )


def write_space(
    folder: Path, model_name: str, *, title: str | None, examples: Sequence[Path], trust_remote_code: bool
) -> None:
    """All the files of a Space, into a new folder."""
    folder.mkdir(parents=True)
    local = Path(model_name)
    held = held_files(local) if local.is_dir() else []
    pinned = model_name if local.is_dir() else at_commit(model_name)
    exhibit = Exhibit(pinned, trust_remote_code=trust_remote_code)
    refuse_other_package(exhibit.model.config)
    for name in held:
        (folder / HELD / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local / name, folder / HELD / name)
    exhibit.save_examples(examples, folder / "examples")
    title = title or (exhibit.title if held else model_name.partition("@")[0].rpartition("/")[2])
    code = APP_CODE.format(
        made=MADE_HERE,
        version=__version__,
        model=f'str(HERE / "{HELD}")' if held else repr(pinned),
        trust=", trust_remote_code=True" if trust_remote_code else "",
        title=title,
    )
    (folder / APP).write_text(code, encoding="utf-8")
    (folder / NEEDS).write_text(needs_of(exhibit), encoding="utf-8")
    (folder / CARD).write_text(space_card(title, None if held else pinned, license_in_card(local)), encoding="utf-8")
    for path in sorted(PACKAGE_ROOT.rglob("*.py")):
        copy = folder / PACKAGE_ROOT.name / path.relative_to(PACKAGE_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def held_files(folder: Path) -> list[str]:
    """What of a trained folder an app needs. Raises: UserError for what is not to be published."""
    names = [name for name in repository_files(folder, card=False) if name not in RECORDS]
    refuse_secrets(folder, names)
    if any(name.endswith(".py") for name in names):
        refuse_strange_code(folder)
    return names


def at_commit(name: str) -> str:
    """owner/name@commit: what is loaded later is what was tried, whatever becomes of the branch."""
    repository, _, revision = name.partition("@")
    with explain_hub_errors(repository, revision or None):
        found = with_retries(lambda: HfApi().repo_info(repository, revision=revision or None))
    return f"{repository}@{found.sha}"


def refuse_other_package(config: Any) -> None:
    """Raises: UserError for a family that another package brings, which a Space would not have."""
    family = find_family(config.model_type)
    if family is not None and family.package[0] != PACKAGE_ROOT.name:
        raise UserError(
            f"Models of {config.model_type} come from the package {family.package[0]}, and a Space holds vit_hf alone; "
            "serve the app from a machine that has it."
        )


def needs_of(exhibit: Exhibit) -> str:
    """What a Space installs: Gradio comes with it."""
    lines = [str(one) for one in requirements(SHOWING[exhibit.modality].extra)]
    return "\n".join([INDEX_OF_TORCH, *lines, ""])


def license_in_card(folder: Path) -> str | None:
    if not (folder / CARD).is_file():
        return None
    return ModelCard.load(folder / CARD, ignore_metadata_errors=True).data.to_dict().get("license")


def space_card(title: str, model: str | None, license: str | None) -> str:
    """The README of a Space, whose header says what it runs on. model: of the Hub."""
    header: dict[str, Any] = {
        "title": title,
        "emoji": "🔎",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": SPACE_SDK,
        "sdk_version": metadata.version("gradio"),
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "app_file": APP,
    }
    header |= {} if model is None else {"models": [model.partition("@")[0]]}
    header |= {} if license is None else {"license": license}
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n\n{MADE_HERE}, of vit_hf {__version__}.\n"


def prove_that_it_runs(folder: Path) -> None:
    """Start the app, and ask it for an answer to its first example, if it has one.

    Raises: UserError with the last line of what it said where it does not start, or does not answer.
    """
    from gradio_client import Client, handle_file

    examples = sorted((folder / "examples").glob("*"))
    with running(folder) as address:
        client = Client(address, verbose=False, analytics_enabled=False)
        if examples:
            client.predict(handle_file(examples[0]), api_name="/predict")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """-> the address of the app while it runs as on the Hub, in a process that knows of nothing but its folder

    Raises: UserError in place of whatever goes wrong meanwhile.
    """
    port = unused_port()
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment = {**kept, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, APP], cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            wait_for_server(port, process)
            yield f"http://127.0.0.1:{port}/"
        except Exception as error:
            said.seek(0)
            lines = said.read().strip().splitlines()
            raise UserError(
                f"The app does not run in a fresh process ({lines[-1] if lines else error}), and is not published."
            ) from error
        finally:
            process.kill()
            process.wait()


def wait_for_server(port: int, process: subprocess.Popen[Any]) -> None:
    """Raises: UserError where the process ends, or time does, before something listens."""
    end = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > end:
            raise UserError("it did not start")
        time.sleep(0.1)


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
