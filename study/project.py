"""The stage `project`: t-SNE of the baseline's features of test images."""

from study.cli.command import run_command
from study.projection.baseline import project_baseline
from study.runs.baseline import open_baseline


def main() -> None:
    """Map the features in two and three dimensions and print how many images are shown."""
    baseline = open_baseline()
    count = project_baseline(baseline)
    print(f"projected {count} test images of run {baseline.run.digest}")


if __name__ == "__main__":
    run_command(main)
