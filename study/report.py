"""The report of a study: an HTML page and its Markdown twin.

It computes no result: numbers come from `study.json`, and are formatted in one place, so that the twins cannot disagree.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, path
from study.cli.command import run_command
from study.reporting.inputs import Sources
from study.reporting.report import write_report
from study.reporting.written import require_free


def main(argv: Sequence[str] | None = None) -> int:
    """Write a report and print where it lies."""
    options = parse_arguments(argv)
    sources = Sources(
        results=options.results, projection=options.project, evaluation=options.evaluate, curves=options.curves,
        certificate=options.certificate, timing=options.timing,
    )  # fmt: skip
    require_free(options.out)
    write_report(sources, options.out, map_page=options.map_page)
    print(f"written: {options.out}/index.html and README.md")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser("study.report", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=path, required=True, help="a study.json, or a .json.xz of reports/measured")
    parser.add_argument("--project", type=path, help="results/project/tsne.json")
    parser.add_argument("--evaluate", type=path, help="results/evaluate/metrics.json")
    parser.add_argument("--curves", type=path, help="results/evaluate/linear.csv")
    parser.add_argument("--timing", type=path, help="results/ablate/<study>/timing.json")
    parser.add_argument("--certificate", type=path, help="results/verify/<study>.json")
    parser.add_argument(
        "--map-page", type=path, help="the page that shows the map, which others link to; default: each its own"
    )
    parser.add_argument("--out", type=path, required=True, help="folder of the report, such as reports/<study>")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
