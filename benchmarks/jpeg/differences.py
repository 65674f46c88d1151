"""What coding changed, from runs that are paired by seed: differences of accuracy with intervals, and movements."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from scipy import special
from torch import Tensor

from benchmarks.jpeg.networks import Run
from study.analysis.intervals import CONFIDENCE, paired_difference
from study.analysis.moments import paired_differences
from study.analysis.sampling_error import paired_sampling_error
from vicreg.errors import InputError

# What is coded -> the cell with it and the cell without, each `trained on/tested on`.
CONTRASTS = {
    "train and test": ("coded/coded", "plain/plain"),
    "test alone": ("plain/coded", "plain/plain"),
    "test alone, of a network from coded images": ("coded/coded", "coded/plain"),
}


def summary(runs: Sequence[Run], *, folds: int = 1) -> dict[str, Any]:
    """Return accuracies by probe and cell, differences by probe and contrast, and movements, all means over runs.

    Args:
        runs: one a seed, in order.
        folds: into how many parts images were divided; run i was tested on part i modulo `folds`, and trained on the rest.

    Raises:
        InputError: for a number of runs that is no multiple of the folds.
    """
    if not runs or len(runs) % folds:
        raise InputError(f"runs must be a multiple of the {folds} folds, but are {len(runs)}; set --seeds to one.")
    cells = runs[0].correct
    return {
        "n": len(runs),
        "test_images": len(_rounds(runs, next(iter(cells)), next(iter(next(iter(cells.values())))), folds)[0]),
        "accuracy": {probe: {cell: fmean(_shares(runs, probe, cell)) for cell in of} for probe, of in cells.items()},
        "differences": {
            probe: {
                name: difference(runs, probe, *pair, folds=folds) for name, pair in CONTRASTS.items() if set(pair) <= set(of)
            }
            for probe, of in cells.items()
        },
        "movement": {
            trained_on: {key: fmean(run.movements[trained_on][key] for run in runs) for key in one}
            for trained_on, one in runs[0].movements.items()
        },
    }


def difference(runs: Sequence[Run], probe: str, cell: str, reference: str, *, folds: int = 1) -> dict[str, Any]:
    """Return the mean difference of accuracy between two cells, with an interval of 95 % for seeds and images alike.

    `seeds` is half of Student's t interval of the differences, paired by seed. `images` is 1.96 standard errors from the
    choice of test images, each image's difference averaged over seeds. The interval is the mean -+ sqrt(seeds^2 + images^2).
    With folds, seeds differ in their test images too, so that it is rather too wide. `answers_changed` is the share of
    images that one cell answers right and the other does not. All are shares, not points; half-widths are None where
    `paired_difference` gives no interval.
    """
    shares, references = (_shares(runs, probe, one) for one in (cell, reference))
    found, by_run = paired_difference(shares, references), paired_differences(shares, references)
    own, other = (_rounds(runs, probe, one, folds) for one in (cell, reference))
    error = paired_sampling_error(own.numpy(), other.numpy())
    seeds = None if found.low is None else found.mean - found.low
    images = None if error is None else error * float(special.ndtri((1 + CONFIDENCE) / 2))
    half = None if seeds is None or images is None else math.hypot(seeds, images)
    return {
        "mean": found.mean, "low": None if half is None else found.mean - half,
        "high": None if half is None else found.mean + half, "seeds": seeds, "images": images,
        "answers_changed": (own != other).double().mean().item(), "by_run": [round(one, 6) for one in by_run],
    }  # fmt: skip


def _shares(runs: Sequence[Run], probe: str, cell: str) -> list[float]:
    """Return the accuracy of each run."""
    return [run.correct[probe][cell].double().mean().item() for run in runs]


def _rounds(runs: Sequence[Run], probe: str, cell: str, folds: int) -> Tensor:
    """Return correctness as (seeds, images): a row is one run, or one run of each fold, whose images are put together."""
    each = [run.correct[probe][cell] for run in runs]
    return torch.stack([torch.cat(each[start : start + folds]) for start in range(0, len(each), folds)])
