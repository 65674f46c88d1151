"""Measure LiDAR: in how many directions features tell images apart from views of one image."""

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.metrics.spectral import entropy_rank

_DELTA = 1e-4  # arXiv 2312.04000, Section 5: added to the variances within a class, so that their matrix has an inverse
_ROUNDING = 1e-12  # of the largest feature, and of the largest eigenvalue


def lidar(views: Tensor, *, delta: float = _DELTA) -> float:
    """Return LiDAR, the effective rank of the LDA matrix whose classes are images; features `(n, q, d)` of q views of each.

    With M_i the mean over the views of image i and M their mean, S_b = sum_i (M_i - M)(M_i - M)^T / (n - 1) is the scatter
    between images, and S_w = sum_ij (z_ij - M_i)(z_ij - M_i)^T / (n (q - 1)) that within them. LiDAR is
    exp(-sum_k p_k log p_k), with p the eigenvalues of (S_w + delta)^-1/2 S_b (S_w + delta)^-1/2 over their sum. It is
    between 1 and min(n - 1, d), and 0 if all images have the same features. It does not depend on shift and rotation; where
    variances are far above `delta` it does not depend on scale. Of float32 features whose rank is below d and whose standard
    deviation is above about 10^4, rounding exceeds `delta` and raises it.

    The eigenvalues are those of the smaller n x n matrix B^T (S_w + delta)^-1 B, with B the centred means.

    Raises:
        InputError: for fewer than two images or two views, and for values that are not finite.

    Source: arXiv 2312.04000, Section 4.
    """
    if views.ndim != 3 or min(views.shape[:2], default=0) < 2 or views.shape[2] < 1:
        raise InputError(
            f"LiDAR takes features (n, q, d) of at least 2 images and 2 views of each, but got {tuple(views.shape)}; "
            "encode more images, or more views."
        )
    views = views.detach().double()
    if not bool(torch.isfinite(views).all()):
        raise InputError("Features must be finite, but some are not; take them from before the training diverged.")
    n, q, d = views.shape
    means = views.mean(dim=1)
    between = (means - means.mean(dim=0)) / (n - 1) ** 0.5  # (n, d)
    if not between.norm() > _ROUNDING * views.abs().max():  # means of equal rows differ by their rounding
        return 0.0
    within = (views - means[:, None]).reshape(n * q, d)
    scatter = within.T @ within / (n * (q - 1)) + delta * torch.eye(d, dtype=views.dtype, device=views.device)
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(scatter), between.T, upper=False)  # (d, n)
    gram = whitened.T @ whitened if n < d else whitened @ whitened.T
    eigenvalues = torch.linalg.eigvalsh(gram)
    return entropy_rank(eigenvalues[eigenvalues > _ROUNDING * eigenvalues[-1]])
