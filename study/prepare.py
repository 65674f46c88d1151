"""The stage `prepare`: a data set as tensors, with splits and digest."""

import sys
from collections.abc import Sequence

from study.cli.arguments import parse_no_arguments
from study.cli.command import run_command
from study.config.load import load_config
from study.config.places import PREPARED
from study.runs.prepared_data import prepare


def main(argv: Sequence[str] = ()) -> None:
    """Prepare the data set under `data/prepared` and print its sizes and digest."""
    parse_no_arguments("prepare", "A data set as tensors, with splits and digest.", argv)
    dataset = prepare(load_config(), PREPARED)
    sizes = ", ".join(f"{len(getattr(dataset, part).images)} {part}" for part in ("train", "validation", "test"))
    print(f"{dataset.name}: {sizes}; {dataset.digest}")
    if len(dataset.classes) == 1:
        print("There is one class, so accuracy says nothing of these data; collapse is measured all the same.")


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
