"""What is measured of a finished model: its probes, its collapse metrics and the verdict on them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
from vicreg.evaluation.linear_evaluation import LinearSettings, fit_linear
from vicreg.evaluation.linear_probe import LinearClassifier, choose_linear_cached
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.collapse import collapse_metrics, view_discrepancy
from vicreg.metrics.features import Encoded, encode, encode_views, held_out
from vicreg.metrics.knn import knn_scores
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.randomness import make_generator
from vicreg.views.pipeline import two_views
from vicreg.views.settings import ViewSettings

PROBES = ("knn", "linear", "linear_cached")


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """`params.yaml`'s section `evaluate`.

    Raises:
        InputError: for a value outside its range.
    """

    batch_size: int
    knn: tuple[int, ...]
    knn_temperature: float
    linear: LinearSettings
    linear_cached_weight_decay: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"evaluate.batch_size must be at least 1, but got {self.batch_size}.")
        if not self.knn or min(self.knn) < 1:
            raise InputError(f"evaluate.knn must list neighbour counts of at least 1, but got {list(self.knn)}.")
        if not self.knn_temperature > 0:
            raise InputError(f"evaluate.knn_temperature must be positive, but got {self.knn_temperature}.")
        strengths = self.linear_cached_weight_decay
        if not strengths or not all(0 < strength < float("inf") for strength in strengths):
            got = list(strengths)
            raise InputError(f"evaluate.linear_cached.weight_decay must list positive numbers, but got {got}.")


def evaluate(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    control: JointEmbedding,
    settings: EvaluateSettings,
    probes: Sequence[str],
    views: tuple[ViewSettings, ViewSettings],
    target_std: float | None,
    size: int,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Measures a model once, on validation and on test.

    Args:
        model: to be measured.
        dataset: probes are fitted on its `train` split, and choose between settings on `validation`.
        control: the same network before training.
        settings, probes: what to measure.
        views: of the held-out images that alignment and view discrepancy compare; the same for all runs of a study.
        target_std: that the loss drives each embedding dimension to; None where it leaves their scale free.
        size: side of an image in pixels, as in training.
        seed: of the linear protocol.
        device: where the models are.

    Returns:
        `validation` and `test`: probe -> top-1, top-5 (on test per class, confusion and image by image too, on validation
        what was chosen there; for the linear protocol `curve`, top-1 after each of its epochs); `collapse`: the metrics of
        both spaces on the held-out images; `verdict`: its name and its reason, from validation alone. Nothing measured
        on test decides anything here.
    """
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    labels = {name: split.labels.to(device) for name, split in splits.items()}
    encoded = {
        name: encode(
            model, split.images.to(device), size=size, mean=dataset.mean, std=dataset.std, batch_size=settings.batch_size
        ).representations
        for name, split in splits.items()
    }
    results: dict[str, Any] = {"validation": {}, "test": {}}
    scorers, chosen, curves = _scorers(model, dataset, encoded, labels, settings, probes, size, seed, device)
    for name, scorer in scorers.items():
        for split in ("validation", "test"):
            measured = dataclasses.asdict(accuracy(scorer(encoded[split]), labels[split]))
            results[split][name] = measured | ({"curve": curves[split]} if name == "linear" else {})
    for name, measured in results["validation"].items():
        del measured["per_class"], measured["confusion"], measured["correct"]
        measured |= chosen.get(name, {})
    results["collapse"] = measure_collapse(model, dataset, settings=settings, views=views, size=size, device=device)
    before, before_prime = encode_held_out_views(
        control, dataset, settings=settings, views=views, size=size, device=device
    )
    knn = knn_scores(
        encoded["train"], labels["train"], encoded["validation"],
        classes=len(dataset.classes), k=settings.knn[0], temperature=settings.knn_temperature,
    )  # fmt: skip
    named = diagnose_collapse(
        embeddings=results["collapse"]["embeddings"],
        representations=results["collapse"]["representations"],
        knn_accuracy=accuracy(knn, labels["validation"]).top1,
        chance=chance_accuracy(dataset),
        untrained={"view_discrepancy": view_discrepancy(before.embeddings, before_prime.embeddings)},
        target_std=target_std,
    )
    results["verdict"] = {"name": named.name, "reason": named.reason}
    return results


def best_on_validation(layers: Mapping[float, LinearClassifier], features: Tensor, labels: Tensor) -> float:
    """The learning rate whose layer does best on validation features (N, d) with labels (N,); of equals the smallest."""
    return max(sorted(layers), key=lambda lr: accuracy(layers[lr](features), labels).top1)


def chance_accuracy(dataset: Dataset) -> float:
    """The top-1 accuracy of always answering the most frequent class of validation."""
    counts = torch.bincount(dataset.validation.labels, minlength=len(dataset.classes))
    return (counts.max() / counts.sum()).item()


def measure_collapse(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    device: torch.device,
) -> dict[str, dict[str, Any]]:
    """Collapse metrics of representations and embeddings on the fixed held-out images, in eval mode.

    Only alignment looks at augmented images, since it compares two views; their randomness is the same for every run.
    """
    plain = encode(
        model, held_out(dataset).to(device), size=size, mean=dataset.mean, std=dataset.std, batch_size=settings.batch_size
    )
    pair = encode_held_out_views(model, dataset, settings=settings, views=views, size=size, device=device)
    return {
        space: collapse_metrics(getattr(plain, space), views=tuple(getattr(view, space) for view in pair))
        for space in ("representations", "embeddings")
    }


@torch.no_grad()
def encode_held_out_views(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    device: torch.device,
) -> tuple[Encoded, Encoded]:
    """Two views of the fixed held-out images, encoded in eval mode; their randomness is the same for every run."""
    generator = make_generator(0, "held-out-views")
    model.eval()
    pairs = []
    for batch in held_out(dataset).to(device).split(settings.batch_size):
        pair = two_views(batch, settings=views, size=size, mean=dataset.mean, std=dataset.std, generator=generator)
        pairs.append([encode_views(model, view) for view in pair])
    first, second = (Encoded(*(torch.cat(parts) for parts in zip(*view, strict=True))) for view in zip(*pairs, strict=True))
    return first, second


def _scorers(
    model: JointEmbedding,
    dataset: Dataset,
    encoded: dict[str, Tensor],
    labels: dict[str, Tensor],
    settings: EvaluateSettings,
    probes: Sequence[str],
    size: int,
    seed: int,
    device: torch.device,
) -> tuple[dict[str, Callable[[Tensor], Tensor]], dict[str, dict[str, float]], dict[str, list[float]]]:
    """Probe name -> function from features (N, d) to class scores (N, C), each fitted on train; what was chosen for it
    on validation; and the linear protocol's accuracy after each epoch, by split."""
    unknown = set(probes) - set(PROBES)
    if unknown:
        raise InputError(f"probes must be among {', '.join(PROBES)}, but got {', '.join(sorted(unknown))}.")
    classes = len(dataset.classes)
    scorers: dict[str, Callable[[Tensor], Tensor]] = {}
    chosen: dict[str, dict[str, float]] = {}
    curves: dict[str, list[float]] = {}
    if "knn" in probes:
        for k in settings.knn:
            scorers[f"knn_{k}"] = lambda queries, k=k: knn_scores(
                encoded["train"], labels["train"], queries, classes=classes, k=k, temperature=settings.knn_temperature
            )
    if "linear" in probes:
        seen: list[dict[str, dict[float, float]]] = []  # an epoch -> split -> learning rate -> top-1

        def watch(layers: Mapping[float, LinearClassifier]) -> None:
            splits = ("validation", "test")
            seen.append({s: {lr: accuracy(one(encoded[s]), labels[s]).top1 for lr, one in layers.items()} for s in splits})

        layers = fit_linear(
            model, dataset, settings=settings.linear, size=size, seed=seed, device=device, on_epoch=watch
        )
        lr = best_on_validation(layers, encoded["validation"], labels["validation"])
        curves = {split: [epoch[split][lr] for epoch in seen] for split in ("validation", "test")}
        scorers["linear"], chosen["linear"] = layers[lr], {"lr": lr}
    if "linear_cached" in probes:
        scorers["linear_cached"], weight_decay = choose_linear_cached(
            (encoded["train"], labels["train"]),
            (encoded["validation"], labels["validation"]),
            classes=classes,
            weight_decays=settings.linear_cached_weight_decay,
        )
        chosen["linear_cached"] = {"weight_decay": weight_decay}
    return scorers, chosen, curves
