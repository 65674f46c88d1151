"""Prints a comparison on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from study.cli.console import Console


def print_view(view: Mapping[str, Any]) -> None:
    """Print a view, without the list of cells."""
    console = Console(highlight=False, markup=False, emoji=False)
    for text in (*view["about"], "", view["answer"], *view["notes"], ""):
        console.print(text)
    if view["changes"]:
        console.print(_changes(view))
    console.print(_arms(view))
    for line in view["one_sided"]:
        console.print(line)


def _changes(view: Mapping[str, Any]) -> Table:
    table = Table(title="What changed", title_justify="left")
    for column in ("", "what", "A", "B"):
        table.add_column(column, overflow="fold")
    for kind, rows in view["changes"]:
        for what, before, after in rows:
            table.add_row(kind, what, before, after)
    return table


def _arms(view: Mapping[str, Any]) -> Table:
    table = Table(title=f"{view['probe']}, test accuracy in %, and B - A in points", title_justify="left")
    columns = ("arm", "n", "A", "B", "B - A", "95 % interval", "p (Holm)", "what it says", "collapse type", "status")
    for column in (*columns, *(["to other arms, on both"] if view["has_order"] else [])):
        table.add_column(column, overflow="fold")
    for arm in view["arms"]:
        table.add_row(
            arm["label"], arm["n"], arm["a"], arm["b"], arm["difference"], arm["interval"], arm["p"], arm["says"],
            arm["verdict"], arm["status"], *([arm["order"]] if view["has_order"] else []),
        )  # fmt: skip
    return table
