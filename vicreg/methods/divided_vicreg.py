"""The VICReg loss of a batch whose rows lie in several processes."""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vicreg.distributed.collectives import gather_rows, group_size, sum_over_processes
from vicreg.methods.batch_statistics import at_least_float32, full_precision


class Weights(Protocol):
    """The weights of invariance, variance and covariance in the official code's units."""

    @property
    def lambda_(self) -> float: ...
    @property
    def mu(self) -> float: ...
    @property
    def nu(self) -> float: ...


def divided_loss(
    z: Tensor, z_prime: Tensor, coefficients: Weights, gamma: float, epsilon: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return total, invariance, variance and covariance of the rows (n, d) of all processes, from this one's (n / N, d).

    The terms are the whole batch's, the same in every process. The gradient is that of this process's rows, times N, as of
    every loss whose mean over processes is differentiated.

    A process takes an N-th of the work. With n < d the centred rows are gathered, and it computes its rows of the Gram
    matrix. Otherwise covariances are sums over processes of d x d products, and no rows are sent.
    """
    return _DividedLoss.apply(z, z_prime, coefficients, gamma, epsilon)


class _DividedLoss(torch.autograd.Function):
    """Terms and gradient in one go, by the equations of `vicreg.methods.vicreg`; both views are taken together."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, z_prime: Tensor, coefficients: Weights, gamma: float, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lambda_, mu, nu = coefficients.lambda_, coefficients.mu, coefficients.nu
        n, d = len(z) * group_size(), z.shape[1]
        with full_precision(z):
            views = torch.stack((at_least_float32(z), at_least_float32(z_prime)))  # (2, n / N, d)
            difference = views[0] - views[1]
            sums = sum_over_processes(torch.cat((views.sum(dim=1).flatten(), difference.square().sum()[None])))
            similarity = sums[-1] / (n * d)
            centred = views - sums[:-1].view(2, 1, d) / n
            variances = sum_over_processes(centred.square().sum(dim=1)) / (n - 1)  # (2, d)
            deviation = torch.sqrt(variances + epsilon)
            spread = torch.relu(gamma - deviation).mean()
            pull = torch.where(deviation < gamma, -mu / (2 * d * (n - 1)) / deviation, 0.0) if mu else 0 * deviation
            by_rows = _by_gram if n < d else _by_covariance
            redundancy, gradient = by_rows(centred, variances, n=n, pull=pull, weight=4 * nu / (d * (n - 1)))
            if lambda_:
                difference *= 2 * lambda_ / (n * d)
                gradient[0] += difference
                gradient[1] -= difference
            ctx.save_for_backward(*(one.to(z.dtype) for one in gradient))
        ctx.mark_non_differentiable(similarity, spread, redundancy)
        weighted = ((lambda_, similarity), (mu, spread), (nu, redundancy))
        total: Any = sum(weight * term for weight, term in weighted if weight != 0)
        return total, similarity, spread, redundancy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return (*(of_total * group_size() * gradient for gradient in ctx.saved_tensors), None, None, None)


def _by_gram(centred: Tensor, variances: Tensor, *, n: int, pull: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return c(Z) + c(Z') and the gradients (2, n / N, d) of both terms, from rows of the Gram matrices."""
    every = gather_rows(centred.transpose(0, 1)).transpose(0, 1)  # (2, n, d)
    gram = centred @ every.mT  # (2, n / N, n)
    squares = sum_over_processes(gram.square().sum()) / (n - 1) ** 2
    redundancy = (squares - variances.square().sum()) / centred.shape[2]
    if weight == 0:
        return redundancy, centred * pull[:, None]
    own = centred * (pull - weight * variances)[:, None]
    return redundancy, own.add_(gram @ every, alpha=weight / (n - 1))


def _by_covariance(centred: Tensor, variances: Tensor, *, n: int, pull: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return c(Z) + c(Z') and the gradients (2, n / N, d) of both terms, from the covariances, which are summed."""
    matrices = sum_over_processes(centred.mT @ centred) / (n - 1)  # (2, d, d)
    matrices.diagonal(dim1=1, dim2=2).zero_()
    redundancy = matrices.square().sum() / centred.shape[2]
    if weight == 0:
        return redundancy, centred * pull[:, None]
    matrices *= weight
    matrices.diagonal(dim1=1, dim2=2).copy_(pull)
    return redundancy, centred @ matrices
