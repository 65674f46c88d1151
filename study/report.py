"""The report of a study: an HTML page and its Markdown twin.

It computes no result: numbers come from `study.json`, and are formatted in one place, so that the twins cannot disagree.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from study.reporting.inputs import Sources
from study.reporting.report import write_report
from vicreg.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a report; a person's mistake is one sentence and status 2."""
    options = parse_arguments(arguments)
    sources = Sources(
        results=options.results, projection=options.project, evaluation=options.evaluate, curves=options.curves,
        certificate=options.certificate, timing=options.timing,
    )  # fmt: skip
    try:
        write_report(sources, options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line, by default this process's."""
    parser = argparse.ArgumentParser(prog="python -m study.report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="results/ablate/<study>/study.json")
    parser.add_argument("--project", type=Path, help="results/project/tsne.json")
    parser.add_argument("--evaluate", type=Path, help="results/evaluate/metrics.json")
    parser.add_argument("--curves", type=Path, help="results/evaluate/linear.csv")
    parser.add_argument("--timing", type=Path, help="results/ablate/<study>/timing.json")
    parser.add_argument("--certificate", type=Path, help="results/verify/<study>.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, such as reports/<study>")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
