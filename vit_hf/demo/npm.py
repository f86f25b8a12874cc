"""Packages of npm, of one version each, whose bytes are known: fetched by npm itself, once a machine."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from ..files import user_cache

DOWNLOAD_SECONDS = 300  # for a download of some 30 MB


class NpmPackage(NamedTuple):
    """integrity: as npm writes it, sha512- and the hash of the archive in base64."""

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        return f"{self.name}-{self.version}.tgz"


RUNTIME = NpmPackage(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)


def archive_of(package: NpmPackage, cache: Path | None = None) -> Path:
    """-> the archive in the cache, fetched where it is not there yet

    Raises: UserError where npm is missing or fetches nothing, and for an archive that is not the one that is known.
    """
    cache = cache or user_cache() / "npm"
    kept = cache / package.archive
    if kept.is_file() and integrity_of(kept) == package.integrity:
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"The page runs on {package.name} {package.version}, which npm fetches, and npm is not installed; install "
            f"Node.js (https://nodejs.org) or your system's package npm, or put {package.archive} into {cache}."
        )
    cache.mkdir(parents=True, exist_ok=True)
    # Nothing of the package is run, here or by npm.
    words = [npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(
            [*words, "--pack-destination", str(cache)],
            cwd=cache,
            capture_output=True,
            text=True,
            check=False,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"npm did not fetch {package.name} within {DOWNLOAD_SECONDS} s; look at the network, and again."
        ) from error
    if done.returncode or not kept.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = next((line for line in said if "error" in line.lower()), said[0] if said else "it said nothing")
        raise UserError(
            f"npm did not fetch {package.name} {package.version} ({reason}); look at the network, and again."
        )
    if (found := integrity_of(kept)) != package.integrity:
        kept.unlink()
        raise UserError(
            f"What npm fetched is not {package.name} {package.version} as it is known here ({found[:20]}..., not "
            f"{package.integrity[:20]}...), and is not used; look at `npm config get registry`."
        )
    return kept


def integrity_of(archive: Path) -> str:
    with archive.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def take_out(archive: Path, wanted: Mapping[str, str], folder: Path) -> None:
    """Files of an archive into a folder. wanted: by their names there, their names in the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as opened:
        for name, member in wanted.items():
            content = opened.extractfile(member)
            assert content is not None, f"{archive} has no file {member}"
            with (folder / name).open("wb") as written:
                shutil.copyfileobj(content, written)
