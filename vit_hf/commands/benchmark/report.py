"""Comparisons as a table for people and as JSON for machines."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...runs.report import table
from .measure import Comparison, Row
from .timing import Ratio
from .workloads import Conditions


def write_record(path: Path | None, record: Any) -> None:
    """Where --json names a file; dataclasses as their fields."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2, default=vars) + "\n", encoding="utf-8")
        print(f"written to {path}")


def ratio_words(ratio: Ratio | None) -> str:
    return "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def row_words(row: Row) -> list[str]:
    return [
        row.library,
        f"{row.images_per_second:,.1f}",
        f"{row.share:.0%}",
        f"{row.memory / 2**20:,.0f}",
        ratio_words(row.ours_against_it),
    ]


def comparison_words(comparison: Comparison) -> str:
    head = ["", "images/s", "of products", "peak MiB", "vit_hf against it"]
    best = comparison.against_the_best
    verdict = "" if best is None else f"\n  against the best peer, {best[0]}: {ratio_words(best[1])}"
    return (
        f"{comparison.mode}, {comparison.size}, batch {comparison.batch}: "
        f"matrix products alone run at {comparison.product_rate / 1e9:,.0f} GFLOP/s\n"
        f"{table(head, [row_words(row) for row in comparison.rows])}{verdict}\n"
    )


def heading(conditions: Conditions, versions: Mapping[str, str | None], rounds: int) -> str:
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    missing = [f"{name} is not installed, and is left out." for name, version in versions.items() if version is None]
    return "\n".join(
        [
            f"{conditions}; torch {torch.__version__}; {there}",
            *missing,
            "Of products: counting all tokens in all layers; vit_hf leaves out those that no logit depends on.",
            f"{rounds} rounds, in which everyone takes a turn; ratios are medians over the rounds, with quartiles.",
            "",
        ]
    )


def as_record(
    conditions: Conditions, versions: Mapping[str, str | None], rounds: int, comparisons: list[Comparison]
) -> dict[str, Any]:
    """Everything measured, in plain types; seconds, bytes and operations a second."""
    return {
        "conditions": str(conditions),
        "platform": platform.platform(),
        "versions": {"torch": torch.__version__, **versions},
        "rounds": rounds,
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
