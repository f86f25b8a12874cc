"""From a folder to the Hub, once it is proven to load, and to be the same model, wherever it is meant to."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Unpack

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from ..cards.usage import readdressed
from ..data.sources.split_record import SPLIT_FILE
from ..errors import UserError
from ..files import read_json
from ..finished_folder import move_in
from ..hub.attempts import with_retries
from ..hub.errors import explain_hub_errors
from ..hub.push import Pushed, PushOptions, full_name, push_files
from ..hub.repository import (
    CARD,
    CONFIG,
    WEIGHTS,
    refuse_links_outside,
    refuse_strange_code,
    repository_files,
    split_weights,
)
from ..hub.secrets import refuse_secrets
from ..weight_hash import hash_named_in, weight_hash
from .transformers_twin import write_twin
from .verify import verify_both_ways, verify_stock

Files = dict[str, Path | bytes]  # by their paths in the repository
OF_THE_RUN = "metrics.json"
UNITS = {"MB": 10**6, "GB": 10**9}


def publish(
    folder: Path,
    repo_id: str,
    *,
    stock: Literal["no", "beside", "only"] = "no",
    max_shard_size: str = "5GB",
    with_split: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
    **options: Unpack[PushOptions],
) -> Pushed | None:
    """Publish the output folder of a training or a conversion, after fresh processes have loaded it.

    stock: whether its twin for transformers alone is published too, as OWNER/NAME-stock, or only that, as OWNER/NAME.
    with_split: whether the names, hashes and labels of the images that it was trained and tested on are published too.
    say: hears of every step. options: see PushOptions.

    -> the commit of the model, or of the twin where that is all; None on a dry run, which lists the files instead.
    Raises: UserError for what does not belong on the Hub, does not load, or is another model elsewhere.
    """
    revision = options.get("tag") or options.get("branch") or "main"
    files = collect(folder, repo_id, revision) | ({SPLIT_FILE: split_file(folder)} if with_split else {})
    if not dry_run:
        repo_id = full_name(HfApi(token=options.get("token")), repo_id)
        if options.get("branch") is None and stock != "only":
            refuse_other_model(repo_id, folder)
    say(f"Loading {folder} in fresh processes ...")
    expected = verify_both_ways(folder)
    say("With vit_hf and without it the model says the same, to the bit.")
    with tempfile.TemporaryDirectory() as place:
        twin = Path(place) / "twin"
        to_send: list[tuple[str, Files, Path]] = [] if stock == "only" else [(repo_id, files, Path(place))]
        if stock != "no":
            twin_id, origin = (repo_id, folder.resolve().name) if stock == "only" else (f"{repo_id}-stock", repo_id)
            write_twin(folder, twin, name=twin_id.rpartition("/")[2], source=origin)
            difference = verify_stock(twin, expected)
            say(f"Its twin for transformers alone says the same within {difference:.1e}.")
            to_send.append((twin_id, collect(twin, twin_id, revision), twin))
        sent: list[Pushed] = []
        for name, content, into in to_send:
            content = with_shards(content, into, max_shard_size)
            say(f"{name}: {describe_size(content)}")
            if dry_run:
                say("\n".join(f"  {path}" for path in sorted(content)))
                continue
            try:
                sent.append(push_files(content, name, **options))
            except UserError as error:
                if not sent:
                    raise
                raise UserError(f"{error} The model itself is published: {sent[0].commit_url}.") from error
            say(f"  {sent[-1].pr_url or sent[-1].commit_url}")
        return sent[0] if sent else None


def collect(folder: Path, repo_id: str, revision: str) -> Files:
    """The files to publish; the card's example leads to where they will lie.

    Raises: UserError for anything in the folder that is not to be published.
    """
    move_in(folder)
    names = repository_files(folder)
    refuse_secrets(folder, names)
    refuse_other_weights(folder)
    if any(name.endswith(".py") for name in names):
        refuse_strange_code(folder)
    card = (folder / CARD).read_text(encoding="utf-8")
    card = readdressed(card, repo_id, revision)
    return {**{name: folder / name for name in names}, CARD: card.encode()}


def refuse_other_weights(folder: Path) -> None:
    """Raises: UserError where card or figures are of other weights than those that lie beside them."""
    named = {CARD: hash_named_in((folder / CARD).read_text(encoding="utf-8"))}
    if (folder / OF_THE_RUN).is_file():
        named[OF_THE_RUN] = read_json(folder / OF_THE_RUN).get("weights_sha256")
    found = weight_hash(folder)
    if strangers := [name for name, one in named.items() if one is not None and one != found]:
        raise UserError(
            f"{' and '.join(strangers)} of {folder} {'is' if len(strangers) == 1 else 'are'} of other weights than lie "
            f"beside {'it' if len(strangers) == 1 else 'them'}, whose SHA-256 is {str(found)[:12]}...: another run, or "
            "a further training, wrote the weights. Publish the folder that its own training left, or train again with "
            "--overwrite."
        )


def split_file(folder: Path) -> Path:
    if not (folder / SPLIT_FILE).is_file():
        raise UserError(f"{folder} has no {SPLIT_FILE} to publish, which a training writes; leave --with-split out.")
    refuse_links_outside(folder, [SPLIT_FILE])
    return folder / SPLIT_FILE


def with_shards(files: Files, into: Path, limit: str) -> Files:
    """The same files, but for weights that are larger than the limit."""
    weights = files.get(WEIGHTS)
    shards = split_weights(weights, into, parse_size(limit)) if isinstance(weights, Path) else []
    if not shards:
        return files
    others = {name: file for name, file in files.items() if name != WEIGHTS}
    return {**others, **{name: into / name for name in shards}}


def parse_size(size: str) -> int:
    number, unit = size[:-2], size[-2:].upper()
    if unit not in UNITS or not number.strip().isdigit():
        raise UserError(f"--max-shard-size {size} is no size; write it as 5GB or 500MB.")
    return int(number) * UNITS[unit]


def refuse_other_model(repo_id: str, folder: Path) -> None:
    """Raises: UserError where the repository holds a model of another kind, which would be overwritten."""
    with explain_hub_errors(repo_id), tempfile.TemporaryDirectory() as cache:
        try:
            there = with_retries(lambda: HfApi().hf_hub_download(repo_id, CONFIG, cache_dir=cache))
        except (EntryNotFoundError, RepositoryNotFoundError):
            return
        kinds = [read_json(file).get("model_type") for file in (Path(there), folder / CONFIG)]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{repo_id} is taken: it holds a model of another kind ({kinds[0]}, and this is {kinds[1]}). Take another "
            "name, or a new branch (--branch)."
        )


def describe_size(files: Mapping[str, Path | bytes]) -> str:
    sizes = [len(file) if isinstance(file, bytes) else file.stat().st_size for file in files.values()]
    return f"{len(files)} files, {sum(sizes) / 1e6:,.1f} MB"
