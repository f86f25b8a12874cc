"""A script that completes commands, options, recipes and fields in a shell. It knows all words itself: no Python starts
when somebody presses TAB.
"""

import importlib
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .cli import COMMANDS, Parser, explained, given_arguments, parser, parser_of
from .fields import quiet

EXAMPLES = """\
  {program} bash > ~/.local/share/bash-completion/completions/vit-hf
  {program} zsh > ~/.zfunc/_vit-hf      (a folder of $fpath)
  {program} fish > ~/.config/fish/completions/vit-hf.fish

Make it anew after an update, which may bring other fields.
"""
SHELLS = ("bash", "zsh", "fish")


class Words(NamedTuple):
    """Of one command: what can stand in a place of its own, and each option with the words that can follow it; with
    none, files and anything else can."""

    positional: tuple[str, ...]
    options: dict[str, tuple[str, ...]]
    switches: frozenset[str]


def words_of(parse: Parser, fields: dict[str, tuple[str, ...]], positional: Sequence[str] = ()) -> Words:
    options, switches = {}, []
    for action in parse.options():
        for name in action.option_strings:
            options[name] = tuple(str(choice) for choice in action.choices or ())
            if action.nargs == 0:
                switches.append(name)
        if not action.option_strings and action.choices:
            positional = [*positional, *map(str, action.choices)]
    return Words(tuple(positional), options | fields, frozenset(switches))


def all_words() -> dict[str, Words]:
    """By the command, perhaps with the word that follows it."""
    with quiet():
        importlib.import_module("..public", __package__)  # registers the families
        from ..training.recipe.fields import every_field
        from ..training.recipe.recipe import Recipe
        from ..training.recipe.shipped import own_recipes
        from .benchmark import SUBCOMMANDS

        fields = {f"--{field.path}": field.choices for field in every_field()}
        recipes = tuple(own_recipes())
        names = {*(path.removeprefix("--").rpartition(".")[0] for path in fields), *Recipe.model_fields}
        positional = {
            "train": recipes,
            "recipes": recipes,
            "benchmark": SUBCOMMANDS,
            "benchmark recipe": recipes,
            "fields": tuple(sorted(names)),
        }
        sections = tuple(Recipe.model_fields)
        taking = {"train": sections, "benchmark recipe": sections, "evaluate": ("data",)}
        found = {}
        for name in [*COMMANDS, *(f"benchmark {word}" for word in SUBCOMMANDS)]:
            own = taking.get(name, ())
            taken = {path: words for path, words in fields.items() if path[2:].partition(".")[0] in own}
            found[name] = words_of(parser_of(*name.split()), taken, positional.get(name, ()))
    return found


def bash(known: dict[str, Words]) -> str:
    """Sections come first, and the fields of one after its dot, of which there are hundreds."""
    return "\n".join(
        [
            "# Completion of vit-hf in bash, made by: vit-hf completion bash",
            "_vit_hf() {",
            '    local current="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"',
            '    local previous="${COMP_WORDS[COMP_CWORD-1]}" positional="" options="" dotted="" values="" files=1',
            "    COMPREPLY=()",
            '    if [ "$COMP_CWORD" -le 1 ]; then',
            f'        COMPREPLY=($(compgen -W "{" ".join([*COMMANDS, "--help"])}" -- "$current"))',
            "        return",
            "    fi",
            '    case "$command ${COMP_WORDS[2]}" in',
            *(f'        "{name}") [ "$COMP_CWORD" -gt 2 ] && command="{name}" ;;' for name in known if " " in name),
            "    esac",
            '    case "$command" in',
            *(line for name, words in known.items() for line in bash_case(name, words)),
            "    esac",
            '    if [ -n "$values" ]; then',
            '        COMPREPLY=($(compgen -W "$values" -- "$current"))',
            '    elif [ "$files" = 0 ] && [ "${current#-}" = "$current" ]; then',
            '        COMPREPLY=($(compgen -f -- "$current"))',
            '    elif [ "${current#*.}" != "$current" ] && [ "${current#--}" != "$current" ]; then',
            '        COMPREPLY=($(compgen -W "$dotted" -- "$current"))',
            '    elif [ "${current#-}" != "$current" ]; then',
            '        COMPREPLY=($(compgen -W "$options" -- "$current"))',
            '        case "${COMPREPLY[0]}" in *.) compopt -o nospace 2> /dev/null ;; esac',
            "    else",
            '        COMPREPLY=($(compgen -W "$positional" -- "$current") $(compgen -f -- "$current"))',
            "    fi",
            "    return 0",
            "}",
            "complete -o filenames -F _vit_hf vit-hf",
            "",
        ]
    )


def bash_case(name: str, words: Words) -> Iterator[str]:
    dotted = [option for option in words.options if "." in option]
    sections = sorted({f"{option.partition('.')[0]}." for option in dotted})
    plain = [option for option in words.options if option not in dotted]
    yield f'        "{name}")'
    yield f'            positional="{" ".join(words.positional)}"'
    yield f'            options="{" ".join([*plain, *sections])}"'
    yield f'            dotted="{" ".join(dotted)}"'
    yield '            case "$previous" in'
    for option, values in words.options.items():
        if values:
            yield f'                {option}) values="{" ".join(values)}" ;;'
    if free := [option for option, values in words.options.items() if not values and option not in words.switches]:
        yield f"                {'|'.join(free)}) files=0 ;;"
    yield "            esac"
    yield "            ;;"


def zsh(known: dict[str, Words]) -> str:
    """bash's, by zsh's own bridge."""
    return f"#compdef vit-hf\nautoload -U +X bashcompinit && bashcompinit\n{bash(known)}"


def fish(known: dict[str, Words]) -> str:
    lines = ["# Completion of vit-hf in fish, made by: vit-hf completion fish"]
    for name, does in COMMANDS.items():
        lines.append(f"complete -c vit-hf -n __fish_use_subcommand -f -a {name} -d {quoted(does)}")
    for name, words in known.items():
        command, _, inner = name.partition(" ")
        seen = f"__fish_seen_subcommand_from {command}"
        if inner:
            seen += f"; and __fish_seen_subcommand_from {inner}"
        start = f"complete -c vit-hf -n {quoted(seen)}"
        if words.positional:
            lines.append(f"{start} -a {quoted(' '.join(words.positional))}")
        for option, values in words.options.items():
            spelt = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            takes = "" if option in words.switches else f" -x -a {quoted(' '.join(values))}" if values else " -r"
            lines.append(f"{start} {spelt}{takes}")
    return "\n".join([*lines, ""])


def quoted(text: str) -> str:
    """For fish, within single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run(given: Namespace) -> int:
    print({"bash": bash, "zsh": zsh, "fish": fish}[given.shell](all_words()), end="")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("completion", "Print a script that completes vit-hf in a shell.", EXAMPLES)
    parse.add_argument("shell", choices=SHELLS, help="yours")
    return explained(run, parse.parse_args(given_arguments(words)))
