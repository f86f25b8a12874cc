"""`push_to_hub` of our models and processors: transformers' own, with a card that says something, in one commit."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from ..hub.attempts import UNCHANGED, with_retries
from ..hub.errors import explain_hub_errors
from ..hub.push import Pushed, full_name, is_own_file, push_files
from ..hub.repository import CARD, PROCESSOR, code_files, repository_files
from ..weight_hash import hash_named_in, weight_hash

BLANK = "This model card has been automatically generated."  # as transformers writes it
NOT_THERE = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)
NOTE = "Nothing is known here of how it was trained, or how well it does."


class HubOptions(TypedDict, total=False):
    """As transformers' `push_to_hub` takes them; `revision` is a branch."""

    commit_message: str | None
    private: bool | None
    token: str | None
    revision: str | None
    create_pr: bool


def push_model(
    self: Any,
    repo_id: str,
    *,
    max_shard_size: int | str = "5GB",
    tags: list[str] | None = None,
    **options: Unpack[HubOptions],
) -> Pushed:
    """As in transformers: weights, configuration and code. A card that is there stays, but one of other weights."""
    from ..cards.short import short_card

    def save(folder: Path) -> list[str]:
        self.save_pretrained(folder, max_shard_size=max_shard_size)
        return repository_files(folder, card=False)

    def card(name: str) -> ModelCard:
        return short_card(self, name, note=NOTE, tags=tags)

    return push_saved(self, save, card, repo_id, **options)


def push_processor(self: Any, repo_id: str, **options: Unpack[HubOptions]) -> Pushed:
    """As in transformers: the configuration and the code. A card that is there stays."""
    from ..cards.short import processor_card

    def save(folder: Path) -> list[str]:
        self.save_pretrained(folder)
        return [PROCESSOR, *code_files(folder)]

    return push_saved(self, save, partial(processor_card, self), repo_id, replaces=lambda path: False, **options)


def push_saved(
    one: Any,
    save: Callable[[Path], list[str]],
    card: Callable[[str], ModelCard],
    repo_id: str,
    *,
    replaces: Callable[[str], bool] = is_own_file,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
) -> Pushed:
    """Push the files that `save` writes into a folder and names, with a `card` of owner/name where none is there.

    one: the model or processor that they are of. replaces: as `push_files` takes it; the rest as `HubOptions`.
    """
    repo_id, card_there = look(repo_id, revision, token)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files: dict[str, Path | bytes] = {name: folder / name for name in save(folder)}
        if card_there is None or is_of_others(card_there, folder):
            files[CARD] = str(card(repo_id)).encode()
        return push_files(
            files,
            repo_id,
            branch=revision,
            private=bool(private),
            create_pr=create_pr,
            message=commit_message or f"Upload {type(one).__name__}",
            token=token,
            replaces=replaces,
        )


def is_of_others(card: str, folder: Path) -> bool:
    """Whether a card names other weights than lie in the folder, whose figures are not theirs."""
    named, found = hash_named_in(card), weight_hash(folder)
    return None not in (named, found) and named != found


def look(repo_id: str, revision: str | None, token: str | None) -> tuple[str, str | None]:
    """-> owner/name, and the card that is there if it says something: not the form that transformers leaves blank"""
    api = HfApi(token=token)
    repo_id = full_name(api, repo_id)
    with explain_hub_errors(repo_id, revision, after=UNCHANGED), tempfile.TemporaryDirectory() as cache:
        try:
            card = with_retries(lambda: api.hf_hub_download(repo_id, CARD, revision=revision, cache_dir=cache))
        except NOT_THERE:
            return repo_id, None
        text = Path(card).read_text(encoding="utf-8")
        return repo_id, None if BLANK in text else text
