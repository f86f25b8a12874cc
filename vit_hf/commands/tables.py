"""Plain tables for the terminal."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; all but the first to the right."""
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = [str(entry) for entry in row]
        rest = [entry.rjust(width) for entry, width in zip(others, widths[1:], strict=True)]
        return "  ".join(["", first.ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])
