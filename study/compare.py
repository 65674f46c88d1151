"""Compares two studies, git revisions or profiles.

    python -m study.compare A B [--margin X] [--out DIR]

A and B are each one of: a path to a `study.json`, its folder or a `.json.xz` of `reports/measured`; a study's name;
`REV:NAME`, its results at a git revision; `NAME@PROFILE`, the study under another profile, from finished runs; and
`REV:NAME@PROFILE`. Where DVC's cache or the store has nothing, what `reports/measured` keeps serves.

Every difference is B - A. Of two machines' results it says whether runs move more than from seed to seed, which arms keep
their order, and what is a tie.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, path, share
from study.cli.command import run_command
from study.comparison.sources import resolve_results
from study.comparison.terminal import print_view
from study.comparison.view import build_view
from study.config.load import load_config
from study.config.places import STORE
from study.reporting.render import write_twins
from study.reporting.written import require_free


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison, and write its pages where asked."""
    arguments = parse_arguments(argv)
    if arguments.out:
        require_free(arguments.out)
    a, b = (resolve_results(text, store=arguments.store) for text in (arguments.a, arguments.b))
    margin = load_config().ablate.margin if arguments.margin is None else arguments.margin
    view = build_view(a, b, margin=margin)
    print_view(view)
    if arguments.out:
        write_twins("compare", view, html=arguments.out / "index.html", markdown=arguments.out / "README.md")
        print(f"written: {arguments.out}/index.html and README.md")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser("study.compare", "What changed from A to B, and what it did.")
    where = "a study.json, its folder or a kept .json.xz; a study's name; REV:NAME, NAME@PROFILE or REV:NAME@PROFILE"
    parser.add_argument("a", metavar="A", help=where)
    parser.add_argument("b", metavar="B", help="the same; every difference is B - A")
    parser.add_argument("--margin", type=share, metavar="X", help="what would matter, a share; default: params.yaml's")
    parser.add_argument("--out", type=path, metavar="DIR", help="write index.html and README.md there")
    parser.add_argument("--store", type=path, default=STORE, help="folder of finished runs; default: store")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
