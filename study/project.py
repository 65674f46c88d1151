"""The stage `project`: t-SNE of the baseline's features of test images, in two and three dimensions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from study.cli.command import run_command
from study.config.sections import ProjectSettings
from study.config.values import flatten
from study.projection.neighbours import nearest, trustworthiness
from study.projection.tsne import attracting, tsne
from study.runs.baseline import baseline_model, baseline_run
from vicreg.data.dataset import PARTS, Dataset
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.metrics.features import encode
from vicreg.training.loop import normalised, view_size

RESULTS = Path("results/project")
NEIGHBOURS = 10  # of a point, for purity and trustworthiness; well below the perplexity, whose neighbourhood t-SNE keeps
METHOD = "t-SNE with the exact gradient, from principal components"


def main() -> None:
    run, _, dataset, device = baseline_run()
    dataset = normalised(run.config.pretrain, dataset)
    settings = run.config.project
    chosen, labels, classes = choose_images(dataset, settings)
    model = baseline_model(run, dataset=dataset, device=device)
    images = dataset.test.images[chosen].to(device)
    encoded = encode(
        model, images, size=view_size(run.config.pretrain, images), mean=dataset.mean, std=dataset.std,
        batch_size=run.config.evaluate.batch_size,
    )  # fmt: skip
    features = getattr(encoded, settings.features).cpu().double().numpy()
    projected = project_features(features, labels, classes=classes, settings=settings)
    values = {name: run.config.values[name] for name in ("prepare", "pretrain")}
    content = {
        "digest": run.digest, "profile": run.config.profile, "recipe": flatten(values),
        "dataset": dataset.name, "data": describe(dataset), **projected, "note": dataset.note,
    }  # fmt: skip
    write_atomically(RESULTS / "tsne.json", to_json(content))
    rows = [f"{x},{y},{classes[c]}\n" for (x, y), c in zip(projected["points_2d"], projected["labels"], strict=True)]
    write_atomically(RESULTS / "tsne.csv", "".join(["x,y,class\n", *rows]).encode())
    print(f"projected {len(chosen)} test images of run {run.digest}")


def describe(dataset: Dataset) -> dict[str, Any]:
    """Which images a network was trained on, and how many, for whoever compares maps."""
    sizes = {part: len(getattr(dataset, part).images) for part in PARTS}
    return {"dataset": dataset.name, "classes": list(dataset.classes), **sizes}


def choose_images(dataset: Dataset, settings: ProjectSettings) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Which test images are shown: their indices (N,), the number of each one's class (N,) among those shown, and the names
    of these classes. At most `max_images`, in the order of their classes, of each class in proportion.

    Raises:
        InputError: if there are fewer classes than are to be shown, or hardly an image of these.
    """
    count = len(dataset.classes) if settings.classes is None else settings.classes
    if count > len(dataset.classes):
        raise InputError(
            f"project.classes must be at most the number of classes of {dataset.name}, {len(dataset.classes)}, but got "
            f"{count}; lower it, or set it to null to show all."
        )
    shown = np.arange(count) * len(dataset.classes) // count  # evenly spaced from the first on
    labels = dataset.test.labels.numpy()
    (among,) = np.nonzero(np.isin(labels, shown))
    among = among[np.argsort(labels[among], kind="stable")]
    chosen = among[np.linspace(0, len(among) - 1, min(len(among), settings.max_images)).astype(int)]
    return chosen, np.searchsorted(shown, labels[chosen]), tuple(dataset.classes[index] for index in shown)


def project_features(
    features: np.ndarray, labels: np.ndarray, *, classes: Sequence[str], settings: ProjectSettings
) -> dict[str, Any]:
    """Both maps of features (N, d) whose classes are `labels` (N,), indices of `classes`; their quality, and which classes
    lie among one another. Coordinates to two decimals. The same features give the same numbers on any number of threads.

    Raises:
        InputError: if there are too few images for the perplexity, or features that are not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if settings.perplexity >= len(features):
        raise InputError(
            f"project.perplexity must be below the number of test images, but got {settings.perplexity} and "
            f"{len(features)}; lower it."
        )
    if not np.isfinite(features).all():
        unfit = int((~np.isfinite(features)).any(axis=1).sum())
        raise InputError(f"features must be finite to be mapped, but those of {unfit} of {len(features)} images are not; "
                         "take a run whose weights have not diverged.")  # fmt: skip
    n = len(features)
    asked = min(NEIGHBOURS, n - 1)
    nearest_others, squared = nearest(features, count=max(asked, attracting(n, perplexity=settings.perplexity)))
    maps = tsne(
        features, nearest_others, squared, dimensions=(2, 3),
        perplexity=settings.perplexity, iterations=settings.iterations, seed=settings.seed,
    )  # fmt: skip
    points = [np.round(found.astype(np.float64), 2) for found in maps]
    near = [nearest_others[:, :asked], *(nearest(one, count=asked)[0] for one in points)]
    trusted = trustworthiness(features, [of_map[:, : (n - 1) // 2] for of_map in near[1:]])
    return {
        "classes": list(classes),
        "features": settings.features,
        "method": METHOD,
        "perplexity": settings.perplexity,
        "iterations": settings.iterations,
        "points_2d": points[0].tolist(),
        "points_3d": points[1].tolist(),
        "labels": labels.tolist(),
        "quality": {
            "neighbours": NEIGHBOURS,
            "features": {"purity": round(purity(near[0], labels), 4)},
            "2d": {"purity": round(purity(near[1], labels), 4), "trustworthiness": round(trusted[0], 4)},
            "3d": {"purity": round(purity(near[2], labels), 4), "trustworthiness": round(trusted[1], 4)},
        },
        "confused": confused_pairs(near[1], labels),
    }


def purity(near: np.ndarray, labels: np.ndarray) -> float:
    """The share of neighbours that have the class of their point: `near` (N, k) are indices of points, `labels` (N,)."""
    return float((labels[near] == labels[:, None]).mean())


def confused_pairs(near: np.ndarray, labels: np.ndarray, most: int = 3) -> list[dict[str, float]]:
    """The pairs of classes (first < second) whose points are most often neighbours, `near` (N, k), on a map: the share of
    all neighbours of the two classes' points that are of the other one."""
    count = int(labels.max()) + 1
    pairs = np.bincount((labels[:, None] * count + labels[near]).ravel(), minlength=count**2).reshape(count, count)
    across, of_class = pairs + pairs.T, pairs.sum(axis=1)
    found = [
        {"first": first, "second": second,
         "share": round(float(across[first, second] / (of_class[first] + of_class[second])), 4)}
        for first, second in zip(*(axis.tolist() for axis in np.nonzero(np.triu(across, 1))), strict=True)
    ]  # fmt: skip
    return sorted([one for one in found if one["share"] > 0], key=lambda one: -one["share"])[:most]


if __name__ == "__main__":
    run_command(main)
