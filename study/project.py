"""The stage `project`: t-SNE of the baseline's features of test images."""

import sys
from collections.abc import Sequence

from study.cli.arguments import parse_no_arguments
from study.cli.command import run_command
from study.projection.baseline import project_baseline
from study.runs.baseline import open_baseline


def main(argv: Sequence[str] = ()) -> None:
    """Map the features in two and three dimensions and print how many images are shown."""
    parse_no_arguments("project", "t-SNE of the baseline's features of test images.", argv)
    baseline = open_baseline()
    count = project_baseline(baseline)
    print(f"projected {count} test images of run {baseline.run.digest}")


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
