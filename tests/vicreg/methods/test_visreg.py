"""VISReg: its four terms written out and against lightly, and as a method."""

import dataclasses
import math
from statistics import NormalDist

import pytest
import torch
from lightly.loss import VISRegLoss
from torch import Tensor

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    SHAPES,
    assert_finite,
    assert_same_loss,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
)
from vicreg.errors import InputError
from vicreg.methods import target_std_of
from vicreg.methods.batch_statistics import unit_slices
from vicreg.methods.visreg import VISReg, VISRegSettings, visreg_loss

GIVEN = VISRegSettings(lambda_=0.6, slices=32, epsilon=1e-4)
TERMS = ("invariance", "scale", "shape", "center")


def seeded_slices(d: int, m: int = 64, *, seed: int = 5) -> Tensor:
    """Unit columns (d, m), float64: those that lightly draws after this seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        slices = torch.randn(d, m, dtype=torch.float64)
    return slices / slices.norm(p=2, dim=0)


def written_out(a: Tensor, b: Tensor, *, slices: Tensor, epsilon: float) -> dict[str, Tensor]:
    """Algorithm 1's terms in loops over views, dimensions and slices."""
    n, d = a.shape
    quantiles = [NormalDist().inv_cdf(i / (n + 1)) for i in range(1, n + 1)]
    centre = (a + b) / 2
    sums = {name: torch.zeros((), dtype=a.dtype) for name in TERMS}
    for view in (a, b):
        sums["invariance"] = sums["invariance"] + (view - centre).square().sum() / (2 * n * d)
        columns = []
        for column in view.T:
            mean = column.sum() / n
            std = ((column - mean).square().sum() / n).sqrt()
            sums["center"] = sums["center"] + mean**2 / (2 * d)
            sums["scale"] = sums["scale"] + (1 - std) ** 2 / (2 * d)
            columns.append((column - mean) / (std.detach() + epsilon))
        normalised = torch.stack(columns, dim=1)
        for slice_ in slices.T:
            projections = normalised @ slice_
            ranks = projections.argsort().tolist()
            distances = [(projections[i] - quantile) ** 2 for i, quantile in zip(ranks, quantiles, strict=True)]
            sums["shape"] = sums["shape"] + sum(distances) / (2 * n * slices.shape[1])
    return sums


# ---- the loss


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("term", TERMS)
def test_value_and_gradient_of_each_term_are_those_of_the_formula_written_out(shape, term):
    slices = seeded_slices(shape[1], 5)
    assert_same_loss(
        lambda a, b: getattr(visreg_loss(a, b, slices=slices, epsilon=1e-3), term),
        lambda a, b: written_out(a, b, slices=slices, epsilon=1e-3)[term],
        *inputs(*shape),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("term", "theirs"), [*((term, term) for term in TERMS[1:]), ("invariance", "pred"), ("total", "total")]
)
def test_value_and_gradient_are_lightlys_where_its_float32_quantiles_allow(shape, term, theirs):
    slices = seeded_slices(shape[1])

    def lightly(a: Tensor, b: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            loss = VISRegLoss(lambda_param=0.6, num_slices=64)
            views = torch.stack((a, b))
            return getattr(loss.forward_components(global_proj=views, local_proj=views[:0]), theirs)

    assert_same_loss(lambda a, b: getattr(visreg_loss(a, b, slices=slices), term), lightly, *inputs(*shape), relative=1e-6)


def test_no_gradient_goes_through_the_std_that_the_shape_divides_by():
    # The shape does not depend on a dimension's scale: through that std, its gradient along the scale would be 0.
    a, b = inputs(64, 32)
    a.requires_grad_()
    visreg_loss(a, b, slices=seeded_slices(32)).shape.backward()
    along_scale = (a.grad * (a - a.mean(dim=0))).sum(dim=0)
    assert along_scale.abs().max() > 1e-4


def test_all_terms_are_near_zero_where_embeddings_are_standard_normal():
    a = torch.randn(4096, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = visreg_loss(a, a, slices=seeded_slices(8))
    assert terms.invariance.item() == 0 and max(terms.scale.item(), terms.center.item(), terms.shape.item()) < 2e-3


def test_the_gradient_of_the_scale_does_not_vanish_near_a_collapse():
    # At any spread, -d(scale)/d(std) is 2 (1 - std) / d: about 2 / d where nearly all is lost.
    a, _ = inputs(64, 32)
    for spread in (1e-1, 1e-4):
        rows = (spread * a).requires_grad_()
        visreg_loss(rows, rows.detach(), slices=seeded_slices(32)).scale.backward()
        along = (rows.grad * (a - a.mean(dim=0))).sum(dim=0) / a.std(dim=0, unbiased=False)  # per dimension, one view of two
        assert torch.allclose(along, -(1 - spread * a.std(dim=0, unbiased=False)) / 32)


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(case):
    slices = seeded_slices(32)
    assert_finite(lambda a, b: visreg_loss(a, b, slices=slices).total, case)


def test_embeddings_of_different_shapes_and_no_epsilon_are_refused():
    with pytest.raises(InputError, match="one shape"):
        visreg_loss(torch.zeros(4, 3), torch.zeros(4, 2), slices=seeded_slices(3))
    with pytest.raises(InputError, match="epsilon must be above 0"):
        visreg_loss(torch.zeros(4, 3), torch.zeros(4, 3), slices=seeded_slices(3), epsilon=0.0)


def test_the_loss_is_computed_in_float32_under_autocast():
    a, b = (one.float() for one in inputs(64, 32))
    slices = seeded_slices(32)
    expected = visreg_loss(a, b, slices=slices).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(visreg_loss(a, b, slices=slices).total, expected)


# ---- as a method


def test_the_method_is_the_loss_of_its_embeddings_with_the_counters_slices():
    method, views = tiny_method(VISReg, dataclasses.replace(GIVEN, lambda_=0.3, epsilon=0.1)), random_views()
    loss = method.loss(views, progress=progress(0.0))
    slices = unit_slices(method.counter, dimension=16, slices=32)
    expected = visreg_loss(*method.embed(*views), slices=slices, lambda_=0.3, epsilon=0.1)
    assert torch.equal(loss.total, expected.total)
    assert loss.total.item() == pytest.approx(
        sum(weight * loss.terms[name].item() for name, weight in method.coefficients().items()), rel=1e-6
    )
    assert loss.terms.keys() == VISReg.TERMS.keys() and not any(term.requires_grad for term in loss.terms.values())


def test_slices_are_new_in_each_step_and_of_other_seeds():
    method, views = tiny_method(VISReg, GIVEN), random_views()
    first = [method.loss(views, progress=progress(0.0)).terms["shape"].item() for _ in range(2)]
    method.after_step(progress=progress(0.0))
    second = method.loss(views, progress=progress(0.5)).terms["shape"].item()
    assert first[0] == first[1] != second
    method.reset_state(torch.Generator().manual_seed(1))
    other = method.counter.item()
    method.reset_state(torch.Generator().manual_seed(2))
    assert method.counter.item() != other


def test_the_counter_is_three_steps_further_after_three_steps():
    method = tiny_method(VISReg, GIVEN)
    start = method.counter.item()
    take_steps(method, random_views(), steps=3)
    assert method.counter.item() == start + 3 and method.counter.dtype == torch.int64


def test_the_loss_falls_on_a_fixed_batch():
    view, noise = random_views()
    totals = take_steps(tiny_method(VISReg, GIVEN), [view, view + 0.3 * noise], steps=20, lr=1.0)
    assert all(map(math.isfinite, totals)) and totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize(
    ("name", "embeddings"),
    [
        ("healthy", torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("complete", 0.5 + 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("complete", 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("informational", torch.randn(150, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 32)),
    ],
)
def test_a_collapse_is_named_at_the_scale_the_loss_sets(name, embeddings):
    assert target_std_of("visreg", GIVEN) == 1.0
    assert target_std_of("visreg", dataclasses.replace(GIVEN, lambda_=0.0)) is None  # no term sets the scale
    assert diagnosis(embeddings, target_std=1.0) == name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lambda_": 1.5}, "pretrain.lambda must be in [0, 1], but got 1.5; the paper has 0.6 for small data sets."),
        ({"slices": 0}, "pretrain.slices must be at least 1, but got 0; the authors have 256."),
        ({"epsilon": 0.0}, "pretrain.epsilon must be positive and finite, but got 0.0; lightly has 0.0001."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence
