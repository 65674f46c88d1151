"""The stage `evaluate`: every probe on the baseline and its control."""

import sys
from collections.abc import Sequence

from study.cli.arguments import parse_no_arguments
from study.cli.command import run_command
from study.runs.baseline import open_baseline
from study.runs.stages import evaluate_baseline
from vicreg.files import to_json


def main(argv: Sequence[str] = ()) -> None:
    """Measure the baseline and print the metrics."""
    parse_no_arguments("evaluate", "Every probe on the baseline and its control.", argv)
    print(to_json(evaluate_baseline(open_baseline())).decode(), end="")


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
