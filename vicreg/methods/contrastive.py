"""Contrastive cross-entropies: NT-Xent and InfoNCE, by what their denominators hold.

All of them are a mean over queries of -p_i + log(denominator_i), where p_i is the query's similarity to its positive over
the temperature. Methods differ in the terms of the denominator. With n images in two views it has 2n - 1 terms in SimCLR
(all other rows), 2n - 2 in DCL (all but the positive), n in MoCo v3 and DirectCLR (the rows of the other view), and 1 + K in
MoCo with a queue of K keys.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision, require_batch, require_one_shape

DENOMINATORS = ("2n-1", "2n-2", "n")
SCALES = {"mean": 1.0, "sum": 2.0}  # of the loss over the two directions, in units of their mean

# Products of equal rows differ by some units in the last place, as they are summed in different orders.
_ROUNDING = 32

# What `Contrast` holds beside the total, for the `TERMS` of a method.
CONTRAST_TERMS = {
    "positive_pairs": Term(title="Positive pairs' term"),
    "log_denominator": Term(title="Logarithm of the denominator"),
    "contrast_accuracy": Term(title="Positive nearer than all negatives", unit="share of queries"),
}


class Contrast(NamedTuple):
    """A contrastive loss and its parts, each a scalar tensor; only `total` is meant for a backward pass.

    `positive_pairs` is the mean of -p_i, `log_denominator` that of log(denominator_i); their sum is `total`.
    `contrast_accuracy` is the share of queries whose positive is more similar than every negative. Ties, to rounding, are
    misses, so a constant output has 0.
    """

    total: Tensor
    positive_pairs: Tensor
    log_denominator: Tensor
    contrast_accuracy: Tensor

    def terms(self) -> dict[str, Tensor]:
        """Return what a step logs, by the names of `CONTRAST_TERMS`."""
        return {name: getattr(self, name) for name in CONTRAST_TERMS}


def unit_rows(z: Tensor) -> Tensor:
    """Return embeddings (n, d) with rows divided by their Euclidean norm, in float32 at least; zero rows stay zero."""
    return functional.normalize(at_least_float32(z), dim=1)


def nt_xent(
    z: Tensor, z_prime: Tensor, *, temperature: float, denominator: str = "2n-1", check_finite: bool = True
) -> Contrast:
    """Return NT-Xent of two views' embeddings, both (n, d), as the mean over their 2n rows.

    u = z / ||z||; total = (1 / 2n) sum_i [ -u_i . u_j(i) / temperature + log sum_k exp(u_i . u_k / temperature) ], where
    j(i) is the row of the same image in the other view. k runs over the terms of `denominator`:

    - `2n-1`: all rows but i itself (SimCLR, arXiv 2002.05709, Eq. 1);
    - `2n-2`: all rows but i and its positive j(i) (DCL, arXiv 2110.06848, Eq. 6);
    - `n`: the other view's rows, the positive among them (InfoNCE in both directions: arXiv 2104.02057, 2110.09348).

    Raises InputError for another denominator, a temperature of 0 or below, other shapes than two equal (n, d), n < 2, and,
    where `check_finite`, non-finite embeddings.
    """
    require_choice("denominator", denominator, DENOMINATORS)
    require_pair(z, z_prime, temperature, check_finite=check_finite)
    with full_precision(z):
        positives, negatives = pair_similarities(unit_rows(z), unit_rows(z_prime), same_view=denominator != "n")
        return contrast(positives / temperature, negatives / temperature, with_positive=denominator != "2n-2")


def info_nce(
    queries: Tensor, keys: Tensor, *, temperature: float, normalise: bool = True, check_finite: bool = True
) -> Contrast:
    """Return the cross-entropy of queries to keys, both (n, d): key i is the positive of query i, the other n - 1 negatives.

    total = (1 / n) sum_i [ -q_i . k_i / temperature + log sum_j exp(q_i . k_j / temperature) ], rows normalised first unless
    `normalise` is False. It is one direction; the mean of both is `nt_xent` with the denominator `n`. Gradients go to both
    arguments: detach the keys where a target network made them.

    Source: arXiv 1807.03748, Eq. 4; as `contrastive_loss` in github.com/facebookresearch/moco-v3, without its factor of 2 x
    temperature. Raises InputError as `nt_xent`.
    """
    require_pair(queries, keys, temperature, check_finite=check_finite)
    with full_precision(queries):
        q, k = _rows(queries, normalise), _rows(keys, normalise)
        positives = (q * k).sum(dim=1)  # (n,)
        negatives = _without_diagonal(q @ k.T)  # (n, n)
        return contrast(positives / temperature, negatives / temperature)


def queue_info_nce(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor,
    *,
    temperature: float,
    normalise: bool = True,
    check_finite: bool = True,
) -> Contrast:
    """Return the cross-entropy of queries (n, d) to their keys (n, d) against a queue (K, d) of earlier keys.

    s = q . k / temperature; total = (1 / n) sum_i [ -s(q_i, k_i) + log(exp s(q_i, k_i) + sum_m exp s(q_i, Q_m)) ]. These are
    1 + K terms, none of them another key of this batch. Rows of queries and keys are normalised first unless `normalise` is
    False; the queue is taken as it is. Read the queue before this batch's keys are pushed.

    Source: arXiv 1911.05722, Eq. 1 and Algorithm 1. Raises InputError as `nt_xent`, and for a queue of another width.
    """
    require_pair(queries, keys, temperature, check_finite=check_finite)
    if queue.ndim != 2 or queue.shape[1] != queries.shape[1]:
        raise InputError(
            f"The queue must have shape (K, {queries.shape[1]}), but got {tuple(queue.shape)}; hold one key in each row."
        )
    with full_precision(queries):
        q, k = _rows(queries, normalise), _rows(keys, normalise)
        positives = (q * k).sum(dim=1)  # (n,)
        negatives = q @ queue.to(q.dtype).T  # (n, K)
        return contrast(positives / temperature, negatives / temperature)


def pair_similarities(u: Tensor, u_prime: Tensor, *, same_view: bool) -> tuple[Tensor, Tensor]:
    """Return products (2n,) of positive pairs, and (2n, m) of each row with its negatives, of two views (n, d).

    Rows are those of the first view, then those of the second. The negatives are the other images' rows in the other view,
    so m = n, and with `same_view` those in the row's own view as well, so m = 2n. Entries that are no negatives are -inf.
    """
    across = _without_diagonal(u @ u_prime.T)  # (n, n)
    negatives = torch.cat((across, across.T))  # (2n, n)
    if same_view:
        within = torch.cat((_without_diagonal(u @ u.T), _without_diagonal(u_prime @ u_prime.T)))  # (2n, n)
        negatives = torch.cat((within, negatives), dim=1)  # (2n, 2n)
    return (u * u_prime).sum(dim=1).repeat(2), negatives


def contrast(positives: Tensor, negatives: Tensor, *, with_positive: bool = True, weights: Tensor | None = None) -> Contrast:
    """Return the cross-entropy of logits: positives (m,), and negatives (m, k) in which -inf marks what does not count.

    total = mean_i [ -w_i p_i + log(exp(p_i) + sum_j exp(s_ij)) ], and without exp(p_i) unless `with_positive`. The weights w
    (m,) of the positives are 1 unless they are given.
    """
    log_denominators = torch.logsumexp(negatives, dim=1)  # (m,)
    if with_positive:
        log_denominators = torch.logaddexp(log_denominators, positives)
    positive_pairs = -(positives if weights is None else weights * positives).mean()
    log_denominator = log_denominators.mean()
    margin = _ROUNDING * torch.finfo(positives.dtype).eps * positives.detach().abs()
    hits = positives.detach() - margin > negatives.detach().amax(dim=1)  # (m,)
    return Contrast(
        total=positive_pairs + log_denominator,
        positive_pairs=positive_pairs.detach(),
        log_denominator=log_denominator.detach(),
        contrast_accuracy=hits.to(positives.dtype).mean(),
    )


def require_temperature(temperature: float, *, name: str = "temperature") -> None:
    """Raise InputError unless a temperature, by which similarities are divided, is above 0 and finite."""
    if not 0 < temperature < math.inf:
        raise InputError(f"{name} must be a finite number above 0, but got {temperature}; published ones are 0.05 to 1.")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError unless a setting of this name has one of the values in `choices`."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, but got {value!r}; choose one.")


def require_pair(z: Tensor, z_prime: Tensor, temperature: float, *, check_finite: bool) -> None:
    """Raise InputError unless two batches are of one shape (n, d) with n of at least 2, and the temperature is above 0.

    Where `check_finite`, values that are not finite are refused too; it waits for the device.
    """
    require_batch(z, check_finite=check_finite)
    require_batch(z_prime, check_finite=check_finite)
    require_one_shape(z, z_prime)
    require_temperature(temperature)


def _rows(z: Tensor, normalise: bool) -> Tensor:
    return unit_rows(z) if normalise else at_least_float32(z)


def _without_diagonal(products: Tensor) -> Tensor:
    """Return a square matrix with -inf on its diagonal, which the logarithm of a sum of exponentials leaves out."""
    diagonal = torch.eye(len(products), dtype=torch.bool, device=products.device)
    return products.masked_fill(diagonal, -torch.inf)
