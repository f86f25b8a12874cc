"""`push_to_hub` of our models and processors: transformers' own, with a card that says something, in one commit."""

import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from ..hub.errors import explained
from ..hub.push import UNCHANGED, Pushed, full_name, push_files
from ..hub.repository import CARD, PROCESSOR, code_files, repository_files
from ..hub.retry import with_retries

BLANK = "This model card has been automatically generated."  # as transformers writes it
NOT_THERE = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)
NOTE = "Nothing is known here of how it was trained, or how well it does."


def push_model(
    self: Any,
    repo_id: str,
    *,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    max_shard_size: int | str = "5GB",
    tags: list[str] | None = None,
) -> Pushed:
    """As in transformers: weights, configuration and code, on the branch `revision`. A card that is there stays."""
    from ..cards.short import short_card

    repo_id, card_there = look(repo_id, revision, token)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        self.save_pretrained(folder, max_shard_size=max_shard_size)
        files: dict[str, Path | bytes] = {name: folder / name for name in repository_files(folder, card=False)}
        if not card_there:
            files[CARD] = str(short_card(self, repo_id, note=NOTE, tags=tags)).encode()
        return push_files(
            files,
            repo_id,
            branch=revision,
            private=bool(private),
            create_pr=create_pr,
            message=commit_message or f"Upload {type(self).__name__}",
            token=token,
        )


def push_processor(
    self: Any,
    repo_id: str,
    *,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
) -> Pushed:
    """As in transformers: the configuration and the code. A card that is there stays."""
    from ..cards.short import processor_card

    repo_id, card_there = look(repo_id, revision, token)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        self.save_pretrained(folder)
        files: dict[str, Path | bytes] = {name: folder / name for name in (PROCESSOR, *code_files(folder))}
        if not card_there:
            files[CARD] = str(processor_card(self, repo_id)).encode()
        return push_files(
            files,
            repo_id,
            branch=revision,
            private=bool(private),
            create_pr=create_pr,
            message=commit_message or f"Upload {type(self).__name__}",
            token=token,
            replaces=lambda path: False,
        )


def look(repo_id: str, revision: str | None, token: str | None) -> tuple[str, bool]:
    """-> owner/name, and whether a card is there that says something: not the form that transformers leaves blank"""
    api = HfApi(token=token)
    repo_id = full_name(api, repo_id)
    with explained(repo_id, revision, after=UNCHANGED), tempfile.TemporaryDirectory() as cache:
        try:
            card = with_retries(lambda: api.hf_hub_download(repo_id, CARD, revision=revision, cache_dir=cache))
        except NOT_THERE:
            return repo_id, False
        return repo_id, BLANK not in Path(card).read_text(encoding="utf-8")
