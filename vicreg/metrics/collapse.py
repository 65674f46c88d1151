"""Measure the collapse of features `(N, d)`: spread, rank, redundancy, alignment, uniformity.

Everything is computed in float64 after centring, because variances of a one-pass float32 covariance can be negative.
Features must be of a fixed held-out set, not of a training batch, whose size would limit the rank. Zero rows and constant
dimensions never give NaN; each function says what they give. Each function raises InputError for features that are not
`(N, d)` with N >= 2 and d >= 1, and for values that are not finite.
"""

import math

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.metrics.clusters import cluster_learnability, intrinsic_dimension
from vicreg.metrics.lidar import lidar
from vicreg.metrics.matrices import centred_rows, checked, gram_eigenvalues, smaller_gram, unit_rows
from vicreg.metrics.spectral import alpha_req, effective_rank, nesum

# sqrt(epsilon) at the paper's epsilon = 1e-4: below it epsilon outweighs the variance in the variance term.
DEAD_STD = 0.01
STD_QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)

RANKME_EPSILON = 1e-7  # arXiv 2210.02885, Eq. 1, for float32; with 1e-5, rank 1 in width 8192 would measure 2.57
_UNIFORMITY_T = 2.0  # arXiv 2005.10242, Section 4.1.2
UNIFORMITY_ROWS = 1024  # rows of the N x N similarities held at a time: 80 MB at N = 10000


def collapse_metrics(
    features: Tensor, *, views: tuple[Tensor, Tensor] | None = None, classes: Tensor | None = None
) -> dict[str, float | list[float]]:
    """Return all metrics of features `(N, d)` by the names of their functions, as floats and lists of floats.

    What these features leave undefined, which is NaN of its function alone, is left out. `std_per_dimension` is summarised
    as `std_mean`, `std_min` and `std_quantiles` (at `STD_QUANTILES`).

    Args:
        views: features of two views of the same images, `(N, d)` each; without them `alignment` and
            `view_discrepancy` are left out.
        classes: features `(n, q, d)` of q views of each of n images, of which `lidar` is; without them it is left out.
    """
    deviations, variances = std_per_dimension(features), spectrum(features)
    quantiles = torch.quantile(deviations, deviations.new_tensor(STD_QUANTILES))
    metrics: dict[str, float | list[float]] = {
        **collapse_trace(features),
        "std_quantiles": quantiles.tolist(),
        "participation_ratio": participation_ratio(features),
        "uniformity": uniformity(features),
        "spectrum": variances.tolist(),
        "relative_dead_share": relative_dead_share(features),
        "effective_rank": effective_rank(variances),
        "nesum": nesum(variances),
        "alpha_req": alpha_req(variances),
        "stable_rank": stable_rank(features),
        "cluster_learnability": cluster_learnability(features),
        "intrinsic_dimension": intrinsic_dimension(features),
    }
    if views is not None:
        metrics["alignment"] = alignment(*views)
        metrics["view_discrepancy"] = view_discrepancy(*views)
    if classes is not None:
        metrics["lidar"] = lidar(classes)
    return {name: value for name, value in metrics.items() if isinstance(value, list) or math.isfinite(value)}


def collapse_trace(features: Tensor, *, rank: bool = True) -> dict[str, float]:
    """Return the metrics of features `(N, d)` that are logged each epoch, and that `diagnose_collapse` needs.

    They take some milliseconds. With thousands of features and dimensions `rankme` takes seconds; `rank` says whether it is
    among them.
    """
    deviations = std_per_dimension(features)
    return {
        "std_mean": deviations.mean().item(),
        "std_min": deviations.min().item(),
        "normalised_std": normalised_std(features),
        "dead_share": dead_share(features),
        **({"rankme": rankme(features)} if rank else {}),
        "rms_correlation": rms_correlation(features),
    }


def std_per_dimension(features: Tensor) -> Tensor:
    """Return the unbiased standard deviation of each dimension of features `(N, d)`, as `(d,)` in the features' units."""
    return _std(centred_rows(checked(features)))


def normalised_std(features: Tensor) -> float:
    """Return the mean std of the L2-normalised rows of features `(N, d)`, times sqrt(d): 1 is isotropic, 0 constant.

    It does not depend on the scale, but on a shift: rows that share a large constant are close on the sphere. Rows of
    zeros stay zeros.

    Source: the collapse measure of SimSiam, arXiv 2011.10566, Section 4.1.
    """
    rows = unit_rows(checked(features))
    return (_std(centred_rows(rows)).mean() * math.sqrt(rows.shape[1])).item()


def dead_share(features: Tensor, *, threshold: float = DEAD_STD) -> float:
    """Return the share in [0, 1] of dimensions of features `(N, d)` whose std is below `threshold`."""
    return (std_per_dimension(features) < threshold).double().mean().item()


def relative_dead_share(features: Tensor, *, threshold: float = DEAD_STD) -> float:
    """Return the share in [0, 1] of dimensions of features `(N, d)` whose std is below `threshold` times the typical one.

    The typical std is the root mean square over the dimensions. It is 1 if no dimension varies. It does not depend on scale
    and shift, as `dead_share` does on scale.
    """
    deviations = std_per_dimension(features)
    typical = deviations.square().mean().sqrt()
    return (deviations < threshold * typical).double().mean().item() if typical > 0 else 1.0


def rankme(features: Tensor) -> float:
    """Return RankMe, the effective rank of features `(N, d)` without centring, between 1 and min(N, d).

    It is exp(-sum_k p_k log p_k), p_k = s_k / sum(s) + 1e-7, with s the singular values. Equal rows have rank 1, and
    zeros have 0. It does not depend on scale and rotation, but on a shift.

    The singular values come from the smaller Gram matrix. Those below its rounding, sqrt(max(N, d) * 2.2e-16) of the
    largest (7e-7 at 2048), are set to 0: they would add as much as RankMe's epsilon does.

    Source: arXiv 2210.02885, Eq. 1.
    """
    eigenvalues = gram_eigenvalues(checked(features))
    rounding = max(features.shape) * torch.finfo(torch.float64).eps * eigenvalues[0]
    singular_values = eigenvalues.where(eigenvalues > rounding, 0).sqrt()
    if singular_values[0] == 0:
        return 0.0
    shares = singular_values / singular_values.sum() + RANKME_EPSILON
    return torch.exp(-(shares * shares.log()).sum()).item()


def stable_rank(features: Tensor) -> float:
    """Return the stable rank ||A||_F^2 / ||A||_2^2 of features A `(N, d)` without centring, between 1 and min(N, d).

    It is 0 for zeros. It does not depend on scale and rotation, but on a shift; of centred features it is `nesum`.

    Source: Rudelson and Vershynin 2007, Sampling from large matrices, Section 1.
    """
    gram = smaller_gram(checked(features))
    largest = torch.linalg.eigvalsh(gram)[-1]
    return (gram.trace() / largest).item() if largest > 0 else 0.0


def participation_ratio(features: Tensor) -> float:
    """Return (sum l)^2 / sum(l^2), with l the eigenvalues of the covariance of features `(N, d)`.

    It is between 1 and min(N - 1, d), k for k equal eigenvalues, and 0 if all dimensions are constant. It does not depend
    on scale, shift and rotation. Computed from trace and squared norm of the covariance, without its eigenvalues.
    """
    gram = smaller_gram(centred_rows(checked(features)))
    squared_norm = gram.square().sum()
    return (gram.trace().square() / squared_norm).item() if squared_norm > 0 else 0.0


def rms_correlation(features: Tensor) -> float:
    """Return the root mean square of the correlations between different dimensions of features `(N, d)`, in [0, 1].

    Dimensions of zero variance are left out; it is 0 if fewer than two others are left. It does not depend on scale and
    shift of any dimension. Independent dimensions measure 1 / sqrt(N - 1), not 0.
    """
    centred = centred_rows(checked(features))
    norms = centred.norm(dim=0)
    live = norms > 0
    count = int(live.sum())
    if count < 2:
        return 0.0
    gram = smaller_gram(centred[:, live] / norms[live])  # has the squared norm of the correlation matrix
    mean_square = (gram.square().sum() - count) / (count * (count - 1))
    return mean_square.clamp(0, 1).sqrt().item()


def alignment(z: Tensor, z_prime: Tensor) -> float:
    """Return the mean squared distance of two views' L2-normalised features `(N, d)`: 0 if equal, 4 if opposite.

    Rows of zeros stay zeros.

    Raises:
        InputError: if the shapes differ.

    Source: arXiv 2005.10242, Eq. 5, alpha = 2.
    """
    _check_pair(z, z_prime)
    return (unit_rows(checked(z)) - unit_rows(checked(z_prime))).square().sum(dim=1).mean().item()


def view_discrepancy(z: Tensor, z_prime: Tensor) -> float:
    """Return the distance of two views of one image relative to that of views of two images; features `(N, d)` each.

    It is mean_i ||z_i - z'_i||^2 / mean_{i != j} ||z_i - z'_j||^2. At 0 the features depend on the image alone. At 1
    views of one image are as far apart as views of two. It is 1 if the views of all images are equal. It does not depend
    on scale, shift and rotation.

    No N x N matrix is formed: the sum of squared distances over all pairs (i, j), of features centred together, is
    N sum_i ||z_i||^2 + N sum_j ||z'_j||^2 - 2 <sum_i z_i, sum_j z'_j>.

    Raises:
        InputError: if the shapes differ.
    """
    _check_pair(z, z_prime)
    count = len(checked(z))
    first, second = centred_rows(torch.cat([checked(z), checked(z_prime)])).split(count)
    same = (first - second).square().sum()
    squares = count * (first.square().sum() + second.square().sum())
    every = squares - 2 * first.sum(dim=0) @ second.sum(dim=0)
    different = every - same
    if not different > 0:
        return 1.0
    return (same / count / (different / (count * (count - 1)))).item()


def uniformity(z: Tensor) -> float:
    """Return log mean_{i < j} exp(-2 ||u_i - u_j||^2) of the L2-normalised rows u of z `(N, d)`; lower is more uniform.

    Identical rows have 0, the largest value; uniform rows in many dimensions have about -4. Rows of zeros stay zeros.

    Source: arXiv 2005.10242, Eq. 6, t = 2.
    """
    rows = unit_rows(checked(z))
    count = len(rows)
    lengths = rows.square().sum(dim=1)  # 1, and 0 for rows of zeros
    total = rows.new_zeros(())
    for block, block_lengths in zip(rows.split(UNIFORMITY_ROWS), lengths.split(UNIFORMITY_ROWS), strict=True):
        distances = block_lengths[:, None] + lengths - 2 * block @ rows.T  # (<= UNIFORMITY_ROWS, N)
        total += torch.exp(-_UNIFORMITY_T * distances).sum()
    pairs = count * (count - 1)
    return math.log((total.item() - count) / pairs)  # each row's distance to itself adds exp(0)


def spectrum(features: Tensor) -> Tensor:
    """Return the eigenvalues of the covariance of features `(N, d)`, which are variances, descending: `(min(N - 1, d),)`.

    N centred samples span at most N - 1 directions. Further eigenvalues are 0 and left out, so the sum is the total
    variance. The spectrum does not depend on shift and rotation.
    """
    centred = centred_rows(checked(features))
    samples, d = centred.shape
    return gram_eigenvalues(centred)[: min(samples - 1, d)] / (samples - 1)


def _check_pair(z: Tensor, z_prime: Tensor) -> None:
    if z.shape != z_prime.shape:
        raise InputError(
            f"Two views must have features of one shape, but got {tuple(z.shape)} and {tuple(z_prime.shape)}; "
            "encode the same images with the same network."
        )


def _std(centred: Tensor) -> Tensor:
    return torch.sqrt(centred.square().sum(dim=0) / (len(centred) - 1))
