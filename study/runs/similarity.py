"""How alike the representations of finished runs are, from the weights in the store.

    store/similarity/<digest>.json      run-run -> linear CKA; the digest is of the images and the code

A pair is computed once. What is there stays known where weights are deleted later.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from study.runs.code_digest import code_digest
from study.runs.models import trained_model
from study.runs.run import Run
from study.runs.store import Store
from study.runs.stored_json import stored_object
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.methods.base import OVER_PROCESSES
from vicreg.metrics.cka import LEAST_IMAGES, linear_cka_matrix
from vicreg.metrics.features import encode, evenly_spread
from vicreg.training.setup import normalised, view_size

# Of the test images at most so many are compared. The estimate is unbiased, so it is that of more images with more noise.
# The Gram matrix of each network takes 32 MB.
MOST_IMAGES = 2048
_CODE = ("vicreg.metrics.cka:linear_cka_matrix", "vicreg.metrics.features:encode")

Similarities = list[list[float | None]]  # (m, m), symmetric


def compared_images(dataset: Dataset) -> int:
    """Return on how many test images networks are compared."""
    return min(len(dataset.test.images), MOST_IMAGES)


def similarities(runs: Sequence[Run], *, store: Store, dataset: Dataset, device: torch.device) -> Similarities:
    """Return the debiased linear CKA of the representations of every pair of runs on test images, to four digits.

    None stands where a pair is not known and the weights of one are missing or damaged, and where features are constant.

    Args:
        runs: m of them, on these data.
        store: has their weights.
        dataset: its test images are compared, evenly spread where they are more than `MOST_IMAGES`.
        device: where the networks run.
    """
    if compared_images(dataset) < LEAST_IMAGES:
        return [[None] * len(runs) for _ in runs]
    path = _path(store, dataset)
    known: dict[str, float | None] = stored_object(path)
    digests = [run.digest for run in runs]
    missing = {one for one in digests for other in digests if _key(one, other) not in known}
    whole = [run for run in _distinct(runs) if run.digest in missing and store.are_weights_whole(run.digest)]
    if whole:
        images = dataset.test.images[evenly_spread(len(dataset.test.images), MOST_IMAGES)]
        matrix = linear_cka_matrix([_representations(run, images, store, dataset, device) for run in whole]).tolist()
        for run, row in zip(whole, matrix, strict=True):
            for other, value in zip(whole, row, strict=True):
                known[_key(run.digest, other.digest)] = round(value, 4) if math.isfinite(value) else None
        with suppress(InputError):  # on a full disk, say: it is computed again then
            write_atomically(path, to_json(dict(sorted(known.items()))))
    return [[known.get(_key(one, other)) for other in digests] for one in digests]


def _distinct(runs: Sequence[Run]) -> list[Run]:
    return list({run.digest: run for run in runs}.values())


def _key(one: str, other: str) -> str:
    return "-".join(sorted((one, other)))


def _path(store: Store, dataset: Dataset) -> Path:
    """Return where pairs are kept: under another name where images or code are others."""
    decided = json.dumps([dataset.digest, compared_images(dataset), _code()])
    return store.root / "similarity" / f"{hashlib.sha256(decided.encode()).hexdigest()[:16]}.json"


def _code() -> str:
    """Return the digest of the code that compares networks. It does so in one process, however many trained them."""
    own = frozenset({"distributed", *OVER_PROCESSES})
    return code_digest(*_CODE, off=own, ignored=frozenset(OVER_PROCESSES)).root


def _representations(run: Run, images: Tensor, store: Store, dataset: Dataset, device: torch.device) -> Tensor:
    """Return the representations (N, d_y) of images by a run's network, on the CPU."""
    settings = run.config.pretrain
    own = normalised(settings, dataset)
    encoded = encode(
        trained_model(run, store=store, dataset=dataset, device=device), images.to(device), size=view_size(settings, images),
        mean=own.mean, std=own.std, batch_size=run.config.evaluate.batch_size,
    )  # fmt: skip
    return encoded.representations.cpu()
