"""The stage `pretrain`: the baseline, trained once."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from study.cli.arguments import parse_no_arguments
from study.cli.command import run_command
from study.runs.baseline import open_baseline
from study.runs.stages import pretrain_baseline
from study.spec.early_stops import early_stops, stops_within


def main(argv: Sequence[str] = ()) -> None:
    """Train the baseline and print a line an epoch."""
    parse_no_arguments("pretrain", "The baseline, trained once.", argv)
    baseline = open_baseline()
    config = baseline.run.config
    pretrain_baseline(
        baseline,
        on_epoch=lambda record: print(describe(record), flush=True),
        keep=stops_within(config.pretrain, early_stops(config)),
    )


def describe(record: Mapping[str, Any]) -> str:
    """Return the line on one epoch: its loss by term, how far the embeddings are from collapse, and the pace."""
    trace = record["embeddings"]
    terms = [f"{key.removeprefix('weighted_')} {value:.3f}" for key, value in record.items() if key.startswith("weighted_")]
    rank = f"RankMe {trace['rankme']:.1f}, " if "rankme" in trace else ""  # a GPU does not measure it in every epoch
    return (
        f"epoch {record['epoch']}: loss {record['total']:.3f}{' = ' if terms else ''}{' + '.join(terms)}; "
        f"{rank}std {trace['std_mean']:.3f}; {record['images_per_second']:.0f} images/s"
    )


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
