"""Load a small data set and look at its splits, for the tests of reading and splitting."""

from pathlib import Path

import torch

from vicreg.data.dataset import Dataset, Split, load_dataset


def load(dataset: str, root: Path = Path("nowhere"), **changes: object) -> Dataset:
    settings = {"validation": 0.1, "split_seed": 0, "test": 0.2, "per_class": None, "image_size": None}
    return load_dataset(**({"dataset": dataset, "root": root} | settings | changes))


def splits(dataset: Dataset) -> list[Split]:
    return [dataset.train, dataset.validation, dataset.test]


def class_counts(split: Split, classes: int = 10) -> list[int]:
    return torch.bincount(split.labels, minlength=classes).tolist()
