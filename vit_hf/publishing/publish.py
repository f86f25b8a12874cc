"""From a folder to the Hub, once it is proven to load, and to be the same model, wherever it is meant to."""

import re
import tempfile
from pathlib import Path
from typing import Any, Unpack

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from ..errors import UserError
from ..families import auto_name
from ..hub import repository as contents
from ..hub.errors import explained
from ..hub.push import Pushed, PushOptions, full_name, push_files
from ..hub.repository import split_weights
from ..hub.retry import with_retries
from ..hub.safety import refuse_secrets
from .transformers_twin import write_twin
from .verify import verify_both_ways, verify_stock

MODELS = Path(contents.__file__).parents[1] / "models"
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
        contents.refuse_strange_code(folder, MODELS)
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
    with explained(repo_id), tempfile.TemporaryDirectory() as cache:
        try:
            there = with_retries(lambda: HfApi().hf_hub_download(repo_id, contents.CONFIG, cache_dir=cache))
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


def send(
    files: dict[str, Path | bytes], repo_id: str, *, dry_run: bool, **options: Unpack[PushOptions]
) -> Pushed | None:
    """The commit; None on a dry run, which lists the files instead."""
    print(f"{repo_id}: {size_of(files)}")
    if dry_run:
        print("\n".join(f"  {name}" for name in sorted(files)))
        return None
    pushed = push_files(files, repo_id, **options)
    print(f"  {pushed.pr_url or pushed.commit_url}")
    return pushed


def publish(
    folder: Path,
    repo_id: str,
    *,
    stock: bool = False,
    stock_only: bool = False,
    max_shard_size: str = "5GB",
    dry_run: bool = False,
    **options: Unpack[PushOptions],
) -> Pushed | None:
    """Load the folder in fresh processes, with the package and without it, and push it where both agree to the bit.

    stock: also a twin, as OWNER/NAME-stock, that transformers loads without our code. stock_only: only that, as
    OWNER/NAME. max_shard_size: above which weights are divided. dry_run: verify and list, upload nothing, -> None.

    Raises: UserError, in a sentence; then nothing was published.
    """
    branch, tag = options.get("branch"), options.get("tag")
    files = collect(folder, repo_id, tag or branch or "main")
    if not dry_run:
        repo_id = full_name(HfApi(), repo_id)
        if branch is None and not stock_only:
            refuse_taken(repo_id, folder)
    print(f"Loading {folder} in fresh processes ...", flush=True)
    expected = verify_both_ways(folder)
    print("With vit_hf and without it the model says the same, to the bit.")
    with tempfile.TemporaryDirectory() as place:
        twin, twin_id = Path(place) / "twin", repo_id if stock_only else f"{repo_id}-stock"
        twin_files: dict[str, Path | bytes] = {}
        if stock or stock_only:
            origin = folder.resolve().name if stock_only else repo_id
            write_twin(folder, twin, name=twin_id.rpartition("/")[2], source=origin)
            difference = verify_stock(twin, expected)
            print(f"Its twin for transformers alone says the same within {difference:.1e}.")
            twin_files = collect(twin, twin_id, tag or branch or "main")
        pushed = None
        if not stock_only:
            pushed = send(with_shards(files, Path(place), max_shard_size), repo_id, dry_run=dry_run, **options)
        if twin_files:
            twin_files = with_shards(twin_files, twin, max_shard_size)
            twin_pushed = send(twin_files, twin_id, dry_run=dry_run, **options)
            pushed = pushed or twin_pushed
    return pushed


def auto_of(folder: Path) -> str:
    """The Auto class that loads the model in a folder."""
    return auto_name(contents.read_json(folder / contents.CONFIG)["architectures"][0])
