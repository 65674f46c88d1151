"""Keep a prepared data set on disk: two files, checked when read."""

import json
from pathlib import Path

import safetensors
import safetensors.torch

from vicreg.data.dataset import PARTS, Dataset, Split
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError, cause_of
from vicreg.files import to_json, write_atomically

_TENSORS, _DESCRIPTION = "dataset.safetensors", "dataset.json"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write `dataset.safetensors` and `dataset.json` into `folder`, each atomically; equal data give equal bytes.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    splits = {part: getattr(dataset, part) for part in PARTS}
    tensors = {f"{part}.images": split.images.contiguous() for part, split in splits.items()}
    tensors |= {f"{part}.labels": split.labels.contiguous() for part, split in splits.items()}
    description = {
        "classes": dataset.classes,
        "digest": dataset.digest,
        "files": dataset.files,
        "images": {part: len(split.labels) for part, split in splits.items()},
        "mean": dataset.mean,
        "name": dataset.name,
        "note": dataset.note,
        "shape": tuple(dataset.train.images.shape[1:]),
        "std": dataset.std,
    }
    folder = Path(folder)
    write_atomically(folder / _TENSORS, safetensors.torch.save(tensors))
    write_atomically(folder / _DESCRIPTION, to_json(description))  # last, because it holds the digest of the tensors


def read_dataset(folder: Path) -> Dataset:
    """Return the data set that `save_dataset` wrote into `folder`, checked against its digest.

    Raises:
        InputError: if a file is missing, damaged or does not match its digest.
    """
    folder = Path(folder)
    remedy = "prepare it again, which any command that needs it does"
    for name in (_DESCRIPTION, _TENSORS):
        if not (folder / name).is_file():
            raise InputError(f"a prepared data set must be in {folder}, but it has no {name}; {remedy}.")
    try:
        description = json.loads((folder / _DESCRIPTION).read_bytes())
        tensors = safetensors.torch.load_file(folder / _TENSORS)
        splits = {part: Split(images=tensors[f"{part}.images"], labels=tensors[f"{part}.labels"]) for part in PARTS}
        mean, std = channel_statistics(splits["train"].images)
        dataset = Dataset(
            name=description["name"],
            classes=tuple(description["classes"]),
            mean=mean,
            std=std,
            note=description["note"],
            files=description["files"],
            **splits,
        )
        recorded = (description["digest"], description["mean"], description["std"])
    except (OSError, ValueError, KeyError, TypeError, AssertionError, safetensors.SafetensorError) as error:
        raise InputError(f"the data set in {folder} is damaged or truncated ({cause_of(error)}); {remedy}.") from error
    if (dataset.digest, list(mean), list(std)) != recorded:
        raise InputError(
            f"the data set in {folder} is damaged: its digest must be {recorded[0]}, but is {dataset.digest}; {remedy}."
        )
    return dataset
