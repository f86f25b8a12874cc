"""From a folder to the Hub, once it is proven to load, and to be the same model, wherever it is meant to."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .cli import FAILED, given_arguments, guarded, parser, program

if TYPE_CHECKING:
    from ..hub.push import Pushed

EXAMPLES = """\
  {program} outputs/digits you/digits --tag v1.0
  {program} outputs/digits you/digits --private --stock
  {program} outputs/digits you/digits --dry-run
  {program} --verify you/digits@v1.0

Nothing is uploaded before fresh processes have loaded the folder with vit_hf and without it, and found the same
logits to the bit. What is uploaded is one commit; after a failure it is said how the repository is, as far as the Hub
answers. Of two pushes at once the later is refused. Links out of the folder and secrets are not published.
"""


def run(given: Namespace) -> int:
    from ..errors import UserError
    from ..publishing.publish import publish
    from ..publishing.verify_remote import verify_remote

    if given.verify is not None:
        check = verify_remote(given.verify)
        print(check)
        return 0 if check.passed else FAILED
    if given.folder is None or given.repo_id is None:
        raise UserError("Name a folder and a repository, as in `vit-hf publish outputs/digits you/digits`.")
    pushed = publish(
        given.folder,
        given.repo_id,
        stock="only" if given.stock_only else "beside" if given.stock else "no",
        max_shard_size=given.max_shard_size,
        with_split=given.with_split,
        dry_run=given.dry_run,
        say=partial(print, flush=True),
        branch=given.branch,
        revision=given.revision,
        tag=given.tag,
        private=given.private,
        create_pr=given.create_pr,
        message=given.message,
    )
    print(next_commands(given, pushed) if pushed else "\nA dry run: nothing was uploaded.")
    return 0


def next_commands(given: Namespace, pushed: "Pushed") -> str:
    from ..families import auto_name
    from ..files import read_json
    from ..hub.repository import CONFIG

    commit, auto = pushed.oid, auto_name(read_json(given.folder / CONFIG)["architectures"][0])
    code = "" if given.stock_only else f', code_revision="{commit}", trust_remote_code=True'
    return "\n".join(
        [
            "\nAnybody now loads exactly this commit by",
            f'  {auto}.from_pretrained("{pushed.repo_id}", revision="{commit}"{code})',
            "Next, you could",
            f"  {program('publish')} --verify {pushed.repo_id}@{pushed.tag or commit}",
        ]
    )


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
    parse.add_argument(
        "--with-split",
        action="store_true",
        help="also names, hashes and labels of the images, which are private otherwise",
    )
    parse.add_argument("--dry-run", action="store_true", help="verify and list, and upload nothing")
    parse.add_argument("--verify", metavar="OWNER/NAME@REVISION", help="download again, and compare hashes and logits")
    return guarded(run, parse.parse_args(given_arguments(words)))
