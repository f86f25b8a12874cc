"""What was measured on a GPU, as JSON, as lines while it runs, and as Markdown that stands in the documentation."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..peers import OURS

Record = Mapping[str, Any]
MODEL_HEAD = ["", "{unit}/s", "quartiles", "ms", "MFU", "GiB", "vit_hf alike", "vit_hf at best"]
MODEL_PARTS = ("inference", "training", "latency")
HEADINGS = {
    "inference": "Inference: weights and images in bfloat16, on the card",
    "latency": "Latency: one image (or clip) after the other, in bfloat16",
    "training": "Training steps: forward, loss, backward, fused AdamW; float32 weights under bfloat16 autocast",
}


def as_json(record: Record) -> str:
    return json.dumps(record, indent=2) + "\n"


def in_figures(number: float) -> str:
    """Three digits at least, and no more than whole numbers of large ones."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def ratio_in_words(ratio: Record | None) -> str:
    return "" if ratio is None else f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def model_row(row: Record) -> list[str]:
    name = f"{row['library']}, {row['how']}"
    if "error" in row:
        return [name, f"failed: {row['error']}", *[""] * 6]
    speed, time, used = row["images_per_second"], row["milliseconds"], row["utilization"]
    return [
        name,
        in_figures(speed["median"]),
        f"{in_figures(speed['low'])} to {in_figures(speed['high'])}",
        in_figures(time["median"]),
        "" if used is None else f"{used:.1%}",
        f"{row['memory'] / 2**30:.2f}",
        ratio_in_words(row.get("alike")),
        ratio_in_words(row.get("best")),
    ]


def trainer_row_words(row: Record) -> list[str]:
    return [row["title"], f"failed: {row['error']}" if "error" in row else in_figures(row["images_per_second"])]


def data_row_words(row: Record) -> list[str]:
    if "error" in row:
        return [row["library"], f"failed: {row['error']}"]
    speed = row["images_per_second"]
    return [
        row["library"],
        f"{in_figures(speed['median'])} ({in_figures(speed['low'])} to {in_figures(speed['high'])})",
    ]


def lines_of_piece(piece: Record) -> list[str]:
    """A line for each thing that was measured, for whoever watches."""
    if "error" in piece:
        return [f"  failed: {piece['error']}"]
    if piece["part"] == "ceilings":
        return [f"  {line}" for line in ceilings_in_words(piece)]
    words = {"trainer": trainer_row_words, "data": data_row_words}.get(piece["part"], model_row)
    return ["  " + "; ".join(cell for cell in words(row) if cell) for row in piece["rows"]]


def ceilings_in_words(piece: Record) -> list[str]:
    product, copy = piece["product"], piece["copy"]
    return [
        f"matrix products of {piece['side']:,} in bfloat16: {product['median'] / 1e12:,.4g} TFLOP/s "
        f"({product['low'] / 1e12:,.4g} to {product['high'] / 1e12:,.4g})",
        f"copies on the device: {copy['median'] / 1e12:,.3g} TB/s, read and written "
        f"({copy['low'] / 1e12:,.3g} to {copy['high'] / 1e12:,.3g})",
    ]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def record_as_markdown(record: Record) -> str:
    """Heading, versions and method; the parts that were measured; and what was not."""
    pieces = record["pieces"]
    lines = [f"## On one {record['card']}", "", *conditions_in_words(record)]
    for piece in of_part(pieces, "ceilings"):
        lines += failed_or([f"- {line}" for line in ceilings_words_or_none(piece)], piece)
    for part in MODEL_PARTS:
        lines += model_tables(part, list(of_part(pieces, part)))
    lines += trainer_tables(list(of_part(pieces, "trainer")))
    for piece in of_part(pieces, "data"):
        lines += data_table(piece, pieces)
    if record["not_run"]:
        lines += ["Not run, as there was no time for it: " + "; ".join(record["not_run"]) + ".", ""]
    for task, why in record["not_compiled"].items():
        lines.append(f"- Not compiled: {task}: {why}")
    return "\n".join(lines).rstrip() + "\n"


def of_part(pieces: Sequence[Record], part: str) -> Iterator[Record]:
    return (piece for piece in pieces if piece["part"] == part)


def failed_or(lines: list[str], piece: Record) -> list[str]:
    return [f"- {piece['name']} failed: {piece['error']}", ""] if "error" in piece else [*lines, ""]


def ceilings_words_or_none(piece: Record) -> list[str]:
    return [] if "error" in piece else ceilings_in_words(piece)


def conditions_in_words(record: Record) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version)
    settings = record["settings"]
    cuda = "" if record["cuda"] is None else f", CUDA {record['cuda']}, driver {record['driver']}"
    return [
        f"{record['date']}; {record['card']}, {record['cores']} cores{cuda}; Python {record['python']}, {versions}.",
        "",
        f"Medians of {settings['rounds']} rounds in which everyone takes a turn, with quartiles; a turn is as many "
        f"calls as take {1000 * settings['seconds_of_a_sample']:.0f} ms, timed by events on the device. Images are "
        "random numbers that lie on the card.",
        "",
    ]


def model_tables(part: str, pieces: Sequence[Record]) -> list[str]:
    if not pieces:
        return []
    lines = [
        f"### {HEADINGS[part]}",
        "",
        "MFU: the operations of the model's matrix products, counted (all tokens in all layers), over the rate of "
        "matrix products above. GiB: memory at its fullest, weights included. vit_hf alike: how many times as fast "
        "vit_hf is when it runs in the same way, in the same rounds; at best: in its own fastest way.",
        "",
    ]
    for piece in pieces:
        head = [cell.format(unit=piece["unit"]) for cell in MODEL_HEAD]
        lines += [f"{piece['size']}, batch {piece['batch']}", ""]
        lines += failed_or(markdown_table(head, [model_row(row) for row in piece.get("rows", [])]), piece)
    return lines


def trainer_tables(pieces: Sequence[Record]) -> list[str]:
    if not pieces:
        return []
    lines = [
        "### Whole trainings",
        "",
        "Images a second of whole steps, from the image to the changed weights, bfloat16 and compiled where nothing "
        "else is said; of each the steps after the first few, in one window. Of the bare loop: ours over the mean of "
        "the steps without a Trainer before and after it.",
        "",
    ]
    for piece in pieces:
        bare = bare_mean(pieces, piece["size"])
        rows = []
        for row in piece.get("rows", []):
            share = row["images_per_second"] / bare if bare and "images_per_second" in row else None
            rows.append([*trainer_row_words(row), "" if share is None else f"{share:.3f}"])
        steps = f"{piece['size']}, batch {piece['batch']}, {piece['steps']} steps"
        lines += [steps, "", *failed_or(markdown_table(["", "images/s", "of the bare loop"], rows), piece)]
    speeds = {row["kind"]: row["images_per_second"] for row in all_rows(pieces) if "images_per_second" in row}
    if "transformers" in speeds and "photos" in speeds:
        ratios = [f"{speeds['photos'] / speeds['transformers']:.2f} times as fast from the same JPEGs"]
        if "light" in speeds:
            ratios.append(f"{speeds['light'] / speeds['transformers']:.2f} times with the bytes on the device")
        lines += [f"Against transformers' Trainer ours is {', and '.join(ratios)}.", ""]
    return lines


def all_rows(pieces: Sequence[Record]) -> list[Record]:
    """Of the first size alone: those of another would not compare."""
    return [row for piece in pieces if piece["size"] == pieces[0]["size"] for row in piece.get("rows", [])]


def bare_mean(pieces: Sequence[Record], size: str) -> float | None:
    found = [
        row["images_per_second"]
        for piece in pieces
        if piece["size"] == size
        for row in piece.get("rows", [])
        if row["kind"] == "bare" and "images_per_second" in row
    ]
    return sum(found) / len(found) if found else None


def data_table(piece: Record, pieces: Sequence[Record]) -> list[str]:
    if "error" in piece:
        return failed_or([], piece)
    lines = [
        "### The data path alone",
        "",
        f"Images a second of {piece['workers']} processes: JPEGs of {piece['photo']} decoded, a random part of each "
        f"cut out and resized to {piece['side']}. Ours ends with bytes, the other with normalized floats.",
        "",
        *markdown_table(["", "images/s"], [data_row_words(row) for row in piece["rows"]]),
        "",
    ]
    eaten = {
        one["size"]: row["images_per_second"]["median"]
        for one in of_part(pieces, "training")
        for row in one.get("rows", [])
        if row["library"] == OURS and row["how"] == "compiled" and "error" not in row
    }
    ours = next((row for row in piece["rows"] if row["library"] == OURS and "error" not in row), None)
    if ours and eaten:
        fed = ours["images_per_second"]["median"]
        shares = ", ".join(
            f"{size} {in_figures(speed)} ({fed / speed:.2f} of it is fed)" for size, speed in eaten.items()
        )
        lines += [f"What a compiled training step eats of them a second: {shares}.", ""]
    return lines
