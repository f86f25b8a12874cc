"""Strange values, changed fields and damaged bytes, all from one generator of random numbers."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any

HUGE = 10**9
STRANGE: list[Any] = [
    *(None, True, False, 0, 1, -1, -5, 2, 7, HUGE, -HUGE, 10**30, 0.0, 0.5, -0.5, 1e30, float("nan"), float("inf")),
    *("", "x", "1e-3", "auto", "none", "../..", "/etc/passwd", "\x00", "é" * 50, "5"),
    *([], [0], [1, 2], ["x"], [None], [[]], {}, {"a": 1}, {"0": "x"}, {"": {}}, [3, 4, 5, 6, 7, 8]),
]
STRANGE_NAMES = ("", "x", "num_labels", "hidden_size", "dtype", "auto_map", "id2label", "__class__", "seed", "size")


def deep(random: Random) -> Any:
    """Lists and tables within each other, to a depth that JSON still reads, or not."""
    content: Any = 1
    for _ in range(random.choice([5, 200, 900])):
        content = [content] if random.random() < 0.5 else {"a": content}
    return content


def strange_value(random: Random) -> Any:
    return deep(random) if random.random() < 0.03 else deepcopy(random.choice(STRANGE))


def changed_value(value: Any, random: Random) -> Any:
    """Another of the same kind, or of another."""
    if isinstance(value, int) and not isinstance(value, bool) and random.random() < 0.4:
        return value * random.choice([-1, 0, 2, 3, HUGE]) + random.choice([0, 0, 1])
    if isinstance(value, float) and random.random() < 0.4:
        return value * random.choice([-1.0, 0.0, 1e9, float("nan"), float("inf")])
    if isinstance(value, list) and value and random.random() < 0.5:
        return random.choice([value[:-1], value * 2, value[::-1], [changed_value(value[0], random), *value[1:]]])
    return strange_value(random)


def changed_fields(
    content: dict[Any, Any], random: Random, *, stops: float = 0.4, known: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[Any, Any], list[tuple[str, ...]]]:
    """-> the same with one to three fields changed, left out or added, at any depth, and the paths of those

    stops: how often a table is changed itself, and not within a table of it. known: of tables by their names, what
    else may stand there.
    """
    content = deepcopy(content)
    paths = []
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        place, trail = content, []
        while True:
            inner = [name for name, value in place.items() if isinstance(value, dict) and value]
            if not inner or random.random() < stops:
                break
            trail.append(random.choice(inner))
            place = place[trail[-1]]
        more = (known or {}).get(trail[-1] if trail else "", STRANGE_NAMES if random.random() < 0.2 else ())
        name: Any = random.choice([*place, *more] if place or more else STRANGE_NAMES)
        if random.random() < 0.1:
            place.pop(name, None)
        else:
            place[name] = changed_value(place.get(name), random)
        paths.append(tuple(map(str, [*trail, name])))
    return content, paths


def cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def flipped(content: bytes, random: Random) -> bytes:
    turned = bytearray(content)
    for _ in range(random.choice([1, 1, 4, 32])):
        turned[random.randrange(len(turned))] ^= 1 << random.randrange(8)
    return bytes(turned)


def beginning_flipped(content: bytes, random: Random) -> bytes:
    """Where formats say what they are."""
    turned = bytearray(content)
    for _ in range(random.choice([1, 2, 8])):
        turned[random.randrange(min(64, len(turned)))] = random.randrange(256)
    return bytes(turned)


def zeroed(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    length = random.randrange(1, 1 + len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def doubled(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    return content[:start] + content[start : start + random.randrange(1, 500)] * 2 + content[start:]


def replaced(content: bytes, random: Random) -> bytes:
    others = [b"", b"null", b"[]", b"5", b'"x"', b"\xff\xfe", b"{}", b"[" * 100_000, b"<html>Log in</html>"]
    return random.choice([*others, b"version https://git-lfs.github.com/spec/v1\n", random.randbytes(200), bytes(200)])


DAMAGES: list[Callable[[bytes, Random], bytes]] = [cut, flipped, flipped, beginning_flipped, zeroed, doubled, replaced]


def damaged(content: bytes, random: Random) -> bytes:
    return random.choice(DAMAGES)(content, random) if content else replaced(content, random)
