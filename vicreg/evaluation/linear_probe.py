"""The cached linear probe: logistic regression on features that are encoded once.

Its results are called `linear_cached`. They may not be compared with `linear`, the protocol of
`vicreg.evaluation.linear_evaluation`, which augments and encodes the images anew in each epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.metrics.accuracy import accuracy


@dataclass(frozen=True, kw_only=True)
class LinearClassifier:
    """A linear classifier of features x (n, d): scores (n, C) = (x - shift) / scale @ weight.T + bias."""

    weight: Tensor  # (C, d)
    bias: Tensor  # (C,)
    shift: Tensor  # (d,)
    scale: Tensor  # ()

    def __call__(self, features: Tensor) -> Tensor:
        return (features.to(self.weight.dtype) - self.shift) / self.scale @ self.weight.T + self.bias


def fit_linear_cached(features: Tensor, labels: Tensor, *, classes: int, weight_decay: float) -> LinearClassifier:
    """Fit a multinomial logistic regression on features (N, d), encoded without augmentation, with labels (N,).

    It minimises cross-entropy + weight_decay / 2 * ||W||^2 by L-BFGS from zero, in float64. Features are centred and
    divided by their root mean square, one number. A scale for each dimension would amplify the noise of collapsed
    dimensions and hide the collapse.

    Raises:
        InputError: if weight_decay is not positive; separable features would then have no minimum.
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
    # In float64: for features that vary little around a large mean, the error of a float32 shift would be large.
    return LinearClassifier(weight=weight.detach(), bias=bias.detach(), shift=shift, scale=scale)


def choose_linear_cached(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *, classes: int, weight_decays: Sequence[float]
) -> tuple[LinearClassifier, float]:
    """Return the probe, fitted on train, with the best validation accuracy, and its weight decay, the largest of equals.

    Args:
        train, validation: features (N, d) and labels (N,) of each split.

    Raises:
        InputError: if there is no weight decay to choose from, or one is not positive.
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
