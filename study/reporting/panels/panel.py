"""A figure with its title and the table of what it shows."""

from typing import TypedDict

Table = tuple[list[str], list[list[str]]]  # columns, and rows of text

MOST_ROWS = 60  # rows in the table behind a figure; the report's own tables have them all


class Panel(TypedDict):
    """A figure: `name` is its file's, `svg` its drawing; `left_out` is how many rows its table has beyond the most."""

    name: str
    title: str
    svg: str
    columns: list[str]
    rows: list[list[str]]
    left_out: int


def make_panel(name: str, title: str, svg: str, table: Table | None = None) -> Panel:
    """Return a figure with the table of what it shows, cut to the most rows that a figure may have."""
    columns, rows = table or ([], [])
    left_out = max(0, len(rows) - MOST_ROWS)
    return {"name": name, "title": title, "svg": svg, "columns": columns, "rows": rows[:MOST_ROWS], "left_out": left_out}
