"""Measure the decay and the rank of a spectrum of variances.

Each function takes the eigenvalues of a covariance, descending, as `vicreg.metrics.collapse.spectrum` returns them. So all
of them are of centred features, and one eigendecomposition serves them all. None depends on scale, shift and rotation.
Eigenvalues below the rounding of the largest count as zero.
"""

import math

import torch
from torch import Tensor

# Ranks that alpha-ReQ is fitted on. The first eigenvalues are left out, because the tail of a spectrum follows the law; few
# networks have a hundred variances that samples of some hundred images tell from noise.
FIRST_RANK, LAST_RANK = 3, 100
_LEAST_RANKS = 3  # to fit a line and have something over
_ROUNDING = 1e-12  # of the largest eigenvalue; sums of squares in float64 are exact to about 1e-13 at d = 2048


def effective_rank(variances: Tensor) -> float:
    """Return the effective rank of centred features from their `variances` (k,), between 1 and k.

    It is exp(-sum_k p_k log p_k), p_k = s_k / sum(s), with s = sqrt(variances) the singular values. It is k for k equal
    variances and 0 if all are zero. `rankme` is the same of features that are not centred.

    Source: Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality, Definition 1.
    """
    singular_values = _positive(variances).sqrt()
    if len(singular_values) == 0:
        return 0.0
    return entropy_rank(singular_values)


def nesum(variances: Tensor) -> float:
    """Return NESum, sum_k l_k / l_1 of the `variances` l (k,), between 1 and k; 0 if all are zero.

    It is the stable rank of centred features.

    Source: He and Ozay 2022, Exploring the gap between collapsed and whitened features in self-supervised learning, ICML.
    """
    positive = _positive(variances)
    return (positive.sum() / positive[0]).item() if len(positive) else 0.0


def alpha_req(variances: Tensor) -> float:
    """Return alpha-ReQ, the exponent a of the power law l_n ~ n^-a that fits the `variances` l (k,).

    It is a line through log l_n over log n, n = 3 to 100 or to the last variance that is not zero, by least squares with
    weights 1 / n, so that each octave of ranks counts alike. 0 is a flat spectrum; the source finds the best networks near
    1. NaN where fewer than three variances can be fitted.

    Source: arXiv 2202.05808, Section 2; the weights are those of Stringer et al. 2019 (Nature 571), whose fit it uses.
    """
    logs = _positive(variances)[FIRST_RANK - 1 : LAST_RANK].log()
    if len(logs) < _LEAST_RANKS:
        return math.nan
    ranks = torch.arange(FIRST_RANK, FIRST_RANK + len(logs), dtype=logs.dtype, device=logs.device)
    weights = 1 / ranks / (1 / ranks).sum()
    x = ranks.log()
    x, y = x - weights @ x, logs - weights @ logs
    return (-(weights @ (x * y)) / (weights @ (x * x))).item()


def entropy_rank(values: Tensor) -> float:
    """Return exp(-sum_k p_k log p_k), p_k = v_k / sum(v), of positive `values` v (k,): k if all are equal."""
    shares = values / values.sum()
    return torch.exp(-(shares * shares.log()).sum()).item()


def _positive(variances: Tensor) -> Tensor:
    if len(variances) == 0:
        return variances
    return variances[variances > _ROUNDING * variances[0]]
