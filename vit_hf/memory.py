"""How much memory there is, and refusals of what would need more than that, before anything is made."""

import os
from pathlib import Path

from .errors import UserError

# What the kernel says of this machine, and of the group of processes that this one may use memory with.
MEMINFO = Path("/proc/meminfo")
GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
BYTE_UNITS = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}


def memory_there() -> int | None:
    """Bytes that a process can still have, as far as the machine says; None where it says nothing."""
    found = [limit for path in GROUP_LIMITS if (limit := number_in(Path(path))) is not None]
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def number_in(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def written_bytes(number: float) -> str:
    """1234567890 -> 1.2 GB"""
    unit = next((unit for unit, size in BYTE_UNITS.items() if number >= size), "kB")
    return f"{number / BYTE_UNITS[unit]:,.1f} {unit}"


def refuse_beyond_memory(what: str, needed: int, way_out: str) -> None:
    """what: with its verb, "image_size=800000 needs". Raises: UserError where that is more than there is."""
    there = memory_there()
    if there is not None and needed > there:
        raise UserError(f"{what} {written_bytes(needed)} of memory, and there are {written_bytes(there)}; {way_out}")
