"""What the tests of methods share: inputs, gradients, tiny networks, degenerate embeddings, and a killed run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.vicreg.training.runs import IDENTITY, Stopped, same_weights, stop_after, timeless
from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
from vicreg.methods.base import Method
from vicreg.metrics.collapse import collapse_metrics
from vicreg.models.joint_embedding import build_model
from vicreg.training.loop import pretrain

SHAPES = [(64, 32), (16, 48)]  # more samples than dimensions, and fewer
FEW = [(12, 6), (6, 9)]  # likewise, for references that loop over samples
DEGENERATE = ("identical views", "constant rows", "zero rows", "one dead column", "rank 1")


def inputs(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Return the two batches (n, d), float64, of which the references of all methods were computed."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    pair = torch.randn(n, d, dtype=torch.float64), torch.randn(n, d, dtype=torch.float64)
    torch.set_rng_state(state)
    return pair


def degenerate(case: str, n: int = 64, d: int = 32) -> tuple[Tensor, Tensor]:
    """Return two batches (n, d), float64, of one of the `DEGENERATE` kinds."""
    a, b = inputs(n, d)
    if case == "identical views":
        return a, a.clone()
    if case == "constant rows":
        a = a[:1].repeat(n, 1)
        return a, a.clone()
    if case == "zero rows":
        return torch.zeros_like(a), torch.zeros_like(b)
    if case == "one dead column":
        a[:, 0] = b[:, 0] = 0
        return a, b
    assert case == "rank 1", case
    return a[:, :1] * a[:1], b[:, :1] * a[:1]


def value_and_gradients(loss: Callable[..., Tensor], *batches: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """Return a loss of batches, and its gradient by each of them; None where it has none."""
    leaves = [batch.detach().clone().requires_grad_() for batch in batches]
    value = loss(*leaves)
    assert value.shape == (), value.shape
    return value.detach(), list(torch.autograd.grad(value, leaves, allow_unused=True))


def assert_same_loss(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *batches: Tensor, relative: float = 1e-10
) -> None:
    """Fail unless two losses have the same value and the same gradients, relative to the largest entry of each."""
    (value, gradients), (expected, references) = (value_and_gradients(loss, *batches) for loss in (ours, theirs))
    torch.testing.assert_close(value, expected, rtol=relative, atol=relative)
    for gradient, reference in zip(gradients, references, strict=True):
        assert (gradient is None) == (reference is None)
        if gradient is not None and reference is not None:
            largest = max(reference.abs().max().item(), 1e-12)
            torch.testing.assert_close(gradient, reference, rtol=0, atol=relative * largest)


def assert_finite(loss: Callable[..., Tensor], case: str) -> None:
    """Fail unless a loss of degenerate batches and its gradients are finite."""
    value, gradients = value_and_gradients(loss, *degenerate(case))
    assert value.isfinite() and all(one.isfinite().all() for one in gradients if one is not None)


def tiny_method(kind: type[Method], settings: Any, *, expander: tuple[int, ...] = (16, 16), stem: str = "cifar") -> Method:
    """Return a method on a ResNet-18 of width 4, its weights and its state drawn from seed 0, in training mode."""
    generator = torch.Generator().manual_seed(0)
    method = build_model(
        architecture="resnet18", stem=stem, width=4, in_channels=1, expander=expander, batchnorm=True, generator=generator,
        make=kind, settings=settings, view_passes="separate",
    )  # fmt: skip
    if method.WANTS_LABELS:
        method.set_classes(10, generator)
    method.reset_state(generator)
    assert all(value.isfinite().all() for value in method.state_dict().values() if value.is_floating_point())
    return method.train()


def random_views(count: int = 2, *, n: int = 16, size: int = 8, seed: int = 0) -> list[Tensor]:
    """Return so many views (n, 1, size, size) of noise."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 1, size, size, generator=generator) for _ in range(count)]


def batch_of(method: Method, *, n: int = 32, size: int = 8, seed: int = 0) -> list[Tensor]:
    """Return what a step of a method takes: whole views of noise (n, 1, size, size), its local ones, and its labels."""
    generator = torch.Generator().manual_seed(seed)
    sides = [size] * method.VIEWS + ([method.local_size] * method.local_views if method.LOCAL_VIEWS else [])
    views = [torch.randn(n, 1, side, side, generator=generator) for side in sides]
    return [*views, torch.arange(n) % 10] if method.WANTS_LABELS else views


def progress(value: float) -> Tensor:
    """Return a share of training done, as a step hands it on."""
    return torch.tensor(value)


def take_steps(method: Method, views: list[Tensor], *, steps: int, lr: float = 0.05) -> list[float]:
    """Train a method on the same views by SGD; return the total before each step, and after the last."""
    optimizer = torch.optim.SGD(method.parameters(), lr=lr, momentum=0.9)
    totals = []
    for step in range(steps + 1):
        share = progress(min(1.0, step / max(1, steps)))
        loss = method.loss(views, progress=share)
        totals.append(loss.total.item())
        if step < steps:
            optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            optimizer.step()
            method.after_step(progress=share)
    return totals


def assert_resumes(settings: Any, dataset: Any, folder: Path) -> None:
    """Fail unless a run that is stopped after one epoch and started again ends as an uninterrupted one, bit for bit."""
    cpu = torch.device("cpu")

    def run(where: str, **arguments: Any) -> Any:
        return pretrain(settings, dataset, device=cpu, folder=folder / where, identity=IDENTITY, **arguments)

    whole = run("whole")
    with pytest.raises(Stopped):
        run("stopped", on_epoch=stop_after(1))
    resumed = run("stopped")
    assert same_weights(whole, resumed) and timeless(whole.history) == timeless(resumed.history)


def diagnosis(embeddings: Tensor, *, target_std: float | None) -> str:
    """Return the collapse type of embeddings (n, d) whose representations are healthy."""
    generator = torch.Generator().manual_seed(1)
    representations = torch.randn(len(embeddings), 32, generator=generator)
    measured: list[Mapping[str, Any]] = [
        collapse_metrics(features, views=(features, features + 0.01 * torch.randn(features.shape, generator=generator)))
        for features in (embeddings, representations)
    ]
    return diagnose_collapse(
        embeddings=measured[0], representations=measured[1], knn_accuracy=0.9, chance=0.1, images=len(embeddings),
        dimensions=(embeddings.shape[1], 32), target_std=target_std,
    ).name  # fmt: skip
