"""CorInfoMax: its loss and its running covariances written out over several steps, and as a method."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

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
from vicreg.methods.corinfomax import CorInfoMax, CorInfoMaxSettings, corinfomax_loss

GIVEN = CorInfoMaxSettings(dimension=4, alpha=250.0, la=0.01, epsilon=1e-8)


class WrittenOut:
    """The loss as the paper and the authors have it: a view at a time, sample by sample, log det by eigenvalues."""

    def __init__(self, d: int, *, alpha: float, la: float, epsilon: float) -> None:
        self.alpha, self.la, self.epsilon = alpha, la, epsilon
        self.means = [torch.zeros(d, dtype=torch.float64) for _ in range(2)]
        self.covariances = [torch.eye(d, dtype=torch.float64) for _ in range(2)]

    def __call__(self, *views: Tensor) -> Tensor:
        unit = [[row / row.norm() for row in view.double()] for view in views]
        n, d = views[0].shape
        bang = torch.zeros((), dtype=torch.float64)
        for index, rows in enumerate(unit):
            mean = self.la * self.means[index] + (1 - self.la) * sum(rows) / n
            batch = sum(torch.outer(row - mean, row - mean) for row in rows) / n
            covariance = self.la * self.covariances[index] + (1 - self.la) * batch
            eigenvalues = torch.linalg.eigvalsh(covariance + self.epsilon * torch.eye(d, dtype=torch.float64))
            bang = bang + eigenvalues.log().sum() / d
            self.means[index], self.covariances[index] = mean.detach(), covariance.detach()
        distance = sum((one - other).square().sum() for one, other in zip(*unit, strict=True)) / (n * d)
        return self.alpha * distance - bang


def initial(d: int) -> dict[str, Tensor]:
    return {
        "means": torch.zeros(2, d, dtype=torch.float64),
        "covariances": torch.eye(d, dtype=torch.float64).repeat(2, 1, 1),
    }


# ---- the loss


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("la", [0.01, 0.7])
def test_value_and_gradient_are_those_of_the_formula_written_out(shape, la):
    assert_same_loss(
        lambda a, b: corinfomax_loss(a, b, **initial(shape[1]), la=la).total,
        WrittenOut(shape[1], alpha=250.0, la=la, epsilon=1e-8),
        *inputs(*shape),
        relative=1e-10 if shape[0] > shape[1] or la > 0.1 else 1e-8,  # n < d: its smallest eigenvalues are 0.01
    )


def test_value_gradient_and_estimates_are_those_of_the_formula_over_three_steps():
    state, written_out = initial(32), WrittenOut(32, alpha=10.0, la=0.3, epsilon=1e-6)
    for step in range(3):
        a, b = (one * (step + 1) + step for one in inputs(64, 32))
        assert_same_loss(
            lambda a, b, state=state: corinfomax_loss(a, b, **state, alpha=10.0, la=0.3, epsilon=1e-6).total,
            written_out, a.roll(step, dims=1), b,
        )  # fmt: skip
        terms = corinfomax_loss(a.roll(step, dims=1), b, **state, alpha=10.0, la=0.3, epsilon=1e-6)
        state = {"means": terms.means, "covariances": terms.covariances}
        assert torch.allclose(terms.means, torch.stack(written_out.means), atol=1e-12)
        assert torch.allclose(terms.covariances, torch.stack(written_out.covariances), atol=1e-12)


def test_the_log_determinant_of_rows_on_the_axes_is_in_closed_form():
    # Rows plus and minus each unit vector: mean 0 and covariance I / d.
    rows = torch.cat((torch.eye(8), -torch.eye(8))).double()
    terms = corinfomax_loss(rows, rows, **initial(8), la=0.0, epsilon=1e-12)
    assert terms.log_determinant.item() == pytest.approx(-2 * math.log(8), rel=1e-9)
    assert terms.invariance.item() == 0 and terms.total.item() == pytest.approx(2 * math.log(8), rel=1e-9)


def test_la_is_the_weight_of_the_old_estimate():
    a, b = inputs(64, 32)
    kept = corinfomax_loss(a, b, **initial(32), la=1 - 1e-9)
    assert torch.allclose(kept.covariances, initial(32)["covariances"], atol=1e-6)
    fresh = corinfomax_loss(a, b, **initial(32), la=0.0)
    rows = a / a.norm(dim=1, keepdim=True)
    centred = rows - rows.mean(dim=0)
    assert torch.allclose(fresh.means[0], rows.mean(dim=0)) and torch.allclose(
        fresh.covariances[0], centred.T @ centred / 64
    )


def test_the_loss_does_not_change_with_the_scale_of_the_embeddings():
    a, b = inputs(64, 32)
    one, other = (corinfomax_loss(scale * a, b / scale, **initial(32)).total.item() for scale in (1.0, 50.0))
    assert one == pytest.approx(other, rel=1e-12)


def test_the_gradient_goes_through_the_batchs_share_of_the_estimates_alone():
    a, b = inputs(64, 32)
    state = {name: value.requires_grad_() for name, value in initial(32).items()}
    terms = corinfomax_loss(a.requires_grad_(), b, **state)
    terms.log_determinant.backward()
    assert a.grad is not None and a.grad.abs().max() > 0
    assert not terms.means.requires_grad and not terms.covariances.requires_grad


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(case):
    assert_finite(lambda a, b: corinfomax_loss(a, b, **initial(32), la=0.01).total, case)
    assert_finite(lambda a, b: corinfomax_loss(a, b, **initial(32), la=0.0).total, case)


def test_views_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="one shape"):
        corinfomax_loss(torch.zeros(4, 3), torch.zeros(4, 2), **initial(3))


def test_the_loss_is_computed_in_float64_under_autocast():
    a, b = (one.float() for one in inputs(64, 32))
    expected = corinfomax_loss(a, b, **initial(32)).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(corinfomax_loss(a, b, **initial(32)).total, expected)
    assert expected.dtype == torch.float64


# ---- as a method


def test_a_last_linear_layer_makes_the_embeddings_narrow_and_leaves_the_other_weights_as_they_are():
    narrow, wide = tiny_method(CorInfoMax, GIVEN), tiny_method(CorInfoMax, dataclasses.replace(GIVEN, dimension=None))
    assert (narrow.embedding_dimension, wide.embedding_dimension) == (4, 16)
    assert narrow(random_views()[0])[1].shape == (16, 4) and narrow.covariances.shape == (2, 4, 4)
    for name, weight in wide.named_parameters():
        assert torch.equal(weight, narrow.get_parameter(name)), name
    assert len(list(narrow.parameters())) == len(list(wide.parameters())) + 1


def test_the_estimates_start_at_mean_0_and_the_identity():
    method = tiny_method(CorInfoMax, GIVEN)
    assert torch.equal(method.means, initial(4)["means"]) and torch.equal(method.covariances, initial(4)["covariances"])


def test_the_estimates_after_three_steps_are_those_of_the_embeddings_of_each():
    method, views = tiny_method(CorInfoMax, dataclasses.replace(GIVEN, la=0.3, alpha=5.0)), random_views()
    written_out = WrittenOut(4, alpha=5.0, la=0.3, epsilon=1e-8)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05)
    for _ in range(3):
        expected = written_out(*(one.detach() for one in method.embed(*views)))
        loss = method.loss(views, progress=progress(0.0))
        assert loss.total.item() == pytest.approx(expected.item(), rel=1e-6)
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        optimizer.step()
        method.after_step(progress=progress(0.0))
    assert torch.allclose(method.covariances, torch.stack(written_out.covariances), atol=1e-6)
    assert torch.allclose(method.means, torch.stack(written_out.means), atol=1e-6)
    assert method.covariances.dtype == torch.float64 and not method.covariances.requires_grad


def test_the_loss_in_eval_mode_leaves_the_estimates_as_they_are():
    method = tiny_method(CorInfoMax, GIVEN).eval()
    method.loss(random_views(), progress=progress(0.0))
    assert torch.equal(method.covariances, initial(4)["covariances"])


def test_the_total_is_the_sum_of_the_terms_times_the_declared_coefficients():
    method = tiny_method(CorInfoMax, GIVEN)
    loss = method.loss(random_views(), progress=progress(0.0))
    assert loss.total.item() == pytest.approx(
        sum(weight * loss.terms[name].item() for name, weight in method.coefficients().items()), rel=1e-6
    )
    assert loss.terms.keys() == CorInfoMax.TERMS.keys() and not any(term.requires_grad for term in loss.terms.values())


def test_the_loss_falls_on_a_fixed_batch():
    view, noise = random_views()
    totals = take_steps(tiny_method(CorInfoMax, GIVEN), [view, view + 0.3 * noise], steps=20)
    assert all(map(math.isfinite, totals)) and totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize(
    ("name", "embeddings"),
    [
        ("healthy", torch.nn.functional.normalize(torch.randn(150, 32, generator=torch.Generator().manual_seed(0)))),
        ("complete", 0.5 + 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("informational", torch.randn(150, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 32)),
    ],
)
def test_a_collapse_is_named_at_any_scale(name, embeddings, scale):
    target = tiny_method(CorInfoMax, GIVEN).target_std
    assert target is None
    assert diagnosis(scale * embeddings, target_std=target) == name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dimension": 0}, "pretrain.dimension must be at least 1, but got 0; null takes the expander's output."),
        ({"alpha": -1.0}, "pretrain.alpha must be a finite number of at least 0, but got -1.0; the authors have 250."),
        (
            {"la": 1.0},
            "pretrain.la must be in [0, 1), since 1 keeps the first estimate for ever, but got 1.0; the authors have 0.01.",
        ),
        ({"epsilon": 0.0}, "pretrain.epsilon must be positive and finite, but got 0.0; the authors have 1e-8."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence
