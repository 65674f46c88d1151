"""Two tasks whose linear networks collapse for a known reason, in known directions.

Source: the toy tasks of "Understanding Dimensional Collapse in Contrastive Self-supervised Learning", arXiv 2110.09348
(github.com/facebookresearch/directclr, toy_task). Data, width, batch, temperature and the weights' first spectrum are
theirs. Steps are a tenth of their 10,000, at learning rates that suit: what collapses is the same.
"""

import torch
from torch import Tensor, nn

from vicreg.methods.contrastive import info_nce

WIDTH = 16
IMAGES = 10_000
BATCH = 128
TEMPERATURE = 0.1


def strong_augmentation(*, noise: float, noisy: int, lr: float, steps: int = 1000) -> nn.Sequential:
    """Return a linear layer trained on N(0, I) data; its views differ by noise of this std in the last `noisy` dimensions.

    Directions collapse in which the noise of augmentation outweighs the data. The layer starts with a tenth of the identity,
    so these directions are along its output's axes.
    """
    generator = torch.Generator().manual_seed(0)
    deviations = torch.zeros(WIDTH)
    deviations[WIDTH - noisy :] = noise
    return _train(nn.Sequential(_linear(torch.eye(WIDTH) / 10)), deviations, lr=lr, steps=steps, generator=generator)


def implicit_regularisation(*, layers: int, decay: float, steps: int = 1000) -> nn.Sequential:
    """Return linear layers, trained with views that hardly differ from weights whose product has a decaying spectrum.

    The singular values of L layers start at exp(-2 k decay / L), k = 0, 1, ..., so those of an aligned product do not depend
    on L. In two layers a direction grows in proportion to its size, so the smallest stay small; in one layer all grow.
    """
    generator = torch.Generator().manual_seed(0)
    values = torch.exp(-2 * decay / layers * torch.arange(WIDTH))
    stack = []
    for _ in range(layers):
        left, _, right = torch.linalg.svd(torch.rand(WIDTH, WIDTH, generator=generator))
        stack.append(_linear(left @ torch.diag(values) @ right))
    return _train(nn.Sequential(*stack), torch.full((WIDTH,), 0.001), lr=0.02, steps=steps, generator=generator)


def images(count: int, *, seed: int = 1) -> Tensor:
    """Return data (count, 16) that no network was trained on."""
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def product(network: nn.Sequential) -> Tensor:
    """Return the matrix (16, 16), float64, that a network multiplies its inputs by."""
    matrix = torch.eye(WIDTH, dtype=torch.float64)
    for layer in network:
        matrix = layer.weight.detach().double() @ matrix
    return matrix


def _linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(WIDTH, WIDTH, bias=False)
    layer.weight.data.copy_(weight)
    return layer


def _train(
    network: nn.Sequential, deviations: Tensor, *, lr: float, steps: int, generator: torch.Generator
) -> nn.Sequential:
    """Train a network by SGD on InfoNCE of rows that are not normalised, from one view to the other, as the toy tasks do."""
    data = torch.randn(IMAGES, WIDTH, generator=generator)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    for _ in range(steps):
        batch = data[torch.randint(IMAGES, (BATCH,), generator=generator)]
        z, z_prime = (network(batch + deviations * torch.randn(BATCH, WIDTH, generator=generator)) for _ in range(2))
        loss = info_nce(z, z_prime, temperature=TEMPERATURE, normalise=False, check_finite=False).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.requires_grad_(False)
