"""Evaluate a trained model: probes, collapse metrics and their diagnosis."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.collapse_criteria import Untrained
from vicreg.evaluation.collapse_diagnosis import CollapseDiagnosis, diagnose_collapse
from vicreg.evaluation.held_out_views import encode_held_out_views, measure_collapse
from vicreg.evaluation.linear_evaluation import LinearLayers, fit_linear
from vicreg.evaluation.linear_probe import LinearClassifier, choose_linear_cached, fit_linear_cached
from vicreg.evaluation.settings import PROBES, EvaluateSettings
from vicreg.metrics.accuracy import accuracy, top1_accuracy
from vicreg.metrics.collapse import view_discrepancy
from vicreg.metrics.features import Encoded, held_out, represent
from vicreg.metrics.knn import knn_scores
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.views.settings import ViewSettings

Scorer = Callable[[Tensor], Tensor]  # features (N, d) -> class scores (N, C)
_MEASURED = ("validation", "test")  # the splits that probes are measured on; in the order of `LinearLayers`


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
    on_all: bool = False,
) -> dict[str, Any]:
    """Measure a model on validation and on test. Nothing that is measured on test decides anything.

    Args:
        model: to be measured.
        dataset: probes are fitted on its `train` split, and settings are chosen on `validation`.
        control: the same network before training.
        probes: which of `PROBES` to measure.
        views: settings of the two views that alignment and view discrepancy compare; the same for all runs of a study.
        target_std: standard deviation that the loss drives each embedding dimension to; None if it leaves the scale free.
        size: side of an image in pixels, as in training.
        seed: of the linear evaluation.
        device: where the models are.
        on_all: whether what is measured on test is fitted on `train` and `validation` together, at the settings chosen
            before. What is measured on validation is always fitted on `train` alone.

    Returns:
        `validation` and `test` have the accuracy by probe. On test it is per class, per image and with the confusion too;
        on validation with the settings chosen there. The linear evaluation has `curve`, top-1 after each epoch.
        `collapse` has the metrics of representations and embeddings on the held-out images. `verdict` has the name and
        the reason of the diagnosis, from validation alone.

    Raises:
        InputError: for an unknown probe, too few held-out images, and a linear evaluation that diverges.
    """
    held_out(dataset)  # raises now rather than after the probes
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    labels = {name: split.labels.to(device) for name, split in splits.items()}
    encoded = {
        name: represent(
            model, split.images.to(device), size=size, mean=dataset.mean, std=dataset.std, batch_size=settings.batch_size
        )
        for name, split in splits.items()
    }
    results: dict[str, Any] = {"validation": {}, "test": {}}
    scorers, chosen, curves = _fit_probes(model, dataset, encoded, labels, settings, probes, size, seed, device, on_all)
    for name, scorer in scorers.items():
        for split in _MEASURED:
            measured = dataclasses.asdict(accuracy(scorer[split](encoded[split]), labels[split]))
            results[split][name] = measured | ({"curve": curves[split]} if name == "linear" else {})
    for name, measured in results["validation"].items():
        del measured["per_class"], measured["confusion"], measured["correct"]
        measured |= chosen.get(name, {})
    pair = encode_held_out_views(model, dataset, settings=settings, views=views, size=size, device=device)
    results["collapse"] = measure_collapse(model, dataset, pair, settings=settings, views=views, size=size, device=device)
    named = _diagnose(
        pair, dataset, control, results["collapse"], encoded,
        settings=settings, views=views, target_std=target_std, size=size, device=device,
    )  # fmt: skip
    results["verdict"] = verdict_values(named)
    return results


def verdict_values(named: CollapseDiagnosis) -> dict[str, Any]:
    """Return a diagnosis as JSON values, without what it leaves open."""
    values: dict[str, Any] = {"name": named.name, "reason": named.reason}
    if named.borderline is not None:
        values["borderline"] = named.borderline
    if named.deciding is not None:
        values["deciding"] = named.deciding._asdict()
    return values


def _diagnose(
    pair: tuple[Encoded, Encoded],
    dataset: Dataset,
    control: JointEmbedding,
    collapse: Mapping[str, Mapping[str, Any]],
    encoded: Mapping[str, Tensor],
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    target_std: float | None,
    size: int,
    device: torch.device,
) -> CollapseDiagnosis:
    """Return the kind of the model's collapse, from validation images and from the network before training."""
    before = encode_held_out_views(control, dataset, settings=settings, views=views, size=size, device=device)
    after, untrained = ([view.embeddings for view in views_of] for views_of in (pair, before))
    of_control = {
        part: represent(
            control, getattr(dataset, part).images.to(device),
            size=size, mean=dataset.mean, std=dataset.std, batch_size=settings.batch_size,
        )
        for part in ("train", "validation")
    }  # fmt: skip
    return diagnose_collapse(
        embeddings=collapse["embeddings"],
        representations=collapse["representations"],
        knn_accuracy=_knn_accuracy(encoded, dataset, settings),
        chance=chance_accuracy(dataset),
        images=len(held_out(dataset)),
        dimensions=(after[0].shape[1], encoded["train"].shape[1]),
        class_counts=torch.bincount(dataset.validation.labels).tolist(),
        untrained=Untrained(
            view_discrepancy=view_discrepancy(*untrained),
            knn_accuracy=_knn_accuracy(of_control, dataset, settings),
        ),
        target_std=target_std,
    )


def _knn_accuracy(encoded: Mapping[str, Tensor], dataset: Dataset, settings: EvaluateSettings) -> float:
    """Return the top-1 on validation of the first of the k-NN that the settings list."""
    device = encoded["train"].device
    scores = knn_scores(
        encoded["train"], dataset.train.labels.to(device), encoded["validation"],
        classes=len(dataset.classes), k=settings.knn[0], temperature=settings.knn_temperature,
    )  # fmt: skip
    return top1_accuracy(scores, dataset.validation.labels.to(device))


def best_on_validation(layers: Mapping[float, LinearClassifier], features: Tensor, labels: Tensor) -> float:
    """Return the learning rate whose layer is best on validation features (N, d), labels (N,); the smallest of equals.

    Raises:
        InputError: if the layers of all rates diverged; of several, those that did are passed over.
    """
    rates = sorted(layers)
    all_finite = torch.stack([layers[lr].weight.isfinite().all() for lr in rates]).tolist()
    finite = [lr for lr, is_finite in zip(rates, all_finite, strict=True) if is_finite]
    if not finite:
        raise InputError(f"the linear evaluation diverged at every rate of evaluate.linear.lr, {rates}; list a lower one.")
    return max(finite, key=lambda lr: top1_accuracy(layers[lr](features), labels))


def chance_accuracy(dataset: Dataset) -> float:
    """Return the top-1 accuracy of always answering the most frequent class of validation."""
    counts = torch.bincount(dataset.validation.labels, minlength=len(dataset.classes))
    return (counts.max() / counts.sum()).item()


def _fit_probes(
    model: JointEmbedding,
    dataset: Dataset,
    encoded: dict[str, Tensor],
    labels: dict[str, Tensor],
    settings: EvaluateSettings,
    probes: Sequence[str],
    size: int,
    seed: int,
    device: torch.device,
    on_all: bool,
) -> tuple[dict[str, dict[str, Scorer]], dict[str, dict[str, float]], dict[str, list[float]]]:
    """Fit the probes on train, and with `on_all` those for test on train and validation.

    Returns:
        By probe and the split that it is for, its function from features (N, d) to class scores (N, C). By probe, the
        settings chosen on validation. By split, the accuracy of the linear evaluation after each epoch.
    """
    unknown = set(probes) - set(PROBES)
    if unknown:
        raise InputError(f"probes must be among {', '.join(PROBES)}, but got {', '.join(sorted(unknown))}.")
    classes = len(dataset.classes)
    train = encoded["train"], labels["train"]
    every = train
    if on_all:
        every = torch.cat([train[0], encoded["validation"]]), torch.cat([train[1], labels["validation"]])
    fitted_on = {"validation": train, "test": every}
    scorers: dict[str, dict[str, Scorer]] = {}
    chosen: dict[str, dict[str, float]] = {}
    curves: dict[str, list[float]] = {}
    if "knn" in probes:
        for k in settings.knn:
            scorers[f"knn_{k}"] = {
                split: functools.partial(_vote, *bank, classes=classes, k=k, temperature=settings.knn_temperature)
                for split, bank in fitted_on.items()
            }
    if "linear" in probes:
        seen: list[dict[str, dict[float, float]]] = []  # for each epoch: split -> learning rate -> top-1

        def watch(layers: LinearLayers) -> None:
            seen.append({
                split: {lr: top1_accuracy(one(encoded[split]), labels[split]) for lr, one in own.items()}
                for split, own in zip(_MEASURED, layers, strict=True)
            })  # fmt: skip

        layers = fit_linear(
            model, dataset, settings=settings.linear, size=size, seed=seed, device=device, on_all=on_all, on_epoch=watch
        )
        lr = best_on_validation(layers.on_train, encoded["validation"], labels["validation"])
        curves = {split: [epoch[split][lr] for epoch in seen] for split in _MEASURED}
        scorers["linear"], chosen["linear"] = {"validation": layers.on_train[lr], "test": layers.reported[lr]}, {"lr": lr}
    if "linear_cached" in probes:
        probe, weight_decay = choose_linear_cached(
            train, (encoded["validation"], labels["validation"]),
            classes=classes, weight_decays=settings.linear_cached_weight_decay,
        )  # fmt: skip
        reported = fit_linear_cached(*every, classes=classes, weight_decay=weight_decay) if on_all else probe
        scorers["linear_cached"] = {"validation": probe, "test": reported}
        chosen["linear_cached"] = {"weight_decay": weight_decay}
    return scorers, chosen, curves


def _vote(bank: Tensor, labels: Tensor, queries: Tensor, *, classes: int, k: int, temperature: float) -> Tensor:
    return knn_scores(bank, labels, queries, classes=classes, k=k, temperature=temperature)
