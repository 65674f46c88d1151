"""The stage `project`: t-SNE of the baseline's features of test images, in two and three dimensions."""

from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from study.baseline import baseline_model, baseline_run
from study.command import run_command
from study.config import ProjectSettings
from vicreg.checkpoints import to_json, write_atomically
from vicreg.encoding import encode
from vicreg.errors import InputError
from vicreg.pretrain import view_size

RESULTS = Path("results/project")
NEIGHBOURS = 10  # of a point, for purity and trustworthiness; well below the perplexity, whose neighbourhood t-SNE keeps


def main() -> None:
    run, _, dataset, device = baseline_run()
    settings = run.config.project
    images, labels = dataset.test.images, dataset.test.labels
    chosen = np.linspace(0, len(images) - 1, min(len(images), settings.max_images)).astype(int)  # sorted by class, so even
    chosen = np.argsort(labels.numpy(), kind="stable")[chosen]
    model = baseline_model(run, dataset=dataset, device=device)
    size = view_size(run.config.pretrain, images)
    encoded = encode(
        model, images[chosen].to(device), size=size, mean=dataset.mean, std=dataset.std,
        batch_size=run.config.evaluate.batch_size,
    )  # fmt: skip
    features = getattr(encoded, settings.features).cpu().double().numpy()
    chosen_labels = labels[chosen].numpy()
    maps = {f"points_{n}d": tsne(features, dimensions=n, settings=settings) for n in (2, 3)}
    content = {
        "digest": run.digest,
        "dataset": dataset.name,
        "classes": list(dataset.classes),
        "features": settings.features,
        "perplexity": settings.perplexity,
        **maps,
        "labels": chosen_labels.tolist(),
        "quality": {
            "neighbours": NEIGHBOURS,
            "features": {"purity": knn_purity(features, chosen_labels)},
            **{f"{n}d": map_quality(features, np.array(maps[f"points_{n}d"]), chosen_labels) for n in (2, 3)},
        },
        "confused": confused_pairs(np.array(maps["points_2d"]), chosen_labels),
        "note": dataset.note,
    }
    write_atomically(RESULTS / "tsne.json", to_json(content))
    rows = [f"{x},{y},{dataset.classes[c]}\n" for (x, y), c in zip(content["points_2d"], content["labels"], strict=True)]
    write_atomically(RESULTS / "tsne.csv", "".join(["x,y,class\n", *rows]).encode())
    print(f"projected {len(chosen)} test images of run {run.digest}")


def knn_purity(points: np.ndarray, labels: np.ndarray) -> float:
    """The share of the `NEIGHBOURS` nearest neighbours (Euclidean) of each of (N, d) points that have its class (N,)."""
    return round(float((labels[_neighbours(points)] == labels[:, None]).mean()), 4)


def map_quality(features: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How far a map (N, 2 or 3) can be believed: its k-NN purity, to be held against that of the features (N, d), and its
    trustworthiness (Venna & Kaski 2001): 1 where every neighbour on the map is one among the features too."""
    neighbours = min(NEIGHBOURS, (len(points) - 1) // 2)
    trusted = trustworthiness(features, points, n_neighbors=neighbours)
    return {"purity": knn_purity(points, labels), "trustworthiness": round(float(trusted), 4)}


def confused_pairs(points: np.ndarray, labels: np.ndarray, most: int = 3) -> list[dict[str, float]]:
    """The pairs of classes (first < second) whose points are most often neighbours on a map (N, 2): the share of all
    neighbours of the two classes' points that are of the other one."""
    near = labels[_neighbours(points)]  # (N, k)
    found = []
    for first in np.unique(labels):
        for second in np.unique(labels[labels > first]):
            across = (near[labels == first] == second).sum() + (near[labels == second] == first).sum()
            both = near[(labels == first) | (labels == second)].size
            found.append({"first": int(first), "second": int(second), "share": round(float(across / both), 4)})
    return sorted([one for one in found if one["share"] > 0], key=lambda one: -one["share"])[:most]


def _neighbours(points: np.ndarray) -> np.ndarray:
    """The indices (N, k) of each point's nearest others."""
    k = min(NEIGHBOURS, len(points) - 1)
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)


def tsne(features: np.ndarray, *, dimensions: int, settings: ProjectSettings) -> list[list[float]]:
    """t-SNE of features (N, d) -> N points of `dimensions` coordinates, to two decimals.

    On one thread from a PCA start and a fixed seed: the same features give the same points.

    Raises:
        InputError: if there are too few images for the perplexity.
    """
    if settings.perplexity >= len(features):
        raise InputError(
            f"project.perplexity must be below the number of test images, but got {settings.perplexity} and "
            f"{len(features)}; lower it."
        )
    with threadpool_limits(limits=1):
        points = TSNE(
            n_components=dimensions, perplexity=settings.perplexity, max_iter=settings.iterations,
            init="pca", learning_rate="auto", random_state=settings.seed, n_jobs=1,
        ).fit_transform(features)  # fmt: skip
    return [[round(float(value), 2) for value in point] for point in points]


if __name__ == "__main__":
    run_command(main)
