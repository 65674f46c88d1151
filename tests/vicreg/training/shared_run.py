"""A run of two processes that a test stops: it prints each epoch and its children.

python -m tests.vicreg.training.shared_run FOLDER EPOCHS
"""

import sys
from pathlib import Path

import torch

from study.config.load import load_config
from tests.conftest import PARAMS, TINY
from tests.vicreg.training.runs import IDENTITY
from vicreg.data.dataset import load_dataset
from vicreg.training.loop import pretrain


def children() -> list[str]:
    """Return the numbers of the processes that this one has started."""
    return [number for path in Path("/proc/self/task").glob("*/children") for number in path.read_text().split()]


def main() -> None:
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    settings = {**TINY, "pretrain.processes": 2, "pretrain.epochs": epochs}
    dataset = load_dataset(
        dataset="digits", root=Path("nowhere"), validation=0.2, split_seed=0, test=0.2, per_class=20, image_size=None
    )
    pretrain(
        load_config(path=PARAMS, profile="digits", settings=settings).pretrain, dataset, device=torch.device("cpu"),
        folder=folder, identity=IDENTITY, on_epoch=lambda record: print(record["epoch"], *children(), flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    main()
