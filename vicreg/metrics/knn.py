"""Evaluation of frozen features: weighted k-NN, the source paper's linear protocol, and a fast linear probe.

Three protocols under three names, because their numbers may not be compared with one another: `knn_<k>`, `linear`
(images augmented and encoded anew each epoch) and `linear_cached` (features encoded once).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What a probe got right on N images of C classes, as shares in [0, 1].

    `per_class` (C,) is the recall of each class, nan-free: a class without images counts 0. `confusion` (C, C) counts
    images of true class i (row) called j (column). `correct` says image by image whether top-1 was right: N bits, the
    first image's highest, in hexadecimal, filled up with zeros to whole bytes.
    """

    top1: float
    top5: float
    per_class: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    correct: str


def accuracy(scores: Tensor, labels: Tensor) -> Accuracy:
    """Top-1, top-5, per-class accuracy and confusion of scores (N, C) against labels (N,).

    Ties go to the class of the lower number, so a constant score is not right by accident of sorting. With fewer than
    five classes, top-5 is top-C.
    """
    classes = scores.shape[1]
    ranked = scores.argsort(dim=1, descending=True, stable=True)  # (N, C)
    hits = ranked == labels[:, None]
    predictions = ranked[:, 0]
    confusion = torch.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    recall = confusion.diagonal().double() / confusion.sum(dim=1).clamp(min=1)
    return Accuracy(
        top1=hits[:, 0].double().mean().item(),
        top5=hits[:, :5].any(dim=1).double().mean().item(),
        per_class=tuple(recall.tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        correct=np.packbits(hits[:, 0].cpu().numpy()).tobytes().hex(),
    )


def knn_scores(
    features: Tensor, labels: Tensor, queries: Tensor, *, classes: int, k: int, temperature: float
) -> Tensor:
    """Class scores (Q, C) of queries (Q, d) by their k most similar features (N, d) with labels (N,).

    Similarity is the cosine; a neighbour votes with exp(similarity / temperature) (arXiv 1805.01978, Section 3.4:
    k = 200, temperature = 0.07). Where there are fewer than k features all of them vote.

    Raises:
        InputError: if k or the temperature is not positive.
    """
    if k < 1 or temperature <= 0:
        raise InputError(f"k-NN needs k of at least 1 and a positive temperature, but got {k} and {temperature}.")
    bank = functional.normalize(features, dim=1)
    scores = []
    for block in functional.normalize(queries, dim=1).split(1024):  # bounds the (block, N) similarity matrix
        similarity, neighbours = (block @ bank.T).topk(min(k, len(bank)), dim=1)  # (block, k)
        votes = ((similarity - 1) / temperature).exp()  # exp(-2 / T) at the least: no overflow, same order
        scores.append(torch.zeros(len(block), classes, device=votes.device).scatter_add_(1, labels[neighbours], votes))
    return torch.cat(scores)


@dataclass(frozen=True, kw_only=True)
class LinearClassifier:
    """An affine map fitted on features: scores = (x - shift) / scale @ weight.T + bias."""

    weight: Tensor  # (C, d)
    bias: Tensor  # (C,)
    shift: Tensor  # (d,)
    scale: Tensor  # ()

    def __call__(self, features: Tensor) -> Tensor:
        return (features.to(self.weight.dtype) - self.shift) / self.scale @ self.weight.T + self.bias


def fit_linear_cached(features: Tensor, labels: Tensor, *, classes: int, weight_decay: float) -> LinearClassifier:
    """Multinomial logistic regression on features (N, d) encoded once, without augmentation; labels (N,).

    Minimises cross-entropy + weight_decay / 2 * ||W||^2 by L-BFGS from zero, in float64. Features are centred and
    divided by one number, their root-mean-square; a scale per dimension would lift the noise of collapsed dimensions to
    the height of the signal and hide the collapse.

    Raises:
        InputError: if weight_decay is not positive: on separable features the minimum would lie at infinity.
    """
    if weight_decay <= 0:
        raise InputError(f"evaluate.linear_cached.weight_decay must be positive, but got {weight_decay}.")
    features = features.double()
    shift = features.mean(dim=0)
    centred = features - shift
    scale = centred.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    inputs = centred / scale
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, device=features.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(inputs @ weight.T + bias, labels) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    # Kept in float64: where features vary by little around much, a shift rounded to float32 would move them all.
    return LinearClassifier(weight=weight.detach(), bias=bias.detach(), shift=shift, scale=scale)


def choose_linear_cached(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *, classes: int, weight_decays: Sequence[float]
) -> tuple[LinearClassifier, float]:
    """The cached-feature probe whose L2 strength does best on validation; of equals the strongest.

    Args:
        train, validation: features (N, d) and labels (N,) of each split.
    """
    best, chosen, best_accuracy = None, 0.0, -1.0
    for weight_decay in sorted(weight_decays, reverse=True):
        probe = fit_linear_cached(*train, classes=classes, weight_decay=weight_decay)
        top1 = accuracy(probe(validation[0]), validation[1]).top1
        if top1 > best_accuracy:
            best, chosen, best_accuracy = probe, weight_decay, top1
    if best is None:
        raise InputError("evaluate.linear_cached.weight_decay must hold at least one value, but it is empty.")
    return best, chosen
