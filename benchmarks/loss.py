"""The VICReg loss, forward and backward: ours against lightly's and against the authors' formula as they wrote it.

    python -m benchmarks.loss [--large] [--threads 2] [--out FILE]

Embeddings are (256, 2048), the source paper's expander, and with `--large` also (256, 8192), the original paper's. Errors
are relative to the authors' formula in float64: |loss - exact| / |exact|, and the same of the norms of the gradients.
Needs lightly for its row and for the column of times as fast as it (`benchmarks/requirements.txt`). A number of times is the
median of the rounds' ratios.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from benchmarks.measure import RESULTS, alternate, arguments_of, installed, machine, table, write
from study.cli.command import run_command
from study.config.device import choose_device
from vicreg.methods.vicreg import Coefficients, vicreg_loss
from vicreg.randomness import make_generator

OFFICIAL = Coefficients(lambda_=25, mu=25, nu=1)  # arXiv 2105.04906, Section 4.2
SIZES = ((256, 2048), (256, 8192))
REFERENCE, LIGHTLY, OURS = "authors' formula", "lightly", "ours"

Loss = Callable[[Tensor, Tensor], Tensor]


def main() -> int:
    parser = arguments_of("loss", __doc__)
    parser.add_argument("--large", action="store_true", help="(256, 8192) as well")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    sizes = SIZES if arguments.large else SIZES[:1]
    compared = {f"{n}x{d}": compare(n=n, d=d, rounds=arguments.rounds, device=device) for n, d in sizes}
    write(arguments.out or RESULTS / "loss.json", {"machine": machine(device, packages=("lightly",)), "sizes": compared})
    for size, results in compared.items():
        print(f"{size}\n{table(results['rows'])}\n")
    return 0


def compare(*, n: int, d: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Times and errors of every loss on the same two batches of embeddings (n, d)."""
    z, z_prime = embeddings(n, d, device)
    losses = known_losses()
    exact = value_and_gradient(authors_loss, z.double(), z_prime.double())
    errors = {name: relative_errors(value_and_gradient(loss, z, z_prime), exact) for name, loss in losses.items()}
    passes = {name: one_pass(loss, z, z_prime) for name, loss in losses.items()}
    measured = alternate(passes, reference=REFERENCE, repeats=rounds, device=device)
    beside = dataclasses.replace(measured, reference=LIGHTLY)
    times_lightly = {name: beside.ratio(name) for name in losses} if LIGHTLY in losses else {}
    rows = [
        {
            **row, **({f"times {LIGHTLY}": f"{times_lightly[name]:.2f}"} if times_lightly else {}),
            "error of value": f"{value:.1e}", "of gradient": f"{gradient:.1e}",
        }
        for row, (name, (value, gradient)) in zip(measured.rows(work=1, unit="passes"), errors.items(), strict=True)
    ]  # fmt: skip
    return {
        "relative_error_of_value": {name: value for name, (value, _) in errors.items()},
        "relative_error_of_gradient": {name: gradient for name, (_, gradient) in errors.items()},
        "times_lightly": times_lightly,
        "measured": measured.to_dict(),
        "rows": rows,
    }


def embeddings(n: int, d: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two batches (n, d) that all three terms act on: alike, correlated, and with deviations around 0.7."""
    generator = make_generator(0, "benchmark")
    shared, noise, noise_prime = (torch.randn(n, d, generator=generator) for _ in range(3))
    common = torch.randn(n, 1, generator=generator)  # in every dimension, so that no two are uncorrelated
    z, z_prime = ((0.6 * shared + 0.3 * common + 0.2 * own + 0.1).to(device) for own in (noise, noise_prime))
    return z, z_prime


def known_losses() -> dict[str, Loss]:
    """Name -> the loss with the paper's coefficients; lightly's only where it is installed."""
    losses: dict[str, Loss] = {REFERENCE: authors_loss}
    if installed("lightly"):
        from lightly.loss import VICRegLoss

        losses[LIGHTLY] = VICRegLoss(lambda_param=OFFICIAL.lambda_, mu_param=OFFICIAL.mu, nu_param=OFFICIAL.nu)
    else:
        print("lightly is not installed and left out", file=sys.stderr)
    losses[OURS] = lambda z, z_prime: vicreg_loss(z, z_prime, coefficients=OFFICIAL, check_finite=False).total
    return losses


def authors_loss(z: Tensor, z_prime: Tensor) -> Tensor:
    """The loss of github.com/facebookresearch/vicreg, main_vicreg.py, with its whole d x d covariance matrices."""
    n, d = z.shape
    invariance = functional.mse_loss(z, z_prime)
    z, z_prime = z - z.mean(dim=0), z_prime - z_prime.mean(dim=0)
    deviations = [torch.sqrt(x.var(dim=0) + 0.0001) for x in (z, z_prime)]
    variance = sum(functional.relu(1 - deviation).mean() / 2 for deviation in deviations)
    matrices = [x.T @ x / (n - 1) for x in (z, z_prime)]
    covariance = sum(off_diagonal(matrix).pow(2).sum() / d for matrix in matrices)
    return OFFICIAL.lambda_ * invariance + OFFICIAL.mu * variance + OFFICIAL.nu * covariance


def off_diagonal(matrix: Tensor) -> Tensor:
    """The d (d - 1) entries off the diagonal of (d, d), the authors' way: less the last entry, each row of d + 1 begins
    with one of the diagonal."""
    d = len(matrix)
    return matrix.flatten()[:-1].view(d - 1, d + 1)[:, 1:].flatten()


def one_pass(loss: Loss, z: Tensor, z_prime: Tensor) -> Callable[[], None]:
    """The loss and its gradient, for `alternate`."""
    z, z_prime = z.clone().requires_grad_(), z_prime.clone().requires_grad_()

    def run() -> None:
        z.grad = z_prime.grad = None
        loss(z, z_prime).backward()

    return run


def value_and_gradient(loss: Loss, z: Tensor, z_prime: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, a scalar, and its gradient by both batches, (2 n, d)."""
    z, z_prime = z.detach().clone().requires_grad_(), z_prime.detach().clone().requires_grad_()
    value = loss(z, z_prime)
    return value.detach(), torch.cat(torch.autograd.grad(value, (z, z_prime)))


def relative_errors(found: tuple[Tensor, Tensor], exact: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """||found - exact|| / ||exact|| of the value and of the gradient."""
    return tuple(((one.double() - other).norm() / other.norm()).item() for one, other in zip(found, exact, strict=True))


if __name__ == "__main__":
    run_command(main)
