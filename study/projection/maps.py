"""Maps of features in two and three dimensions, and their quality."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from study.config.sections import ProjectSettings
from study.projection.neighbours import nearest, trustworthiness
from study.projection.tsne import attracting, tsne
from vicreg.errors import InputError

NEIGHBOURS = 10  # of a point, for purity and trustworthiness; well below the perplexity, whose neighbourhood t-SNE keeps
METHOD = "t-SNE with the exact gradient, from principal components"


def project_features(
    features: np.ndarray, labels: np.ndarray, *, classes: Sequence[str], settings: ProjectSettings
) -> dict[str, Any]:
    """Return both maps of features, their quality, and which classes lie among one another.

    The same features give the same numbers on any number of threads.

    Args:
        features: (N, d).
        labels: (N,), indices of `classes`.
        classes: their names.
        settings: of t-SNE.

    Returns:
        JSON values; coordinates have two decimals.

    Raises:
        InputError: if there are too few images for the perplexity, or features that are not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    _check(features, settings)
    count = min(NEIGHBOURS, len(features) - 1)
    wanted = max(count, attracting(len(features), perplexity=settings.perplexity))
    nearest_others, squared = nearest(features, count=wanted)
    maps = tsne(
        features, nearest_others, squared, dimensions=(2, 3),
        perplexity=settings.perplexity, iterations=settings.iterations, seed=settings.seed,
    )  # fmt: skip
    points = [np.round(found.astype(np.float64), 2) for found in maps]
    near = [nearest_others[:, :count], *(nearest(one, count=count)[0] for one in points)]
    return {
        "classes": list(classes),
        "features": settings.features,
        "method": METHOD,
        "perplexity": settings.perplexity,
        "iterations": settings.iterations,
        "points_2d": points[0].tolist(),
        "points_3d": points[1].tolist(),
        "labels": labels.tolist(),
        "quality": _quality(features, near, labels),
        "confused": confused_pairs(near[1], labels),
    }


def _check(features: np.ndarray, settings: ProjectSettings) -> None:
    if settings.perplexity >= len(features):
        raise InputError(
            f"project.perplexity must be below the number of test images, but got {settings.perplexity} and "
            f"{len(features)}; lower it."
        )
    if not np.isfinite(features).all():
        unfit = int((~np.isfinite(features)).any(axis=1).sum())
        raise InputError(
            f"features must be finite to be mapped, but those of {unfit} of {len(features)} images are not; "
            "take a run whose weights have not diverged."
        )


def _quality(features: np.ndarray, near: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """Return how pure neighbourhoods are and how far maps keep them; `near` are of the features, then of each map."""
    trusted = trustworthiness(features, [of_map[:, : (len(features) - 1) // 2] for of_map in near[1:]])
    return {
        "neighbours": near[0].shape[1],
        "features": {"purity": round(purity(near[0], labels), 4)},
        "2d": {"purity": round(purity(near[1], labels), 4), "trustworthiness": round(trusted[0], 4)},
        "3d": {"purity": round(purity(near[2], labels), 4), "trustworthiness": round(trusted[1], 4)},
    }


def purity(near: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of neighbours that have their point's class: `near` (N, k), indices of points; `labels` (N,)."""
    return float((labels[near] == labels[:, None]).mean())


def confused_pairs(near: np.ndarray, labels: np.ndarray, most: int = 3) -> list[dict[str, float]]:
    """Return the pairs of classes whose points are most often neighbours on a map, at most `most`.

    Args:
        near: (N, k), indices of each point's neighbours.
        labels: (N,), the class of each point.
        most: how many pairs.

    Returns:
        `first` < `second`, and the `share` of all neighbours of both classes' points that are of the other class.
    """
    count = int(labels.max()) + 1
    pairs = np.bincount((labels[:, None] * count + labels[near]).ravel(), minlength=count**2).reshape(count, count)
    across, of_class = pairs + pairs.T, pairs.sum(axis=1)
    found = [
        {"first": first, "second": second,
         "share": round(float(across[first, second] / (of_class[first] + of_class[second])), 4)}
        for first, second in zip(*(axis.tolist() for axis in np.nonzero(np.triu(across, 1))), strict=True)
    ]  # fmt: skip
    return sorted([one for one in found if one["share"] > 0], key=lambda one: -one["share"])[:most]
