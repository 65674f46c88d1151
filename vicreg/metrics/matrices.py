"""Check, centre and normalise features `(N, d)`, and the eigenvalues of their Gram matrix."""

import torch
from torch import Tensor

from vicreg.errors import InputError


def checked(features: Tensor) -> Tensor:
    """Return the features in float64, without a gradient."""
    if features.ndim != 2 or features.shape[1] < 1:
        raise InputError(f"Features must have shape (N, d), but got {tuple(features.shape)}; flatten the rest.")
    if len(features) < 2:
        raise InputError(f"A variance needs at least 2 samples, but got {len(features)}; encode more images.")
    features = features.detach().double()
    bad = int((~torch.isfinite(features)).sum())
    if bad:
        raise InputError(
            f"Features must be finite, but {bad} of {features.numel()} values are infinite or NaN; "
            "take them from before the training diverged."
        )
    return features


def centred_rows(features: Tensor) -> Tensor:
    """Return the features minus their mean, exactly 0 in constant dimensions."""
    constant = (features == features[0]).all(dim=0)
    # The mean of equal numbers is not always that number, and its rounding error would look like variance.
    return (features - features.mean(dim=0)).masked_fill(constant, 0)


def unit_rows(features: Tensor) -> Tensor:
    lengths = features.norm(dim=1, keepdim=True)
    return features / lengths.where(lengths > 0, 1)


def smaller_gram(matrix: Tensor) -> Tensor:
    """Return the smaller of the Gram matrices (N, N) and (d, d), which have the same eigenvalues except for zeros."""
    samples, d = matrix.shape
    return matrix @ matrix.T if samples < d else matrix.T @ matrix


def gram_eigenvalues(matrix: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(smaller_gram(matrix)).flip(0).clamp(min=0)
