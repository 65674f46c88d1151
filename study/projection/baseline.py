"""Map the baseline's features of test images, and write the maps."""

from typing import Any

import numpy as np

from study.config.places import PROJECT_RESULTS
from study.config.sections import ProjectSettings
from study.projection.maps import project_features
from study.runs.baseline import Baseline
from vicreg.data.dataset import PARTS, Dataset
from vicreg.errors import InputError
from vicreg.files import to_csv, to_json, write_atomically
from vicreg.metrics.features import encode
from vicreg.training.setup import normalised, view_size


def project_baseline(baseline: Baseline) -> int:
    """Map the baseline's features of test images, write both maps, and return the number of images.

    Raises:
        InputError: if the baseline was not trained, or there are too few images for the settings.
    """
    run, device = baseline.run, baseline.device
    dataset = normalised(run.config.pretrain, baseline.dataset)
    settings = run.config.project
    chosen, labels, classes = choose_images(dataset, settings)
    model = baseline.model()
    images = dataset.test.images[chosen].to(device)
    encoded = encode(
        model, images, size=view_size(run.config.pretrain, images), mean=dataset.mean, std=dataset.std,
        batch_size=run.config.evaluate.batch_size,
    )  # fmt: skip
    features = getattr(encoded, settings.features).cpu().double().numpy()
    projected = project_features(features, labels, classes=classes, settings=settings)
    recipe = {key: value for key, value in run.config.recipe.items() if not key.startswith("evaluate.")}
    content = {
        "digest": run.digest, "profile": run.config.profile, "recipe": recipe,
        "dataset": dataset.name, "data": describe(dataset), **projected, "note": dataset.note,
    }  # fmt: skip
    write_atomically(PROJECT_RESULTS / "tsne.json", to_json(content))
    rows = [(x, y, classes[c]) for (x, y), c in zip(projected["points_2d"], projected["labels"], strict=True)]
    write_atomically(PROJECT_RESULTS / "tsne.csv", to_csv(("x", "y", "class"), rows))
    return len(chosen)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return which images a network was trained on, and how many, for those who compare maps."""
    sizes = {part: len(getattr(dataset, part).images) for part in PARTS}
    files = {} if dataset.files is None else {"files": dataset.files}
    return {"dataset": dataset.name, "classes": list(dataset.classes), **sizes, **files}


def choose_images(dataset: Dataset, settings: ProjectSettings) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Choose the test images that are shown: at most `max_images`, of each class in proportion, ordered by class.

    Returns:
        Indices of the images (N,), the number of each one's class among those shown (N,), and the names of these classes.

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
