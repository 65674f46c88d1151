"""TiCo: its loss against lightly over several calls and against loops, its covariance, and its target."""

import dataclasses

import pytest
import torch
from lightly.loss import TiCoLoss
from lightly.models.utils import update_momentum

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
    value_and_gradients,
)
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant, on_sphere
from vicreg.errors import InputError
from vicreg.methods.tico import TiCo, TiCoSettings, tico_loss

GIVEN = TiCoSettings(beta=0.9, rho=8.0, ema_start=0.99, ema_schedule="constant")


def ours(a, b, covariance=None):
    covariance = torch.zeros(a.shape[1], a.shape[1], dtype=a.dtype) if covariance is None else covariance
    return tico_loss(a, b, covariance, beta=0.9, rho=8.0).total


def naive(a, b, before, *, beta=0.9, rho=8.0):
    """The formula row by row."""
    n, d = a.shape
    u, t = ([row / row.norm() for row in rows] for rows in (a, b))
    covariance = beta * before
    for row in u:
        covariance = covariance + (1 - beta) / n * torch.outer(row, row).detach()
    agreement = sum(1 - u[i] @ t[i] for i in range(n)) / n
    return agreement + rho * sum(row @ covariance @ row for row in u) / n


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_equal_lightlys_over_three_calls(n, d):
    reference, covariance = TiCoLoss(), torch.zeros(d, d, dtype=torch.float64)
    a, b = inputs(n, d)
    for shift in range(3):
        pair = (a + shift * b).roll(shift, 0), b - shift * a
        assert_same_loss(
            lambda x, y, before=covariance: ours(x, y, before),
            lambda x, y: reference(x, y, update_covariance_matrix=False),
            *pair,
        )
        reference(*pair)
        covariance = tico_loss(*pair, covariance, beta=0.9, rho=8.0).covariance
        torch.testing.assert_close(covariance, reference.C, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_equal_a_loop_over_rows(n, d):
    a, b = inputs(n, d)
    before = a.T @ a / n
    assert_same_loss(lambda x, y: ours(x, y, before), lambda x, y: naive(x, y, before), a, b)


def test_the_golden_value_of_unit_rows():
    value, gradients = value_and_gradients(ours, *inputs(64, 32))
    assert value.item() == pytest.approx(1.0239460111, abs=1e-9)
    assert [one.norm().item() for one in gradients] == pytest.approx([0.0225095833, 0.0222390315], abs=1e-9)


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_value_and_gradient(case):
    assert_finite(ours, case)


def test_the_covariance_has_no_gradient_and_the_contrast_pushes_along_it():
    a, b = inputs(16, 48)
    covariance = torch.zeros(48, 48, dtype=torch.float64, requires_grad=True)
    terms = tico_loss(a.requires_grad_(), b, covariance, beta=0.0, rho=1.0)
    assert not terms.contrast.requires_grad and terms.total.requires_grad
    assert tico_loss(a, b, covariance.detach(), beta=0.9, rho=1.0).covariance.requires_grad is False


def test_three_steps_move_target_and_covariance_as_an_independent_loop_does():
    method, twin = (tiny_method(TiCo, GIVEN).double() for _ in range(2))
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in (method, twin)]
    reference = TiCoLoss(beta=0.9, rho=8.0)
    for step in range(3):
        views = [view.double() for view in random_views(2, seed=step)]
        loss = method.loss(views, progress=progress(step / 2))
        loss.total.backward()
        optimizers[0].step()
        optimizers[0].zero_grad()
        method.after_step(progress=progress(step / 2))
        with torch.no_grad():
            target = twin.target(views[1])[1]
        reference(twin(views[0])[1], target).backward()
        optimizers[1].step()
        optimizers[1].zero_grad()
        for part in ("backbone", "expander"):
            update_momentum(getattr(twin, part), getattr(twin.target, part), 0.99)
    state, expected = method.state_dict(), twin.state_dict()
    expected["covariance"] = reference.C
    for key, value in expected.items():
        if value.is_floating_point():
            torch.testing.assert_close(state[key], value, rtol=1e-9, atol=1e-12, msg=key)
    assert all(parameter.grad is None for parameter in method.target.parameters())


def test_the_loss_falls_on_a_fixed_batch():
    memoryless = dataclasses.replace(GIVEN, beta=0.0)  # with memory the contrast rises, as the covariance does from 0
    totals = take_steps(tiny_method(TiCo, memoryless), random_views(), steps=20)
    assert totals[-1] < totals[0]


def test_passes_of_one_view_are_not_compiled_in_silence():
    with pytest.raises(InputError, match="pretrain.compile must be false for method tico"):
        tiny_method(TiCo, GIVEN).compile_networks()


def test_evaluation_leaves_the_covariance_alone():
    method = tiny_method(TiCo, GIVEN).eval()
    method.loss(random_views(), progress=progress(0.0))
    assert method.get_buffer("covariance").abs().max() == 0


@pytest.mark.parametrize(
    ("rows", "name"),
    [(healthy(), "healthy"), (on_sphere(healthy()), "healthy"), (near_constant(), "complete"), (copies(), "informational")],
)
def test_collapsed_embeddings_are_named(rows, name):
    assert diagnosis(rows, target_std=tiny_method(TiCo, GIVEN).target_std) == name


@pytest.mark.parametrize("given", [{"beta": 1.5}, {"beta": 1.0}, {"rho": -1.0}, {"ema_start": 2.0}])
def test_a_value_no_run_can_have_is_refused(given):
    with pytest.raises(InputError):
        dataclasses.replace(GIVEN, **given)
