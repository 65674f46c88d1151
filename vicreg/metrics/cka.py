"""Compare representations of the same images: linear CKA, debiased.

Source: Kornblith et al. 2019, arXiv 1905.00414, Section 3. The estimate of HSIC is the unbiased one (Song et al. 2012, JMLR
13). With the plain one, features of few images look alike however much they differ (Nguyen et al. 2020, arXiv 2010.15327).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.metrics.matrices import centred_rows, checked

LEAST_IMAGES = 4  # below which the unbiased estimate divides by zero


def linear_cka(features: Tensor, others: Tensor) -> float:
    """Return the debiased linear CKA of features `(N, d)` and `(N, d')` of the same N images, in this order.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T and L = Y Y^T. It is 1 where one is the other turned,
    scaled and shifted. It is near 0, and may be below, where they have nothing in common. NaN where either is constant.

    Raises InputError for features that are not finite or not of the same N >= 4 images.
    """
    return float(linear_cka_matrix([features, others])[0, 1])


def linear_cka_matrix(features: Sequence[Tensor]) -> Tensor:
    """Return the debiased linear CKA of every pair of m features, each `(N, d_i)`: float64 `(m, m)`, symmetric.

    It holds m matrices of N x N numbers. Raises InputError as `linear_cka` does.
    """
    sizes = {len(one) for one in features}
    if len(sizes) != 1 or min(sizes) < LEAST_IMAGES:
        raise InputError(
            f"CKA needs features of the same images, at least {LEAST_IMAGES}, but got {', '.join(map(str, sorted(sizes)))}."
        )
    grams = [_centred_gram(one) for one in features]
    products = torch.stack([torch.stack([(one * other).sum() for other in grams]) for one in grams])  # (m, m)
    norms = products.diagonal().sqrt()
    return torch.where(norms.outer(norms) > 0, products / norms.outer(norms), math.nan)


def _centred_gram(features: Tensor) -> Tensor:
    """Return the Gram matrix `(N, N)` of features `(N, d)` without its diagonal, U-centred.

    A_ij = K_ij - (sum_l K_il + sum_k K_kj) / (N - 2) + sum_kl K_kl / ((N - 1) (N - 2)), and A_ii = 0. The sum of A o B is
    then N (N - 3) times the unbiased HSIC (Szekely and Rizzo 2014, arXiv 1310.2926, Eq. 2.3). The features are centred and
    scaled first, which changes no CKA and keeps digits.
    """
    rows = centred_rows(checked(features))
    largest = rows.abs().max()
    rows = rows / torch.where(largest > 0, largest, 1.0)
    gram = (rows @ rows.T).fill_diagonal_(0)  # (N, N)
    n = len(gram)
    sums = gram.sum(dim=1)  # (N,)
    gram = gram - (sums[:, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    return gram.fill_diagonal_(0)
