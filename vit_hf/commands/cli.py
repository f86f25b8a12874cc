"""The commands of vit-hf, and what each of them does: parse, call, and turn expected errors into one sentence. In a
clone, scripts/ hold the older ones too.
"""

import argparse
import importlib
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UserError, unknown_name

COMMANDS = {
    "train": "train a classifier from a recipe, and leave a folder that is ready for the Hub",
    "evaluate": "measure a model on labeled images",
    "predict": "name what is in images",
    "explain": "show what in images speaks for an answer",
    "serve": "answer over HTTP what is in images",
    "demo": "let people try a model: in an app, on the Hub, or on a page of its own",
    "convert": "bring a pretrained model from one library to another",
    "export": "write a model for another runtime, once it is proven to say the same there",
    "publish": "put a trained model on the Hub, once it is proven to load",
    "benchmark": "measure speed and memory against other libraries",
    "recipes": "list the recipes and named sizes that come with the package",
    "fields": "list every field of a recipe, with its type, default and meaning",
    "completion": "print a script that completes commands, fields and recipes in a shell",
}

EXPECTED = (UserError, OSError)
FAILED, MISUSED = 1, 2
OF_IMAGES = "average views of each image: flip (where not said), crops, flip,crops, or a number of them"
OF_VIT = "tokens that each layer of a ViT merges (ToMe): a number, such as 13, or one for each layer, as 16,16,8"
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, try again


class Described(Exception):
    """Carries a command's parser to whoever asked for it."""


class Parser(argparse.ArgumentParser):
    def options(self) -> list[argparse.Action]:
        return self._actions

    def parse_known_args(self, args=None, namespace=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        if args is not None and DESCRIBE in args:
            raise Described(self)
        return super().parse_known_args(args, namespace)


DESCRIBE = "\0"  # which no command line can hold


def parser_of(command: str, *words: str) -> Parser:
    """What a command understands, by asking it: its parser is made where it is used."""
    try:
        importlib.import_module(f"{__package__}.{command}").main([*words, DESCRIBE])
    except Described as described:
        return described.args[0]
    raise AssertionError(f"{command} parsed nothing")


def parser(name: str, description: str, examples: str) -> Parser:
    """Without abbreviations, which would swallow misspelt flags."""
    return Parser(
        prog=program(name),
        description=description,
        epilog=f"examples:\n{examples.format(program=program(name))}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def program(name: str) -> str:
    """How the user called us, so that what we suggest can be typed: python scripts/train.py or vit-hf train."""
    called = Path(sys.argv[0])
    return (
        f"python {shlex.quote(str(called.parent / f'{name}.py'))}"
        if called.parent.name == "scripts"
        else f"vit-hf {name}"
    )


# Of kernels that a machine has no use for, torchao warns whoever imports transformers, and torch of what it does then.
TALKATIVE = ("torchao", "torch.utils._pytree")


def guarded(run: Callable[..., int], *arguments) -> int:
    """`explained`, of what needs models: registers every family, which a command does not do before (see vit_hf)."""
    from ..requirements import warn_of_floors

    def registered() -> int:
        importlib.import_module("..public", __package__)
        return run(*arguments)

    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    warn_of_floors()
    return explained(registered)


def explained(run: Callable[..., int], *arguments) -> int:
    """The exit status of `run`; an expected error becomes a sentence, and VIT_HF_TRACEBACK=1 shows its origin.

    Any other is a fault of the package: it keeps its traceback, and says so.
    """
    try:
        return run(*arguments)
    except EXPECTED as error:
        if os.environ.get("VIT_HF_TRACEBACK") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        return MISUSED
    except KeyboardInterrupt as interrupt:
        print("\n".join(["", *getattr(interrupt, "__notes__", []), "interrupted"]), file=sys.stderr)
        return 130
    except Exception as error:
        error.add_note("This is a fault of vit_hf, and not yours; please report it with the lines above.")
        raise


def given_arguments(words: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if words is None else words)


def usage() -> str:
    lines = [f"  {name:<11} {does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vit-hf COMMAND ...",
            "",
            *lines,
            "",
            "Each has its own --help. To begin with:",
            "  vit-hf train digits --training.output_dir outputs/digits",
        ]
    )


def main(words: Sequence[str] | None = None) -> int:
    """The `vit-hf` of the command line. Only the asked-for command is imported."""
    name, *rest = given_arguments(words) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        print(f"error: {unknown_name('command', name, COMMANDS)}", file=sys.stderr)
        return 2
    return importlib.import_module(f"{__package__}.{name}").main(rest)
