"""Features of known geometry, for the tests of metrics, probes and diagnoses."""

import math

import torch

CLASSES = 4
SHAPES = [(40, 12), (12, 40), (12, 12)]


def gaussian(n, d, *, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthonormal(n, k):
    """k columns in n samples, each of mean 0 and unbiased variance 1, exactly uncorrelated."""
    centred = gaussian(n, k) - gaussian(n, k).mean(dim=0)
    return torch.linalg.qr(centred).Q * math.sqrt(n - 1)


def equicorrelated(n, d, rho):
    """d dimensions of variance 1, each pair with a correlation of exactly rho."""
    factors = orthonormal(n, d + 1)
    return math.sqrt(rho) * factors[:, :1] + math.sqrt(1 - rho) * factors[:, 1:]


def clusters(n: int, *, d: int = 12, seed: int = 0, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """n features around one centre a class; the centres are the same for every seed. Classes take turns."""
    centres = torch.randn(CLASSES, d, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(n) % CLASSES
    noise = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return centres[labels] + spread * noise, labels


def uneven(n, d, *, seed=0):
    """Features with no symmetry left: correlated, of unequal variances, off centre."""
    return gaussian(n, d, seed=seed) @ (gaussian(d, d, seed=seed + 1) + torch.diag(torch.arange(1.0, d + 1))) + 2.0


def rotation(d):
    return torch.linalg.qr(gaussian(d, d, seed=9)).Q
