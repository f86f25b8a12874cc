"""What a sentence says, held against what is known to be so."""

import hashlib
import re
from ast import literal_eval
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

# But for what a sentence advises: needs class_token=True.
CLAIM = re.compile(r"(?<![\w.])(?<!needs )(?<!take )(?<!with )([a-z]\w+)=('[^']*'|\[[^\[\]]*\]|\([^()]*\)|[-+\w.]*\w)")
SHALLOW = 4
# What a field is called in a sentence, beside its name, and what follows from it.
OTHER_NAMES = {
    "id2label": "label",
    "label2id": "label",
    "num_channels": "channels",
    "image_size": "image|pixels|size",
    "architectures": "lacks|VisionTransformer|SwinTransformer|head",
    "depths": "stage",
    "model_type": "no known library|is for|does not know|Transformer",
}


def names_one_of(said: str, names: Collection[str]) -> bool:
    """As a word, or as the rest of one."""
    words = [word for name in names for word in (re.escape(name), *OTHER_NAMES.get(name, "").split("|")) if word]
    if "" in names and "''" in said:
        return True
    return any(re.search(rf"(?<!\w){word}", said) for word in words)


def values_at(content: Any, paths: Iterable[tuple[str, ...]]) -> list[Any]:
    """What stands there now; nothing where it was left out, or a change of another took it away."""
    found = []
    for path in paths:
        place = content
        for name in path:
            place = place.get(name) if isinstance(place, dict) else None
        found.append(place)
    return [value for value in found if value is not None]


def untrue_claims(said: str, known: Mapping[str, Any]) -> str | None:
    """known: what files hold, by the names of the fields. -> the first "name=value" that is not so"""
    wrong: dict[str, str] = {}
    right: set[str] = set()
    for name, shown in CLAIM.findall(said):
        if name not in known or shown.endswith("..."):
            continue
        if any(f"{name}={held[:40]}" in said for held in (str(known[name]), repr(known[name]))):
            right.add(name)  # beside which it may say what another file holds
            continue
        try:
            value = literal_eval(shown)
        except (ValueError, SyntaxError):
            continue
        if plain(value) == plain(known[name]):
            right.add(name)
        else:
            wrong[name] = f"says {name}={shown}, which is {known[name]!r}"
    return next((claim for name, claim in wrong.items() if name not in right), None)


def names_value(said: str, values: Iterable[Any]) -> bool:
    """Or says of one that it is nested too deeply to be shown."""
    deep = any(depth(value) > SHALLOW for value in values) and "nested" in said
    return deep or any(re.search(rf"(?<!\w){re.escape(str(value)[:30])}", said) for value in values if str(value))


def depth(value: Any) -> int:
    levels = 0
    while isinstance(value, list | dict) and value:
        value, levels = value[0] if isinstance(value, list) else next(iter(value.values())), levels + 1
    return levels


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def leaves(content: Any, name: str = "") -> dict[str, Any]:
    """The fields of tables within tables, by their own names; those that two tables have are left out."""
    if not isinstance(content, dict):
        return {name: content}
    found: dict[str, Any] = {}
    twice: set[str] = set()
    for key, value in content.items():
        for inner, held in leaves(value, str(key)).items():
            twice |= {inner} & found.keys()
            found[inner] = held
    return {key: value for key, value in found.items() if key not in twice}


def blames_another(said: str, own: str, others: Collection[str]) -> str | None:
    """own: the file that is broken. -> the whole one that a sentence names in its place"""
    if re.search(rf"(?<![\w]){re.escape(own)}", said):
        return None
    named = [other for other in others if re.search(rf"(?<![\w]){re.escape(other)}", said)]
    return f"blames {named[0]} for what is wrong with {own}: {said[:300]!r}" if named else None


def snapshot(folder: Path) -> dict[str, str]:
    """The hash of each file in it, and of each folder nothing."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    differing = sorted({name for name, _ in before.items() ^ after.items()})
    return f"changed {', '.join(differing[:5])}" if differing else None
