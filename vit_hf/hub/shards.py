"""Weights in several files, each read and written by itself, so that memory never holds more than one."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from .contents import INDEX, WEIGHTS


def split_weights(file: Path, into: Path, limit: int) -> list[str]:
    """-> the names of an index and of the shards that it lists, in the folder `into`; none where `limit` bytes suffice.

    A tensor that is larger than the limit has a shard of its own.
    """
    if file.stat().st_size <= limit:
        return []
    with safe_open(file, framework="pt") as weights:
        groups: list[list[str]] = [[]]
        sizes: list[int] = [0]
        for key in weights.keys():  # noqa: SIM118 (no dictionary)
            size = tensor_bytes(weights, key)
            if groups[-1] and sizes[-1] + size > limit:
                groups.append([])
                sizes.append(0)
            groups[-1].append(key)
            sizes[-1] += size
        stem = WEIGHTS.removesuffix(".safetensors")
        places = {}
        for number, keys in enumerate(groups, start=1):
            name = f"{stem}-{number:05d}-of-{len(groups):05d}.safetensors"
            save_file({key: weights.get_tensor(key) for key in keys}, into / name, metadata={"format": "pt"})
            places |= dict.fromkeys(keys, name)
    index = {"metadata": {"total_size": sum(sizes)}, "weight_map": places}
    (into / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return [INDEX, *sorted(set(places.values()))]


def tensor_bytes(weights, key: str) -> int:
    """Read from a view of the file, which costs no memory."""
    tensor = weights.get_tensor(key)
    return tensor.numel() * tensor.element_size()
