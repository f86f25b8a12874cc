"""Secrets of every kind are found in what would be published, and nothing else is taken for one."""

import base64
import json
import random
import string
from pathlib import Path

import pytest

from vit_hf.hub.repository import repository_files
from vit_hf.hub.secrets import SECRETS, TEXTS, findings

ROOT = Path(__file__).parents[2]
LETTERS, HEX, UPPER = string.ascii_letters + string.digits, "0123456789abcdef", string.ascii_uppercase + string.digits


def drawn(seed: int) -> dict[str, tuple[str, ...]]:
    """Made-up secrets in the forms of their makers, by what they are called. None is written down in this file."""
    numbers = random.Random(seed)

    def text(length: int, letters: str = LETTERS) -> str:
        return "".join(numbers.choices(letters, k=length))

    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    key = base64.b64encode(numbers.randbytes(64)).decode()
    amazon = f"https://b.s3.amazonaws.com/k.zip?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={text(64, HEX)}"
    google = f"https://storage.googleapis.com/b/o?X-Goog-Expires=900&amp;X-Goog-Signature={text(256, HEX)}"
    azure = f"https://a.blob.core.windows.net/c/b.parquet?sv=2022-11-02&sr=b&sig={text(43)}%3D"
    return {
        "a token of the Hub": (f"hub_token: hf_{text(34)}",),
        "a key of AWS": (f"AKIA{text(16, UPPER)}", f"id=ASIA{text(16, UPPER)}"),
        "a token of GitHub": (f"ghp_{text(36)}", f"github_pat_{text(22)}_{text(59)}"),
        "a token of GitLab": (f"glpat-{text(20)}",),
        "a token of Slack": (
            f"xoxb-{text(12, string.digits)}-{text(12, string.digits)}-{text(24)}",
            f"https://hooks.slack.com/services/T{text(8)}/B{text(8)}/{text(24)}",
        ),
        "a key of Google": (f"AIza{text(35)}", f"GOCSPX-{text(28)}"),
        "a key of Azure": (f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={key};EndpointSuffix=y",),
        "a JSON Web Token": (f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': text(8)})}.{text(43)}",),
        "a secret key": (f"sk-proj-{text(48)}", f"sk_live_{text(24)}", f'{{"username":"x","key":"{text(32, HEX)}"}}'),
        "a private key": ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        "a password in an address": (f"data: {{name: 'https://me:{text(10)}@host/x.parquet'}}",),
        "a signed address": (amazon, google, azure, f"https://d.cloudfront.net/x?Expires=1&Signature={text(60)}"),
        "a bearer token": (f"Authorization: Bearer {text(30)}1",),
        "a password": (
            f"password: {text(9)}",
            f"  db_password: '{text(9)}'",
            f'"passwd": "{text(9)}",',
            "password: 123456",
            f"storage_options: {{user: me, password: {text(9)}}}",
            f"export WANDB_API_KEY={text(40, HEX)}",
            f"aws_secret_access_key = {text(40)}",
            f"client_secret: {text(30)}",
            f"train digits --data.password {text(9)}",
        ),
        "a token": (f"token: {text(20)}1a", f'"access_token": "{text(20)}1a"'),
    }


@pytest.mark.parametrize("what", [*SECRETS])
def test_secrets_are_found_in_every_form_and_not_repeated(what: str):
    for seed in range(50):
        for line in drawn(seed)[what]:
            found = [(kind, shown) for _, kind, shown in findings(f"model: {{size: ti}}\n{line}\n")]
            assert what in [kind for kind, _ in found], line
            assert all(len(shown) <= 9 for kind, shown in found if kind in SECRETS)


PLAIN = """\
class_token: true
num_register_tokens: 4
mask_token: none
password: null
api_key: ${API_KEY}
--data.token-file x
training: {hub_token: null, push_to_hub: true}
weights_sha256: 3f786850e387550fdab836ed7e6dc881de23001b3f786850e387550fdab836ed
| train | 1,215 | `3f786850e387550fdab836ed7e6dc881de23001b3f786850e387550fdab836ed` |
Patches become tokens: each token of 16 x 16 pixels has 768 numbers.
The secret of its success: more data. Passwords and keys do not belong here.
revision="3f786850e387550fdab836ed7e6dc881de23001b"
see https://huggingface.co/datasets?search=token&sort=trending
labels: [key, token, password, secret, credentials]
"key": 1, "signature": "a picture of one"
"""


def test_what_only_sounds_like_one_is_none():
    assert [*findings(PLAIN)] == []


def test_no_recipe_size_document_or_card_of_ours_raises_an_alarm():
    files = [path for place in ("configuration", "docs") for path in (ROOT / place).rglob("*") if path.suffix in TEXTS]
    assert len(files) > 40
    alarms = [
        f"{path.name}, line {number}: {what} ({shown})"
        for path in [*files, ROOT / "README.md", ROOT / "model_card.md"]
        for number, what, shown in findings(path.read_text(encoding="utf-8"))
        if what in SECRETS
    ]
    assert alarms == []


@pytest.mark.parametrize(
    "name", ["recipe.yaml", "metrics.json", "parity.json", "README.md", "config.json", "pages/a.png"]
)
def test_a_link_out_of_the_folder_is_not_published(saved: Path, tmp_path: Path, name: str):
    folder, outside = tmp_path / "model", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (outside / "a.png").write_bytes(b"picture")
    if "/" in name:
        (folder / "pages").symlink_to(outside)
        (folder / "README.md").write_text(f"# A model\n\n![It]({name})\n")
    else:
        content = (folder / name).read_bytes() if (folder / name).is_file() else b"{}"
        (outside / "file").write_bytes(content)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / "file")
    with pytest.raises(ValueError, match=r"outside of the folder|does not lie in"):
        repository_files(folder)


def test_links_within_the_folder_and_to_the_folder_are_followed(saved: Path, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "figures.json").write_text("{}")
    (folder / "metrics.json").symlink_to("figures.json")
    (tmp_path / "link").symlink_to(folder)
    assert "metrics.json" in repository_files(tmp_path / "link")
