"""What changed between a checkpoint's run and the one that would resume it."""

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

# No weight depends on these. The batch is compared as a whole, however processes and accumulation divide it.
FREE = (
    "card.*",
    "data.keep_in_memory",
    "data.cache*",
    "data.check_images",
    "training.output_dir",
    "training.resume_from_checkpoint",
    "training.logging_*",
    "training.save_*",
    "training.report_to",
    "training.run_name",
    "training.project",
    "training.disable_tqdm",
    "training.log_level*",
    "training.push_to_hub",
    "training.hub_*",
    "training.load_best_model_at_end",
    "training.per_device_*",
    "training.gradient_accumulation_steps",
    "training.dataloader_num_workers",
    "training.dataloader_pin_memory",
    "training.dataloader_prefetch_factor",
    "training.dataloader_persistent_workers",
)


def flat(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """{"training": {"seed": 0}} -> {"training.seed": 0}"""
    found = {}
    for name, value in content.items():
        place = f"{path}.{name}" if path else name
        found.update(flat(value, place) if isinstance(value, Mapping) and value else {place: value})
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...] = FREE) -> list[str]:
    """A line for every field that matters and is not what it was."""
    old, new = flat(before), flat(now)
    return [
        f"{name} was {old.get(name, 'not set')!r} and is {new.get(name, 'not set')!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not any(fnmatch(name, pattern) for pattern in free)
    ]
