"""metrics.jsonl: one line for each report of a run, the same bytes for a run that was interrupted and resumed."""

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

NAME = "metrics.jsonl"
CLOCK = ("runtime", "per_second", "seconds", "memory", "wait", "mfu")  # these differ from run to run


def line_of(record: dict[str, Any]) -> str:
    """Figures that a repetition reproduces first, and those of the machine apart, under "clock"."""
    clock = {name: value for name, value in record.items() if any(word in name for word in CLOCK)}
    figures = {name: value for name, value in record.items() if name not in clock}
    return json.dumps({"step": figures.pop("step", None), **figures, **({"clock": clock} if clock else {})}) + "\n"


def reproducible(text: str) -> list[dict[str, Any]]:
    """The lines of a log without their clocks, to compare two runs by."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in line.items() if name != "clock"} for line in lines]


class MetricLog(TrainerCallback):
    """Begins with what the checkpoint's run had reported up to then, so that nothing is missing and nothing double."""

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            path = Path(str(args.output_dir)) / NAME
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line_of(record) for record in state.log_history), encoding="utf-8")

    def on_log(self, args, state, control, logs=None, **kwargs):
        path = Path(str(args.output_dir)) / NAME
        if state.is_world_process_zero and path.parent.is_dir() and state.log_history:
            with path.open("a", encoding="utf-8") as file:
                file.write(line_of(state.log_history[-1]))
