"""Iterative normalisation (IterNorm): whiten groups of dimensions by Newton's iterations."""

import torch
from torch import Tensor

from vicreg.models.view_batchnorm import ViewBatchNorm1d


def inverse_square_root(matrices: Tensor, *, steps: int) -> Tensor:
    """Return approximate inverse square roots of symmetric positive definite matrices `(..., c, c)`.

    With S = M / tr(M), P_0 = I and P_{k+1} = (3 P_k - P_k^3 S) / 2, P_k approaches S^(-1/2): the result is P_steps /
    sqrt(tr(M)). It converges, since all eigenvalues of S are in (0, 1]. Small ones take more steps, for their roots grow by
    at most 1.5 in each. Source: arXiv 1904.03441, Eqs. 4-6.

    Computed from pairs (Y, P) with Y_k = S P_k, which in exact arithmetic is the same. In the form above, rounding errors
    that do not commute with S grow from step to step (Higham, Functions of Matrices, 2008, Chapter 6).
    """
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    product, root = matrices / trace, identity.expand_as(matrices)
    for _ in range(steps):
        factor = 1.5 * identity - 0.5 * (root @ product)
        product, root = product @ factor, factor @ root
    return root * trace.rsqrt()


def group_width(dimension: int, groups: int) -> int:
    """Return how many dimensions are whitened together: about dimension / groups, and a divisor of the dimension.

    Halved until it divides, as the authors' code of VIbCReg does (arXiv 2109.00783).
    """
    width = (dimension - 1) // groups + 1
    while dimension % width:
        width //= 2
    return width


class IterativeNormalisation(ViewBatchNorm1d):
    """IterNorm of `(views * n, d)`: whitening within groups of dimensions, then a learnt scale and shift of each.

    x -> scale * W (x - mean) + shift, W = `inverse_square_root` of the group's biased covariance + eps I. In training the
    mean and W are the batch's, and of each view by itself as in `ViewBatchNorm1d`. In eval mode they are the running ones,
    which move to the batch's by `momentum` in each pass. It is computed in float32 at least, whatever autocast says.

    Source: arXiv 1904.03441; groups and steps are those of VIbCReg's code (arXiv 2109.00783).

    Args:
        dimension: d.
        groups: about how many groups of dimensions there are (`group_width`).
        steps: Newton's iterations.
    """

    running_mean: Tensor  # (g, c, 1)
    running_whitening: Tensor  # (g, c, c)

    def __init__(
        self, dimension: int, *, groups: int = 64, steps: int = 5, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        # Not BatchNorm's own running statistics, which have other shapes.
        super().__init__(dimension, eps=eps, momentum=momentum, track_running_stats=False)
        self.steps, self.rate = steps, momentum
        width = group_width(dimension, groups)
        self.register_buffer("running_mean", torch.zeros(dimension // width, width, 1))
        self.register_buffer("running_whitening", torch.zeros(dimension // width, width, width))
        self.reset_running_state()

    @torch.no_grad()
    def reset_running_state(self) -> None:
        """Set the running mean to 0 and the running W to the identity."""
        self.running_mean.zero_()
        self.running_whitening.copy_(torch.eye(self.running_whitening.shape[-1], device=self.running_whitening.device))

    def _of_views(self, input: Tensor) -> Tensor:
        with torch.autocast(device_type=input.device.type, enabled=False):
            input = input if input.dtype == torch.float64 else input.float()
            if self.training:
                whitened = torch.cat([self._by_batch(view) for view in input.chunk(self.views)])
            else:
                whitened = self._ungrouped(self.running_whitening @ (self._grouped(input) - self.running_mean))
            return whitened * self.weight + self.bias

    def _by_batch(self, view: Tensor) -> Tensor:
        """Return one view (n, d) whitened by its own mean and covariance, which the running ones move to."""
        grouped = self._grouped(view)
        mean = grouped.mean(dim=2, keepdim=True)
        centred = grouped - mean
        covariance = centred @ centred.mT / len(view)  # (g, c, c)
        identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
        whitening = inverse_square_root(covariance + self.eps * identity, steps=self.steps)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.rate)
            self.running_whitening.lerp_(whitening.to(self.running_whitening.dtype), self.rate)
        return self._ungrouped(whitening @ centred)

    def _grouped(self, z: Tensor) -> Tensor:
        """Return (n, d) as (g, c, n)."""
        return z.T.reshape(*self.running_mean.shape[:2], len(z))

    def _ungrouped(self, grouped: Tensor) -> Tensor:
        """Return (g, c, n) as (n, d)."""
        return grouped.flatten(0, 1).T
