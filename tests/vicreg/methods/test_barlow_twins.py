"""Barlow Twins: its loss against lightly and a naive formula, its own rate of biases, and its runs."""

import dataclasses
import math

import pytest
import torch
from lightly.loss import BarlowTwinsLoss

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    FEW,
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
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant
from vicreg.errors import InputError
from vicreg.methods.barlow_twins import BarlowTwins, BarlowTwinsSettings, barlow_twins_loss
from vicreg.training.loop import pretrain
from vicreg.training.setup import make_optimizer, new_model
from vicreg.training.step import TrainStep

LAMBDA = 0.0051
GIVEN = BarlowTwinsSettings(lambda_=LAMBDA, scale_loss=0.1, bias_rate=1.0)


def ours(z, z_prime):
    return barlow_twins_loss(z, z_prime, lambda_=LAMBDA).total


def naive(z, z_prime, *, lambda_=LAMBDA, correction=0):
    """The formula entry by entry; a `correction` of 1 divides by n - 1 in the variance."""
    (n, d), columns = z.shape, []
    for view in (z, z_prime):
        scaled = []
        for column in view.T:
            centred = column - column.sum() / n
            scaled.append(centred / torch.sqrt(centred.square().sum() / (n - correction) + 1e-5))
        columns.append(scaled)
    total = z.new_zeros(())
    for i in range(d):
        for j in range(d):
            entry = (columns[0][i] * columns[1][j]).sum() / n
            total = total + ((entry - 1) ** 2 if i == j else lambda_ * entry**2)
    return total


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_equal_lightlys(n, d):
    assert_same_loss(ours, BarlowTwinsLoss(lambda_param=LAMBDA), *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
def test_value_and_gradient_equal_the_formula_entry_by_entry(n, d):
    assert_same_loss(ours, naive, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
def test_the_variance_is_biased_so_that_the_unbiased_form_has_another_value(n, d):
    unbiased = naive(*inputs(n, d), correction=1)
    assert abs(unbiased.item() / ours(*inputs(n, d)).item() - 1) > 1e-6


@pytest.mark.parametrize(("n", "d"), FEW)
def test_the_terms_are_sums_over_the_diagonal_and_off_it_and_the_scale_is_a_factor_of_the_total(n, d):
    a, b = inputs(n, d)
    terms = barlow_twins_loss(a, b, lambda_=0.5, scale=0.1)
    assert terms.invariance.item() == pytest.approx(naive(a, b, lambda_=0.0).item(), rel=1e-10)
    assert terms.redundancy.item() == pytest.approx((naive(a, b, lambda_=1.0) - naive(a, b, lambda_=0.0)).item(), rel=1e-9)
    assert terms.total.item() == pytest.approx(0.1 * naive(a, b, lambda_=0.5).item(), rel=1e-10)


def test_the_loss_is_0_where_the_cross_correlation_is_the_identity():
    n, d = 64, 32
    centred = inputs(n, d)[0]
    orthogonal, _ = torch.linalg.qr(centred - centred.mean(dim=0))
    assert ours(1e4 * orthogonal, 1e4 * orthogonal).item() < 1e-12


def test_the_loss_of_constant_views_is_their_width():
    constant = torch.ones(64, 32, dtype=torch.float64)
    assert ours(constant, constant).item() == 32.0


def test_scale_and_shift_of_a_dimension_do_not_matter():
    a, b = inputs(64, 32)
    assert ours(1000 * a + 5, b).item() == pytest.approx(ours(a, b).item(), rel=1e-4)  # but for the epsilon


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_have_a_finite_value_and_gradient(case):
    assert_finite(ours, case)


def test_autocast_leaves_the_loss_in_full_precision():
    a, b = (one.float() for one in inputs(16, 48))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ours(a, b)
    assert inside.dtype == torch.float32 and torch.equal(inside, ours(a, b))
    assert ours(a.bfloat16(), b.bfloat16()).dtype == torch.float32


def test_embeddings_that_no_loss_can_have_are_refused():
    a, b = inputs(16, 48)
    with pytest.raises(InputError, match="embeddings of one shape"):
        ours(a, b[:, :-1])
    with pytest.raises(InputError, match="at least 2 samples"):
        ours(a[:1], b[:1])
    with pytest.raises(InputError, match="must be finite"):
        ours(a * math.nan, b)


# ---- settings and the method


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lambda_": -1.0}, "pretrain.lambda must be a finite number of at least 0, but got -1.0; 0 drops its term."),
        ({"scale_loss": 0.0}, "pretrain.scale_loss must be positive, but got 0.0; 1 leaves the loss as it is."),
        (
            {"bias_rate": math.inf},
            "pretrain.bias_rate must be finite and at least 0, but got inf; 1 is the weights' rate.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


def test_the_total_is_the_sum_of_the_terms_times_the_coefficients():
    method = tiny_method(BarlowTwins, GIVEN)
    loss = method.loss(random_views(), progress=progress(0.0))
    weights = method.coefficients()
    assert weights == {"invariance": 0.1, "redundancy": pytest.approx(0.1 * LAMBDA)}
    assert loss.terms.keys() == BarlowTwins.TERMS.keys() and not any(term.requires_grad for term in loss.terms.values())
    expected = sum(weights[name] * term.item() for name, term in loss.terms.items())
    assert loss.total.item() == pytest.approx(expected, rel=1e-6) and loss.embeddings.shape == (16, 16)


@pytest.mark.parametrize("view_passes", ["separate", "together", "joint"])
def test_the_loss_and_its_gradients_are_those_of_the_raw_embeddings(view_passes):
    method = tiny_method(BarlowTwins, GIVEN).double()
    method.view_passes = view_passes
    views = [view.double() for view in random_views()]
    parameters = list(method.parameters())
    total = method.loss(views, progress=progress(0.0)).total
    raw = barlow_twins_loss(*method.embed(*views), lambda_=LAMBDA, scale=0.1).total
    assert total.item() == pytest.approx(raw.item(), rel=1e-10)
    for ours, theirs in zip(torch.autograd.grad(total, parameters), torch.autograd.grad(raw, parameters), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_running_statistics_follow_the_passes_of_both_views_in_training_and_stay_in_evaluation():
    method, views = tiny_method(BarlowTwins, GIVEN), random_views()
    assert not method.batchnorm.running_mean.any() and (method.batchnorm.running_var == 1).all()
    mean, variance = torch.zeros(16), torch.ones(16)
    loss = method.loss(views, progress=progress(0.0))
    with torch.no_grad():
        passes = method.embed(*views)
    for z in passes:
        mean, variance = 0.9 * mean + 0.1 * z.mean(dim=0), 0.9 * variance + 0.1 * z.var(dim=0)
    torch.testing.assert_close(method.batchnorm.running_mean, mean)
    torch.testing.assert_close(method.batchnorm.running_var, variance)
    torch.testing.assert_close(
        loss.embeddings, (passes[0] - passes[0].mean(dim=0)) / (passes[0].var(dim=0, correction=0) + 1e-5).sqrt()
    )
    method.eval().loss(views, progress=progress(0.0))
    torch.testing.assert_close(method.batchnorm.running_mean, mean)


def test_what_is_judged_is_standardised_and_does_not_depend_on_shift_and_scale():
    view = random_views(1, n=64)[0]

    def judged(scale, shift):
        method = tiny_method(BarlowTwins, GIVEN)
        method.expander.append(torch.nn.Linear(16, 16))
        with torch.no_grad():
            method.expander[-1].weight.copy_(torch.diag(scale))
            method.expander[-1].bias.copy_(shift)
            for _ in range(60):  # running statistics are then within 0.2 % of the batch's
                method.loss([view, view], progress=progress(0.0))
            return method.eval().encode(view).embeddings

    plain = judged(100 * torch.ones(16), torch.zeros(16))
    torch.testing.assert_close(plain.std(dim=0), torch.ones(16), rtol=0.5, atol=0)  # the network's own are running ones too
    torch.testing.assert_close(judged(torch.linspace(50, 500, 16), torch.full((16,), 30.0)), plain, rtol=1e-2, atol=1e-2)


def test_the_loss_falls_on_a_fixed_batch():
    totals = take_steps(tiny_method(BarlowTwins, GIVEN), random_views(), steps=15)
    assert totals[-1] < 0.8 * totals[0]


def test_biases_and_batchnorm_have_the_rate_that_the_settings_give_and_weights_the_runs(settings, digits):
    given = settings(method="barlow_twins", bias_rate=0.024, optimizer="lars")
    model = new_model(given, digits)
    optimizer = make_optimizer(given, model)
    TrainStep(given, model, optimizer, device=torch.device("cpu")).set_course(learning_rate=0.5, progress=0.0)
    rates = {parameter: group["lr"].item() for group in optimizer.param_groups for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for parameter, rate in rates.items():
        assert rate == pytest.approx(0.5 * 0.024 if parameter.ndim <= 1 else 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_a_bias_rate_of_1_trains_the_very_weights_of_a_method_without_own_rates(
    settings, digits, tmp_path, monkeypatch, optimizer
):
    def trained(where, **changes):
        given = settings(method="barlow_twins", optimizer=optimizer, epochs=1, warmup_epochs=0, **changes)
        return pretrain(given, digits, device=torch.device("cpu"), folder=tmp_path / where, identity="0" * 64).model

    one, other = trained("one", bias_rate=1).state_dict(), trained("other", bias_rate=0.5).state_dict()
    monkeypatch.setattr(BarlowTwins, "OWN_RATES", False)
    none = trained("none").state_dict()
    assert all(torch.equal(one[name], none[name]) for name in none)
    assert not all(torch.equal(other[name], none[name]) for name in none)


# ---- collapse


@pytest.mark.parametrize("scale", [0.001, 1.0, 100.0])
def test_collapses_get_their_names_whatever_the_scale_which_the_loss_leaves_free(scale):
    target = tiny_method(BarlowTwins, GIVEN).target_std
    assert target is None
    assert diagnosis(healthy(scale=scale), target_std=target) == "healthy"
    assert diagnosis(near_constant(scale=scale), target_std=target) == "complete"
    assert diagnosis(copies(scale=scale), target_std=target) == "informational"
