"""VIbCReg: its loss against solo-learn's formula, its whitening layer in the network, and its runs."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

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
from vicreg.methods.vibcreg import VIbCReg, VIbCRegSettings, normalised_covariance, vibcreg_loss
from vicreg.methods.vicreg import Coefficients, vicreg_loss
from vicreg.models.iterative_normalisation import IterativeNormalisation

GIVEN = VIbCRegSettings(
    lambda_=25.0, mu=25.0, nu=200.0, gamma=1.0, epsilon=1e-4, iterative_normalisation=True, groups=4, newton_steps=5
)
WEIGHTS = Coefficients(lambda_=25, mu=25, nu=200)


def ours(z, z_prime):
    return vibcreg_loss(z, z_prime, coefficients=WEIGHTS).total


@pytest.mark.parametrize(("rows", "dimensions"), [(128, 512), (100, 8)])
def test_equal_numbers_are_no_variation_though_their_mean_is_off_by_a_last_bit(rows, dimensions):
    z = torch.full((rows, dimensions), 0.1, requires_grad=True)
    loss = normalised_covariance(z)
    loss.backward()
    assert loss == 0 and z.grad.abs().max() == 0
    small = torch.randn(rows, dimensions, generator=torch.Generator().manual_seed(0)) * 1e-4 + 0.1
    torch.testing.assert_close(
        normalised_covariance(small), normalised_covariance(small.double()).float(), rtol=1e-2, atol=1e-6
    )


def by_matrices(z, z_prime):
    """The terms as solo-learn writes them."""
    total = 25 * functional.mse_loss(z, z_prime)
    for view in (z, z_prime):
        total = total + 25 * functional.relu(1 - torch.sqrt(view.var(dim=0) + 1e-4)).mean()
        centred = view - view.mean(dim=0)
        columns = centred / centred.norm(dim=0)
        matrix = columns.T @ columns
        total = total + 200 * (matrix * (1 - torch.eye(len(matrix), dtype=z.dtype))).square().mean()
    return total


def naive(z, z_prime, *, halves=1.0, entries=None):
    """The terms entry by entry; `halves` of 0.5 halves the variance term as VICReg does."""
    n, d = z.shape
    total = 25 * sum((a - b).square().sum() for a, b in zip(z, z_prime, strict=True)) / (n * d)
    for view in (z, z_prime):
        columns = [column - column.sum() / n for column in view.T]
        for i in range(d):
            deviation = torch.sqrt(columns[i].square().sum() / (n - 1) + 1e-4)
            total = total + halves * 25 * torch.relu(1 - deviation) / d
            for j in range(i):
                product = (columns[i] * columns[j]).sum()
                squared = product**2 / (columns[i].square().sum() * columns[j].square().sum())
                total = total + 200 * 2 * squared / (entries or d**2)
    return total


def small(n, d):
    """Embeddings of which some dimensions have a std below 1 and some above, so that the variance term acts on some."""
    return tuple(one * torch.linspace(0.5, 1.5, d, dtype=torch.float64) for one in inputs(n, d))


# ---- the loss


@pytest.mark.parametrize("batches", [inputs, small])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_equal_solo_learns_formula(n, d, batches):
    assert_same_loss(ours, by_matrices, *batches(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
def test_value_and_gradient_equal_the_formula_entry_by_entry(n, d):
    assert_same_loss(ours, naive, *small(n, d))


def test_the_variance_is_not_halved_and_the_correlations_are_averaged_over_all_entries():
    value = ours(*small(64, 32)).item()
    assert abs(value - naive(*small(64, 32), halves=0.5).item()) > 0.1
    assert abs(value - naive(*small(64, 32), entries=32 * 31).item()) > 0.1
    assert abs(value - naive(*small(64, 32), entries=32).item()) > 0.1


def test_the_first_two_terms_are_vicregs_with_the_variance_twice_the_official_one():
    a, b = small(64, 32)
    mine = vibcreg_loss(a, b, coefficients=WEIGHTS)
    vicregs = vicreg_loss(a, b, coefficients=WEIGHTS)
    assert mine.invariance.item() == pytest.approx(vicregs.invariance.item(), rel=1e-12)
    assert mine.variance.item() == pytest.approx(2 * vicregs.variance.item(), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_covariance_does_not_depend_on_the_scale_and_shift_of_a_dimension(n, d):
    a, _ = inputs(n, d)
    moved = a * torch.linspace(0.1, 10, d, dtype=torch.float64) + 3
    assert normalised_covariance(moved).item() == pytest.approx(normalised_covariance(a).item(), rel=1e-9)


def test_the_covariance_of_copies_of_one_dimension_is_the_share_of_entries_off_the_diagonal():
    copied = inputs(64, 32)[0][:, :1].repeat(1, 32)
    assert normalised_covariance(copied).item() == pytest.approx(31 / 32, rel=1e-12)


def test_a_term_without_weight_is_left_out_of_the_total():
    a, b = small(64, 32)
    terms = vibcreg_loss(a, b, coefficients=Coefficients(lambda_=0, mu=2, nu=0))
    assert terms.total.item() == pytest.approx(2 * terms.variance.item(), rel=1e-12) and terms.covariance > 0


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_have_a_finite_value_and_gradient(case):
    assert_finite(ours, case)


def test_autocast_leaves_the_loss_in_full_precision():
    a, b = (one.float() for one in inputs(16, 48))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ours(a, b)
    assert inside.dtype == torch.float32 and torch.equal(inside, ours(a, b))


def test_embeddings_that_no_loss_can_have_are_refused():
    a, b = inputs(16, 48)
    with pytest.raises(InputError, match="embeddings of one shape"):
        ours(a, b[:, :-1])
    with pytest.raises(InputError, match="must be finite"):
        ours(a, b * math.inf)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nu": -1.0}, "nu must be finite and at least 0, but got -1.0; use 0 to drop its term."),
        ({"gamma": 0.0}, "pretrain.gamma must be positive, but got 0.0; raise it."),
        ({"epsilon": math.nan}, "pretrain.epsilon must be positive, but got nan; raise it."),
        (
            {"groups": 0},
            "pretrain.groups must be at least 1, but got 0; set pretrain.iterative_normalisation to false to leave the "
            "whitening out.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


# ---- the method


def test_the_expander_ends_with_the_whitening_that_the_settings_give_or_with_none():
    method = tiny_method(VIbCReg, GIVEN)
    layer = method.expander[-1]
    assert isinstance(layer, IterativeNormalisation) and layer.steps == 5 and layer.running_whitening.shape == (4, 4, 4)
    assert torch.equal(layer.running_whitening, torch.eye(4).expand(4, 4, 4)) and not layer.running_mean.any()
    assert torch.equal(layer.weight, torch.ones(16)) and not layer.bias.any()
    bare = tiny_method(VIbCReg, dataclasses.replace(GIVEN, iterative_normalisation=False))
    assert not any(isinstance(module, IterativeNormalisation) for module in bare.modules())
    weights, others = method.backbone.state_dict(), bare.backbone.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    z, _ = method.embed(*random_views())
    assert z.mean(dim=0).abs().max() < 1e-5


def test_the_method_is_the_loss_of_the_embeddings_of_both_views_with_the_settings_gamma_and_epsilon():
    method, views = tiny_method(VIbCReg, dataclasses.replace(GIVEN, gamma=2.0, epsilon=0.3)), random_views()
    loss = method.loss(views, progress=progress(0.0))
    expected = vibcreg_loss(*method.embed(*views), coefficients=WEIGHTS, gamma=2.0, epsilon=0.3)
    assert torch.equal(loss.total, expected.total) and expected.variance > 0


def test_the_total_is_the_sum_of_the_terms_times_the_coefficients():
    method = tiny_method(VIbCReg, GIVEN)
    loss = method.loss(random_views(), progress=progress(0.0))
    weights = method.coefficients()
    assert weights == {"invariance": 25.0, "variance": 25.0, "covariance": 200.0}
    expected = sum(weights[name] * term.item() for name, term in loss.terms.items())
    assert loss.total.item() == pytest.approx(expected, rel=1e-6)
    assert loss.terms.keys() == VIbCReg.TERMS.keys() and not any(term.requires_grad for term in loss.terms.values())


def test_the_loss_falls_on_a_fixed_batch():
    totals = take_steps(tiny_method(VIbCReg, GIVEN), random_views(), steps=15, lr=0.005)
    assert totals[-1] < 0.9 * totals[0]


def test_collapses_get_their_names_at_the_scale_that_the_variance_term_sets():
    target = tiny_method(VIbCReg, dataclasses.replace(GIVEN, gamma=0.5)).target_std
    assert target == 0.5
    assert tiny_method(VIbCReg, dataclasses.replace(GIVEN, mu=0.0)).target_std is None  # no term sets the scale
    assert diagnosis(healthy(scale=0.5), target_std=target) == "healthy"
    assert diagnosis(healthy(scale=0.01), target_std=target) == "complete"
    assert diagnosis(near_constant(scale=0.5), target_std=target) == "complete"
    assert diagnosis(copies(scale=0.5), target_std=target) == "informational"
