"""Two studies, two git revisions or two profiles, cell by cell: what changed, and what difference it made.

    python -m study.compare A B [--margin X] [--out DIR]

A and B are each a path to a `study.json` or its folder; a study's name; `REV:NAME`, its results at a git revision; or
`NAME@PROFILE`, the study under another profile, from finished runs. Every difference is B - A.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from study.cli.command import run_command
from study.comparison.sources import find
from study.comparison.view import build_view
from study.config.load import load_config
from study.reporting.pages import write_twins
from study.runs.baseline import STORE


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse_arguments(argv)
    a, b = (find(text, store=arguments.store) for text in (arguments.a, arguments.b))
    margin = load_config().ablate.margin if arguments.margin is None else arguments.margin
    view = build_view(a, b, margin=margin)
    print_view(view)
    if arguments.out:
        write_twins("compare", view, html=arguments.out / "index.html", markdown=arguments.out / "README.md")
        print(f"written: {arguments.out}/index.html and README.md")
    return 0


def print_view(view: Mapping[str, Any]) -> None:
    """The view on the terminal, without the list of cells."""
    console = Console(highlight=False, markup=False)
    for text in (*view["about"], "", view["answer"], *view["notes"], ""):
        console.print(text)
    changed = Table(title="What changed", title_justify="left")
    for column in ("", "what", "A", "B"):
        changed.add_column(column, overflow="fold")
    for kind, rows in view["changes"]:
        for what, before, after in rows:
            changed.add_row(kind, what, before, after)
    if view["changes"]:
        console.print(changed)
    arms = Table(title=f"{view['probe']}, test accuracy in %, and B - A in points", title_justify="left")
    for column in ("arm", "n", "A", "B", "B - A", "95 % interval", "p (Holm)", "what it says", "verdict", "status"):
        arms.add_column(column, overflow="fold")
    for arm in view["arms"]:
        arms.add_row(
            arm["label"], arm["n"], arm["a"], arm["b"], arm["difference"], arm["interval"], arm["p"], arm["says"],
            arm["verdict"], arm["status"],
        )  # fmt: skip
    console.print(arms)
    for line in view["one_sided"]:
        console.print(line)


def _parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m study.compare", description="What changed from A to B, and what it did."
    )
    where = "a study.json or its folder, a study's name, REV:NAME, or NAME@PROFILE"
    parser.add_argument("a", metavar="A", help=where)
    parser.add_argument("b", metavar="B", help="the same; every difference is B - A")
    parser.add_argument("--margin", type=float, metavar="X", help="what would matter, a share; default: params.yaml's")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write index.html and README.md there")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs; default: store")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
