"""Draw stratified splits, the same with every version of NumPy."""

import math
from collections.abc import Callable

import numpy as np

from vicreg.data.sources import RawImages
from vicreg.errors import InputError


def draw_per_class(
    raw: RawImages, indexes: np.ndarray, count: Callable[[str, int], int], seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count(class name, available)` indexes of each class at random; return drawn and other indexes, sorted."""
    drawn = []
    for label, name in enumerate(raw.classes):
        members = indexes[raw.labels[indexes] == label]
        # Sorting raw PCG64 words gives a permutation that no NumPy version changes; Generator.permutation may change.
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([*seed, label])))
        keys = generator.bit_generator.random_raw(len(members))
        drawn.append(members[np.argsort(keys, kind="stable")[: count(name, len(members))]])
    chosen = np.sort(np.concatenate(drawn))
    return chosen, np.setdiff1d(indexes, chosen)


def draw_share(
    raw: RawImages, indexes: np.ndarray, *, share: float, seed: list[int], part: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share of each class, rounded, and at least one index, leaving at least one; return as `draw_per_class`.

    Raises:
        InputError: if a class has fewer than two images; `part` names the split in the message.
    """

    def count(name: str, available: int) -> int:
        if available < 2:
            raise InputError(
                f"every class must have at least 2 images for train and {part} to get one each, but class {name!r} "
                f"has {available}; add images or remove the class."
            )
        return min(max(1, math.floor(share * available + 0.5)), available - 1)

    return draw_per_class(raw, indexes, count, seed)
