import math

import pytest
import torch
from lightly.loss import VICRegLoss

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from vicreg.errors import InputError
from vicreg.methods.vicreg import (
    CONVENTIONS,
    Coefficients,
    covariance,
    effective_coefficients,
    invariance,
    variance,
    vicreg_loss,
)

OFFICIAL = Coefficients(lambda_=25, mu=25, nu=1)


def embeddings(n, d, *, seed=0, dtype=torch.float64, scale=0.7):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64) / math.sqrt(d)
    return (scale * torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing + 0.3).to(dtype)


def naive_variance(z, *, gamma=1.0, epsilon=1e-4):
    total = 0.0
    for column in z.T.tolist():
        mean = sum(column) / len(column)
        var = sum((x - mean) ** 2 for x in column) / (len(column) - 1)
        total += max(0.0, gamma - math.sqrt(var + epsilon))
    return total / z.shape[1]


def naive_covariance(z):
    n, d = z.shape
    matrix = torch.zeros(d, d, dtype=z.dtype)
    for row in z:
        matrix += torch.outer(row - z.mean(dim=0), row - z.mean(dim=0)) / (n - 1)
    return sum(matrix[i, j].item() ** 2 for i in range(d) for j in range(d) if i != j) / d


def literal_loss(convention, z, z_prime, *, lambda_, mu, nu):
    """Each publication's formula as it is printed."""
    n, d = z.shape
    squares = [((z[i, j] - z_prime[i, j]) ** 2).item() for i in range(n) for j in range(d)]
    v, v_prime = naive_variance(z), naive_variance(z_prime)
    c, c_prime = naive_covariance(z), naive_covariance(z_prime)
    if convention == "equation":
        return lambda_ * sum(squares) / n + mu * (v + v_prime) + nu * (c + c_prime)
    if convention == "algorithm":
        return lambda_ * sum(squares) / (n * d) + mu * (v + v_prime) + nu * (c + c_prime)
    return lambda_ * sum(squares) / (n * d) + mu * (v / 2 + v_prime / 2) + nu * (c + c_prime)


# ---- against lightly


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(16, 48), (48, 16), (32, 32), (2, 8)])
@pytest.mark.parametrize("coefficients", [(25, 25, 1), (1, 10, 3)])
def test_official_convention_equals_lightly_in_value_and_gradient(n, d, dtype, coefficients):
    lambda_, mu, nu = coefficients
    z = [embeddings(n, d, seed=s, dtype=dtype).requires_grad_() for s in (1, 2)]
    theirs = [x.detach().clone().requires_grad_() for x in z]
    total = vicreg_loss(*z, coefficients=Coefficients(lambda_=lambda_, mu=mu, nu=nu)).total
    expected = VICRegLoss(lambda_param=lambda_, mu_param=mu, nu_param=nu)(*theirs)
    total.backward()
    expected.backward()
    relative = 1e-12 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(total, expected, rtol=relative, atol=0)
    for ours, reference in zip(z, theirs, strict=True):
        largest = reference.grad.abs().max().item()
        torch.testing.assert_close(ours.grad, reference.grad, rtol=0, atol=10 * relative * largest)


@pytest.mark.parametrize("nu", [0.0, 1.0])
def test_gradient_of_the_total_agrees_with_finite_differences(nu):
    z, z_prime = (embeddings(5, 9, seed=s).requires_grad_() for s in (1, 2))
    coefficients = Coefficients(lambda_=2, mu=3, nu=nu)
    assert torch.autograd.gradcheck(lambda a, b: vicreg_loss(a, b, coefficients=coefficients).total, (z, z_prime))


# ---- the terms


@pytest.mark.parametrize(("n", "d"), [(6, 20), (20, 6), (8, 8), (8, 9), (2, 5), (5, 1), (2, 1)])
def test_covariance_from_either_gram_matrix_equals_the_naive_double_loop(n, d):
    z = embeddings(n, d)
    assert covariance(z).item() == pytest.approx(naive_covariance(z), rel=1e-10, abs=1e-12)


def test_covariance_of_two_equal_dimensions_is_their_squared_variance():
    column = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)  # variance 1
    assert covariance(torch.stack([column, column], dim=1)).item() == pytest.approx(1.0)  # (1 + 1) / 2
    assert covariance(torch.stack([column] * 5, dim=1)).item() == pytest.approx(4.0)  # 20 entries of 1, over 5; n < d


def test_covariance_of_orthogonal_dimensions_is_zero():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance(z).item() == 0


@pytest.mark.parametrize(("n", "d"), [(6, 20), (20, 6)])
def test_variance_and_covariance_ignore_a_shift_and_the_order_of_samples_and_dimensions(n, d):
    z = embeddings(n, d)
    generator = torch.Generator().manual_seed(3)
    other = (z + torch.arange(d))[torch.randperm(n, generator=generator)][:, torch.randperm(d, generator=generator)]
    assert variance(other).item() == pytest.approx(variance(z).item(), rel=1e-10)
    assert covariance(other).item() == pytest.approx(covariance(z).item(), rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(6, 20), (20, 6)])
def test_covariance_grows_with_the_fourth_power_of_the_scale(n, d):
    z = embeddings(n, d)
    assert covariance(3 * z).item() == pytest.approx(81 * covariance(z).item(), rel=1e-10)


def test_variance_of_constant_embeddings_is_gamma_less_the_root_of_epsilon():
    assert variance(torch.full((4, 3), 7.0)).item() == pytest.approx(1 - 0.01)
    assert variance(torch.full((4, 3), 7.0), gamma=2.0, epsilon=0.25).item() == pytest.approx(1.5)


def test_variance_is_a_hinge_that_rests_above_gamma_in_each_dimension_apart():
    column = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)  # std 1
    assert variance(torch.stack([2 * column, 3 * column], dim=1)).item() == 0
    half = variance(torch.stack([2 * column, 0.5 * column], dim=1)).item()
    assert half == pytest.approx((1 - math.sqrt(0.25 + 1e-4)) / 2)


def test_variance_of_constant_embeddings_has_a_finite_gradient():
    z = torch.ones(4, 3, requires_grad=True)
    variance(z).backward()
    assert torch.isfinite(z.grad).all()


def test_invariance_is_the_mean_over_samples_and_dimensions():
    assert invariance(torch.zeros(2, 3), torch.tensor([[1.0, 2, 3], [0, 0, 2]])).item() == pytest.approx(18 / 6)


# ---- the conventions


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("n", "d"), [(5, 7), (7, 5)])
def test_each_convention_equals_its_formula_as_printed(convention, n, d):
    z, z_prime = embeddings(n, d, seed=1), embeddings(n, d, seed=2)
    weights = {"lambda_": 25.0, "mu": 10.0, "nu": 3.0}
    coefficients = effective_coefficients(convention=convention, dimension=d, **weights)
    total = vicreg_loss(z, z_prime, coefficients=coefficients).total.item()
    assert total == pytest.approx(literal_loss(convention, z, z_prime, **weights), rel=1e-10)


def test_effective_coefficients_of_the_papers_weights():
    common = {"lambda_": 25, "mu": 25, "nu": 1, "dimension": 2048}
    assert effective_coefficients(convention="equation", **common) == Coefficients(lambda_=25 * 2048, mu=50, nu=1)
    assert effective_coefficients(convention="algorithm", **common) == Coefficients(lambda_=25, mu=50, nu=1)
    assert effective_coefficients(convention="official", **common) == Coefficients(lambda_=25, mu=25, nu=1)


# ---- the terms on record


def test_terms_are_unweighted_and_the_total_is_their_weighted_sum():
    z, z_prime = embeddings(6, 10, seed=1), embeddings(6, 10, seed=2)
    terms = vicreg_loss(z, z_prime, coefficients=Coefficients(lambda_=2, mu=3, nu=5), gamma=0.9, epsilon=1e-3)
    v, v_prime = (naive_variance(x, gamma=0.9, epsilon=1e-3) for x in (z, z_prime))
    assert terms.invariance.item() == pytest.approx((z - z_prime).square().mean().item())
    assert terms.variance.item() == pytest.approx((v + v_prime) / 2)
    assert terms.covariance.item() == pytest.approx(naive_covariance(z) + naive_covariance(z_prime))
    weighted = 2 * terms.invariance + 3 * terms.variance + 5 * terms.covariance
    assert terms.total.item() == pytest.approx(weighted.item())


@pytest.mark.parametrize("zeroed", ["lambda_", "mu", "nu"])
def test_a_term_of_coefficient_zero_is_recorded_and_leaves_no_gradient(zeroed):
    z, z_prime = (embeddings(6, 10, seed=s).requires_grad_() for s in (1, 2))
    weights = {"lambda_": 1.0, "mu": 1.0, "nu": 1.0}
    complete = vicreg_loss(z, z_prime, coefficients=Coefficients(**weights))
    terms = vicreg_loss(z, z_prime, coefficients=Coefficients(**{**weights, zeroed: 0.0}))
    name = {"lambda_": "invariance", "mu": "variance", "nu": "covariance"}[zeroed]
    assert terms[1:] == complete[1:]
    assert not getattr(terms, name).requires_grad
    left = {
        "lambda_": lambda: invariance(z, z_prime),
        "mu": lambda: (variance(z) + variance(z_prime)) / 2,
        "nu": lambda: covariance(z) + covariance(z_prime),
    }
    expected = torch.autograd.grad(sum(term() for name, term in left.items() if name != zeroed), z)[0]
    torch.testing.assert_close(torch.autograd.grad(terms.total, z)[0], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("n", "d"), [(6, 10), (10, 6), (8, 8)])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_the_closed_form_gradient_is_that_of_the_terms(n, d, gamma):
    z, z_prime = (embeddings(n, d, seed=s).requires_grad_() for s in (1, 2))
    weights = Coefficients(lambda_=25, mu=10, nu=2)
    total = vicreg_loss(z, z_prime, coefficients=weights, gamma=gamma).total
    automatic = (
        25 * invariance(z, z_prime)
        + 10 * (variance(z, gamma=gamma) + variance(z_prime, gamma=gamma)) / 2
        + 2 * (covariance(z) + covariance(z_prime))
    )
    torch.testing.assert_close(total, automatic, rtol=1e-12, atol=1e-12)
    pairs = zip(torch.autograd.grad(3 * total, (z, z_prime)), torch.autograd.grad(3 * automatic, (z, z_prime)))
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_one_view_can_be_held_fixed():
    z, z_prime = embeddings(6, 10, seed=1).requires_grad_(), embeddings(6, 10, seed=2)
    weights = Coefficients(lambda_=1, mu=1, nu=1)
    fixed = torch.autograd.grad(vicreg_loss(z, z_prime, coefficients=weights).total, z)[0]
    both = torch.autograd.grad(vicreg_loss(z, z_prime.requires_grad_(), coefficients=weights).total, z)[0]
    assert torch.equal(fixed, both)


def test_a_covariance_that_overflows_harms_nothing_where_its_coefficient_is_zero():
    z = (embeddings(6, 10, seed=1, dtype=torch.float32) * 1e12).requires_grad_()
    z_prime = embeddings(6, 10, seed=2, dtype=torch.float32) * 1e12
    terms = vicreg_loss(z, z_prime, coefficients=Coefficients(lambda_=1, mu=1, nu=0))
    terms.total.backward()
    assert not torch.isfinite(terms.covariance)
    assert torch.isfinite(terms.total)
    assert torch.isfinite(z.grad).all()


# ---- precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("n", "d"), [(16, 40), (40, 16)])
def test_statistics_stay_float32_under_autocast(n, d, dtype):
    z, z_prime = (embeddings(n, d, seed=s).to(dtype) for s in (1, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = vicreg_loss(z, z_prime, coefficients=OFFICIAL)
    exact = vicreg_loss(z.double(), z_prime.double(), coefficients=OFFICIAL)
    for term, reference in zip(terms, exact, strict=True):
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(reference.item(), rel=1e-5)  # bfloat16 would be off by 1e-3 and more


def test_gradients_flow_back_in_the_precision_of_the_embeddings():
    z = embeddings(8, 12).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vicreg_loss(z, embeddings(8, 12, seed=2).to(torch.bfloat16), coefficients=OFFICIAL).total.backward()
    assert z.grad.dtype == torch.bfloat16
    assert z.grad.abs().sum() > 0


# ---- what is refused


@pytest.mark.parametrize("term", [variance, covariance])
def test_a_batch_of_one_is_refused_with_the_value(term):
    with pytest.raises(InputError, match=r"at least 2 samples to estimate a variance, but got 1;"):
        term(torch.ones(1, 4))
    with pytest.raises(InputError, match=r"but got 1;"):
        vicreg_loss(torch.ones(1, 4), torch.ones(1, 4), coefficients=OFFICIAL)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_embeddings_are_refused_in_either_view_unless_told_otherwise(bad):
    good, spoilt = embeddings(4, 3), embeddings(4, 3)
    spoilt[1, 2] = bad
    for pair in ((good, spoilt), (spoilt, good)):
        with pytest.raises(InputError, match=r"1 of 12 values"):
            vicreg_loss(*pair, coefficients=OFFICIAL)
        assert not torch.isfinite(vicreg_loss(*pair, coefficients=OFFICIAL, check_finite=False).total)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vicreg_loss(torch.ones(4, 3), torch.ones(4, 2), coefficients=OFFICIAL), r"\(4, 3\) and \(4, 2\)"),
        (lambda: covariance(torch.ones(4, 3, 2)), r"shape \(n, d\), but got \(4, 3, 2\)"),
        (lambda: variance(torch.ones(4, 3), epsilon=0.0), r"epsilon must be above 0 .* but got 0\.0"),
        (lambda: Coefficients(lambda_=-1, mu=1, nu=1), r"lambda must be .* but got -1"),
        (lambda: Coefficients(lambda_=1, mu=1, nu=math.nan), r"nu must be .* but got nan"),
        (lambda: Coefficients(lambda_=0, mu=0, nu=0), r"above 0"),
        (
            lambda: effective_coefficients(convention="mine", lambda_=1, mu=1, nu=1, dimension=4),
            r"equation, algorithm, official, but got 'mine'",
        ),
        (
            lambda: effective_coefficients(convention="official", lambda_=1, mu=1, nu=1, dimension=0),
            r"dimension must be at least 1, but got 0",
        ),
    ],
)
def test_bad_input_is_refused_with_rule_and_value(call, message):
    with pytest.raises(InputError, match=message):
        call()
