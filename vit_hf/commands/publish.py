"""From a folder to the Hub, once it is proven to load, and to be the same model, wherever it is meant to."""

import re
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from ..errors import UserError
from ..families import auto_name
from ..hub import repository as contents
from ..hub.push import Pushed, full_name, push_files
from ..hub.repository import split_weights
from ..hub.retry import in_a_sentence, patiently
from ..hub.safety import refuse_secrets
from ..publishing.transformers_twin import write_twin
from ..publishing.verify import verify_both_ways, verify_stock
from .cli import FAILED, guarded, parser, program, words_of

EXAMPLES = """\
  {program} outputs/digits you/digits --tag v1.0
  {program} outputs/digits you/digits --private --stock
  {program} outputs/digits you/digits --dry-run
  {program} --verify you/digits@v1.0

Nothing is uploaded before fresh processes have loaded the folder with vit_hf and without it, and found the same
logits to the bit. What is uploaded is one commit: a failure leaves the repository as it was.
"""
UNITS = {"MB": 10**6, "GB": 10**9}
# The line of the card's example that says where the model lies.
ADDRESS = re.compile(r'^repository, revision = ".*"$', re.MULTILINE)


def collect(folder: Path, repo_id: str, revision: str) -> dict[str, Path | bytes]:
    """The files to publish; the card's example leads to where they will lie.

    Raises: UserError for anything in the folder that is not to be published.
    """
    names = contents.repository_files(folder)
    refuse_secrets(folder, names)
    if any(name.endswith(".py") for name in names):
        contents.refuse_strange_code(folder)
    card = (folder / contents.CARD).read_text(encoding="utf-8")
    address = f'repository, revision = "{repo_id}", "{revision}"'
    card = ADDRESS.sub(lambda _: address, card)
    return {**{name: folder / name for name in names}, contents.CARD: card.encode()}


def with_shards(files: dict[str, Path | bytes], into: Path, limit: str) -> dict[str, Path | bytes]:
    """The same files, but for weights that are larger than the limit."""
    weights = files.get(contents.WEIGHTS)
    shards = split_weights(weights, into, in_bytes(limit)) if isinstance(weights, Path) else []
    if not shards:
        return files
    others = {name: file for name, file in files.items() if name != contents.WEIGHTS}
    return {**others, **{name: into / name for name in shards}}


def in_bytes(size: str) -> int:
    number, unit = size[:-2], size[-2:].upper()
    if unit not in UNITS or not number.strip().isdigit():
        raise UserError(f"--max-shard-size {size} is no size; write it as 5GB or 500MB.")
    return int(number) * UNITS[unit]


def refuse_taken(repo_id: str, folder: Path) -> None:
    """Raises: UserError where the repository holds a model of another kind, which would be overwritten."""
    with in_a_sentence(repo_id), tempfile.TemporaryDirectory() as cache:
        try:
            there = patiently(lambda: HfApi().hf_hub_download(repo_id, contents.CONFIG, cache_dir=cache))
        except (EntryNotFoundError, RepositoryNotFoundError):
            return
        kinds = [contents.read_json(file).get("model_type") for file in (Path(there), folder / contents.CONFIG)]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{repo_id} is taken: it holds a model of another kind ({kinds[0]}, and this is {kinds[1]}). Take another "
            "name, or a new branch (--branch)."
        )


def size_of(files: dict[str, Path | bytes]) -> str:
    sizes = [len(file) if isinstance(file, bytes) else file.stat().st_size for file in files.values()]
    return f"{len(files)} files, {sum(sizes) / 1e6:,.1f} MB"


def send(given: Namespace, files: dict[str, Path | bytes], repo_id: str) -> Pushed | None:
    """The commit; None on a dry run, which lists the files instead."""
    print(f"{repo_id}: {size_of(files)}")
    if given.dry_run:
        print("\n".join(f"  {name}" for name in sorted(files)))
        return None
    options: dict[str, Any] = {name: getattr(given, name) for name in ("branch", "revision", "tag", "private")}
    pushed = push_files(files, repo_id, **options, create_pr=given.create_pr, message=given.message)
    print(f"  {pushed.pr_url or pushed.commit_url}")
    return pushed


def publish(given: Namespace) -> int:
    folder, revision = given.folder, given.tag or given.branch or "main"
    files = collect(folder, given.repo_id, revision)
    if not given.dry_run:
        given.repo_id = full_name(HfApi(), given.repo_id)
        if given.branch is None and not given.stock_only:
            refuse_taken(given.repo_id, folder)
    print(f"Loading {folder} in fresh processes ...", flush=True)
    expected = verify_both_ways(folder)
    print("With vit_hf and without it the model says the same, to the bit.")
    with tempfile.TemporaryDirectory() as place:
        twin = Path(place) / "twin"
        twin_id = given.repo_id if given.stock_only else f"{given.repo_id}-stock"
        twin_files: dict[str, Path | bytes] = {}
        if given.stock or given.stock_only:
            origin = folder.resolve().name if given.stock_only else given.repo_id
            write_twin(folder, twin, name=twin_id.rpartition("/")[2], source=origin)
            difference = verify_stock(twin, expected)
            print(f"Its twin for transformers alone says the same within {difference:.1e}.")
            twin_files = collect(twin, twin_id, revision)
        limit = given.max_shard_size
        pushed = None if given.stock_only else send(given, with_shards(files, Path(place), limit), given.repo_id)
        if twin_files:
            twin_pushed = send(given, with_shards(twin_files, twin, limit), twin_id)
            pushed = pushed or twin_pushed
    print(next_commands(given, pushed, auto_of(folder)) if pushed else "\nA dry run: nothing was uploaded.")
    return 0


def auto_of(folder: Path) -> str:
    """The Auto class that loads the model in a folder."""
    return auto_name(contents.read_json(folder / contents.CONFIG)["architectures"][0])


def next_commands(given: Namespace, pushed: Pushed, auto: str) -> str:
    commit = pushed.oid
    code = "" if given.stock_only else f', code_revision="{commit}", trust_remote_code=True'
    return "\n".join(
        [
            "\nAnybody now loads exactly this commit by",
            f'  {auto}.from_pretrained("{pushed.repo_id}", revision="{commit}"{code})',
            "Next, you could",
            f"  {program('publish')} --verify {pushed.repo_id}@{pushed.tag or commit}",
        ]
    )


def verify(source: str) -> int:
    from ..publishing.verify_remote import verify_remote

    check = verify_remote(source)
    print(check)
    return 0 if check.passed else FAILED


def run(given: Namespace) -> int:
    if given.verify is not None:
        return verify(given.verify)
    if given.folder is None or given.repo_id is None:
        raise UserError("Name a folder and a repository, as in `vit-hf publish outputs/digits you/digits`.")
    return publish(given)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("publish", "Publish a trained model on the Hub, once it is proven to load.", EXAMPLES)
    parse.add_argument("folder", nargs="?", type=Path, help="the output folder of a training or a conversion")
    parse.add_argument("repo_id", nargs="?", metavar="OWNER/NAME", help="of the repository; made where there is none")
    parse.add_argument("--private", action="store_true", help="if the repository is made")
    parse.add_argument("--branch", help="to commit to; made where there is none (main where not said)")
    parse.add_argument("--revision", help="where a new branch begins")
    parse.add_argument("--tag", help="of the new commit, such as v1.0")
    parse.add_argument("--create-pr", action="store_true", help="ask for the change instead of making it")
    parse.add_argument("--message", help="of the commit")
    stock = parse.add_mutually_exclusive_group()
    stock.add_argument("--stock", action="store_true", help="also OWNER/NAME-stock, for transformers without our code")
    stock.add_argument("--stock-only", action="store_true", help="only that, as OWNER/NAME")
    parse.add_argument("--max-shard-size", default="5GB", help="above which weights are divided (5GB where not said)")
    parse.add_argument("--dry-run", action="store_true", help="verify and list, and upload nothing")
    parse.add_argument("--verify", metavar="OWNER/NAME@REVISION", help="download again, and compare hashes and logits")
    return guarded(run, parse.parse_args(words_of(words)))
