"""The stage `evaluate`: every probe on the baseline and its control."""

from study.cli.command import run_command
from study.runs.baseline import open_baseline
from study.runs.stages import evaluate_baseline
from vicreg.files import to_json


def main() -> None:
    """Measure the baseline and print the metrics."""
    print(to_json(evaluate_baseline(open_baseline())).decode(), end="")


if __name__ == "__main__":
    run_command(main)
