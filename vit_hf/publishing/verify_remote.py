"""The proof that what lies on the Hub is what was pushed: everything is downloaded again, and compared."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import HfApi
from torch import Tensor
from transformers import AutoConfig

from ..conversion.core.parity import sample_images
from ..families import auto_name
from ..files import hash_of
from ..hub.download import download, split_revision
from ..hub.errors import explain_hub_errors
from .load_classifier import model_folder


@dataclass
class RemoteCheck:
    """What came of downloading a repository again.

    files: paths in it. damaged: those that are not what the Hub says they are. changed: those that are otherwise in the
    reference. difference: the largest between the logits of both.
    """

    repository: str
    commit: str
    reference: str
    files: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    difference: float = 0.0

    @property
    def passed(self) -> bool:
        """NaN does not."""
        return not self.damaged and not self.changed and self.difference == 0

    def __str__(self) -> str:
        lines = [f"{self.repository} at {self.commit}: {len(self.files)} files downloaded into an empty cache"]
        lines += [f"  {path} is not what the Hub says it is" for path in self.damaged]
        lines += [f"  {path} differs from the one in {self.reference}" for path in self.changed]
        lines.append(f"  largest difference of logits from {self.reference}: {self.difference:g}")
        return "\n".join([*lines, "verified" if self.passed else "NOT verified"])


def verify_remote(source: str, reference: Path | None = None) -> RemoteCheck:
    """Download `source` (owner/name@revision) into an empty cache; compare its hashes with what the Hub says, and its
    files and logits with those of `reference`, by default this machine's own copy.

    Raises: UserError where it cannot be downloaded or loaded.
    """
    repository, revision = split_revision(source)
    reference = reference or model_folder(source)
    with tempfile.TemporaryDirectory() as cache:
        folder = download(source, cache_dir=cache)
        with explain_hub_errors(repository, revision):
            told = HfApi().verify_repo_checksums(repository, revision=folder.name, cache_dir=cache)
        files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        both = [path for path in files if (reference / path).is_file()]
        check = RemoteCheck(
            repository,
            folder.name,
            str(reference),
            files,
            damaged=sorted({one["path"] for one in told.mismatches} | {*told.missing_paths}),
            changed=[path for path in both if hash_of(folder / path, "git") != hash_of(reference / path, "git")],
        )
        if not check.damaged:
            check.difference = float((outputs_of(folder) - outputs_of(reference)).abs().max())
    return check


@torch.inference_mode()
def outputs_of(folder: Path) -> Tensor:
    """The logits, or the tokens where there is no classifier, of a few images or clips."""
    config: Any = AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, auto_name((config.architectures or ["Model"])[0]))
    model = model_class.from_pretrained(folder, use_safetensors=True).eval()
    return model(pixel_values=sample_images(config).to(model.dtype))[0]
