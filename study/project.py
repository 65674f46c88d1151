"""The stage `project`: t-SNE of the baseline's features of test images, in two and three dimensions."""

from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from study.baseline import baseline_model, baseline_run
from study.command import run_command
from study.config import ProjectSettings
from vicreg.checkpoints import to_json, write_atomically
from vicreg.encoding import encode
from vicreg.errors import InputError
from vicreg.pretrain import view_size

RESULTS = Path("results/project")


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
    content = {
        "digest": run.digest,
        "dataset": dataset.name,
        "classes": list(dataset.classes),
        "features": settings.features,
        "perplexity": settings.perplexity,
        "points_2d": tsne(features, dimensions=2, settings=settings),
        "points_3d": tsne(features, dimensions=3, settings=settings),
        "labels": labels[chosen].tolist(),
        "note": dataset.note,
    }
    write_atomically(RESULTS / "tsne.json", to_json(content))
    rows = [f"{x},{y},{dataset.classes[c]}\n" for (x, y), c in zip(content["points_2d"], content["labels"], strict=True)]
    write_atomically(RESULTS / "tsne.csv", "".join(["x,y,class\n", *rows]).encode())
    print(f"projected {len(chosen)} test images of run {run.digest}")


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
