"""Statistics of a batch of embeddings, and the checks methods share."""

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods.counter_random import normal


def require_one_shape(z: Tensor, z_prime: Tensor) -> None:
    """Raise InputError unless two batches of embeddings have the same shape."""
    if z.shape != z_prime.shape:
        raise InputError(
            f"Two views must have embeddings of one shape, but got {tuple(z.shape)} and {tuple(z_prime.shape)}; "
            "embed the same images with the same expander."
        )


def require_positive(epsilon: float) -> None:
    """Raise InputError unless epsilon, which is added to a variance below a square root, is above 0."""
    if not epsilon > 0:
        raise InputError(
            f"epsilon must be above 0 to keep the gradient of a constant dimension finite, but got {epsilon}; "
            "the paper uses 0.0001."
        )


def require_batch(z: Tensor, *, check_finite: bool) -> None:
    """Raise InputError unless `z` is (n, d) with n of at least 2 and, where it is checked, finite.

    `check_finite` copies a value to the host, which waits for the device.
    """
    if z.ndim != 2:
        raise InputError(f"Embeddings must have shape (n, d), but got {tuple(z.shape)}; flatten the rest.")
    if z.shape[0] < 2:
        raise InputError(
            f"A batch must hold at least 2 samples to estimate a variance, but got {z.shape[0]}; "
            "use a larger batch or drop the last short one."
        )
    if check_finite and not bool(torch.isfinite(z).all()):
        count = int((~torch.isfinite(z)).sum())
        raise InputError(
            f"Embeddings must be finite, but {count} of {z.numel()} values are infinite or NaN: training has diverged; "
            "lower the learning rate or lengthen the warm-up."
        )


def at_least_float32(z: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is where it is float64."""
    return z if z.dtype == torch.float64 else z.float()


def centre(z: Tensor) -> Tensor:
    """Return embeddings (n, d) minus their mean over the batch, in float32 at least."""
    z = at_least_float32(z)
    return z - z.mean(dim=0)


def column_variances(centred: Tensor) -> Tensor:
    """Return the unbiased variances (d,) of the columns of centred embeddings (n, d)."""
    # On a CPU this is about ten times as fast as Tensor.var over the first axis: 0.14 ms against 1.7 at (128, 2048).
    return centred.square().sum(dim=0) / (len(centred) - 1)  # (d,)


def full_precision(z: Tensor) -> torch.autocast:
    """Return a context in which autocast is off on the device of `z`."""
    # Under autocast a product of two float32 matrices is computed in bfloat16; sums of squares need more than 8 bits.
    return torch.autocast(device_type=z.device.type, enabled=False)


def centroid_invariance(views: Tensor) -> Tensor:
    """Return the mean squared distance of views (V, n, d) from their mean over views: a scalar.

    inv = (1 / (V n d)) sum_v |z_v - mean_u z_u|^2. Of two views it is a quarter of VICReg's invariance term.

    Source: arXiv 2511.08544, Algorithm 2 and the authors' MINIMAL.md.
    """
    with full_precision(views):
        views = at_least_float32(views)
        return (views - views.mean(dim=0)).square().mean()


def unit_slices(counter: Tensor, *, dimension: int, slices: int) -> Tensor:
    """Return random directions, unit columns (dimension, slices), float32; they are a function of the counter alone.

    Args:
        counter: a scalar tensor, int64.
        dimension: d, the embeddings' width.
        slices: the number of directions.
    """
    directions = normal(counter, (dimension, slices))
    return directions / directions.norm(dim=0)
