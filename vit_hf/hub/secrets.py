"""What a file that is published should not hold: secrets, by the forms that their makers gave them, and paths.

The patterns are our own: the detectors of detect-secrets (1.5, of 2024) know no github_pat_, AIza, hf_, signed address
or unquoted password, and those that go by entropy take the words and numbers of every recipe for secrets.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UserError

# What gives access by a name of its own, and what does so only with a long value behind it.
SECRET_NAMES = (
    r"password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|"
    r"client[_-]?secret|credentials?"
)
# A placeholder, a word of YAML, or nothing.
NOTHING = r"(?!(?:null|none|true|false|~|your[\w-]*|x+|\.+)\b|[$<{\[*#~]|\s)"
SECRETS = {
    "a token of the Hub": re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}"),
    "a key of AWS": re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"),
    "a token of GitLab": re.compile(r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_-]{16,}"),
    "a token of Slack": re.compile(r"\bxox[abceoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/\w+/\w+/\w+"),
    "a key of Google": re.compile(r"\bAIza[A-Za-z0-9_-]{35}|\bGOCSPX-[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]{20,}"),
    "a key of Azure": re.compile(r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{20,}"),
    "a JSON Web Token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    "a secret key": re.compile(
        r"\bsk-[A-Za-z0-9_-]{20,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|"
        r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{50,}|\bdckr_pat_[A-Za-z0-9_-]{20,}|"
        r"[\"']key[\"']\s*:\s*[\"'][0-9a-f]{32}[\"']"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a password in an address": re.compile(r"\w+://[^\s/:@]*:[^\s/@]+@"),
    "a signed address": re.compile(
        r"(?i)[?&;](?:x-(?:amz|goog)-(?:signature|security-token)|signature|sig|(?:\w+[_-])?(?:token|key))="
        r"[A-Za-z0-9%_.~+/-]{16,}"
    ),
    "a bearer token": re.compile(r"\bBearer\s+(?=\S*\d)[A-Za-z0-9._~+/-]{16,}"),
    "a password": re.compile(
        rf"(?i)(?:^\s*(?:-\s+)?|[{{,;]\s*|--)[\"']?[\w.-]*(?:{SECRET_NAMES})[\"']?\s*[:=]\s*[\"']?{NOTHING}[^\s\"',}}]{{4,}}|"
        rf"(?i:\b[\w.-]*(?:{SECRET_NAMES})=[\"']?{NOTHING}[^\s\"',}}]{{4,}})|"
        rf"(?i:--[\w.-]*(?:{SECRET_NAMES})\s+{NOTHING}[^\s\"',}}-]{{4,}})"
    ),
    "a token": re.compile(
        r"(?i)\b[\w.-]*token[\"']?\s*[:=]\s*[\"']?(?=[A-Za-z0-9._~+/-]*\d)(?=[\d._~+/-]*[A-Za-z])[A-Za-z0-9._~+/-]{16,}"
    ),
}
# Not those after a colon or a word, which are addresses and divisions.
PATHS = {
    "a path on this machine": re.compile(r"(?<![\w:/.~\])-])/[\w.-]+/[\w./-]+|(?<!\w)~/[\w./-]+"),
    "a path on a Windows machine": re.compile(r"(?<!\w)[A-Za-z]:\\+\w[^\s\"']*"),
}
TEXTS = (".json", ".jsonl", ".md", ".yaml", ".yml", ".txt")


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """-> the number of each line that should not be published, what is on it, and its beginning"""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in SECRETS.items():
            if found := pattern.search(line):
                yield number, what, f"{found[0].strip()[:6]}..."
        for what, pattern in PATHS.items():
            if found := pattern.search(line):
                yield number, what, found[0]


def refuse_secrets(folder: Path, names: Iterable[str]) -> None:
    """Raises: UserError that names each file, line and kind."""
    lines = [
        f"{name}, line {number}: {what} ({shown})"
        for name in names
        if Path(name).suffix in TEXTS and name != "model.safetensors.index.json"
        for number, what, shown in findings((folder / name).read_text(encoding="utf-8"))
    ]
    if lines:
        listed = "\n  ".join(lines[:10]) + (f"\n  and {len(lines) - 10} more" if len(lines) > 10 else "")
        raise UserError(
            f"{folder} holds what should not be published:\n  {listed}\n"
            "Take it out of the files (a relative path does as well); a key that was in a file should be revoked."
        )
