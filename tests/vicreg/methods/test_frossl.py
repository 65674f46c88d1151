"""FroSSL: its loss against lightly and eigenvalues, views of zeros, and its runs."""

import math

import pytest
import torch
from lightly.loss import FroSSLLoss

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
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant
from vicreg.errors import InputError
from vicreg.methods.frossl import FroSSL, FroSSLSettings, frossl_loss

GIVEN = FroSSLSettings(invariance_weight=1.0)


def ours(*views):
    return frossl_loss(views).total


def naive(*views, weight=1.0, centred=False):
    """The formula from eigenvalues and, entry by entry, from columns of length 1."""
    columns = []
    for view in views:
        view = view - view.mean(dim=0) if centred else view
        columns.append(torch.stack([column / column.square().sum().sqrt() for column in view.T], dim=1))
    n, count = len(columns[0]), len(views)
    total = views[0].new_zeros(())
    for view in columns:
        eigenvalues = torch.linalg.eigvalsh(view.T @ view)
        total = total + torch.log((eigenvalues / eigenvalues.sum()).square().sum())
        squares = [(view[i] - sum(other[i] for other in columns) / count).square().sum() for i in range(n)]
        total = total + weight * count * sum(squares) / n
    return total


def three_views(n, d):
    a, b = inputs(n, d)
    return a, b, (a + 2 * b).roll(1, dims=0)


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("views", [inputs, three_views])
def test_value_and_gradient_equal_lightlys_for_two_and_three_views(n, d, views):
    assert_same_loss(ours, lambda *batches: FroSSLLoss()(list(batches)), *views(n, d))


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("views", [inputs, three_views])
def test_value_and_gradient_equal_the_formula_from_eigenvalues(n, d, views):
    assert_same_loss(ours, naive, *views(n, d))


def test_columns_are_not_centred_as_in_the_deprecated_form():
    a, b = (one + 1 for one in inputs(64, 32))
    assert abs(ours(a, b).item() - naive(a, b, centred=True).item()) > 0.1


def test_the_weight_multiplies_the_invariance_term_alone():
    a, b = inputs(64, 32)
    terms = frossl_loss((a, b), invariance_weight=3.0)
    assert terms.total.item() == pytest.approx(naive(a, b, weight=3.0).item(), rel=1e-10)
    assert terms.total.item() == pytest.approx((terms.regularisation + 3 * terms.invariance).item(), rel=1e-12)
    assert frossl_loss((a, b), invariance_weight=0.0).total.item() == terms.regularisation.item()


def test_the_first_term_is_minus_log_d_at_equal_eigenvalues_and_0_at_rank_1_for_each_view():
    orthogonal, _ = torch.linalg.qr(inputs(64, 32)[0])
    terms = frossl_loss((orthogonal, orthogonal))
    assert terms.regularisation.item() == pytest.approx(-2 * math.log(32), rel=1e-12)
    assert terms.invariance.item() == pytest.approx(0.0, abs=1e-12)
    rank_1 = inputs(64, 32)[0][:, :1].repeat(1, 32)
    assert frossl_loss((rank_1, rank_1)).regularisation.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_have_a_finite_value_and_gradient(case):
    assert_finite(ours, case)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_views_of_zeros_have_the_loss_of_constant_rows_and_no_gradient(n, d, dtype):
    constant, zeros = torch.ones(n, d, dtype=dtype), torch.zeros(n, d, dtype=dtype)
    value, gradients = value_and_gradients(ours, zeros, zeros)
    assert value.item() == pytest.approx(ours(constant, constant).item(), abs=1e-5) == pytest.approx(0.0, abs=1e-5)
    assert all(not gradient.any() for gradient in gradients)
    value, gradients = value_and_gradients(ours, zeros, inputs(n, d)[0].to(dtype))
    assert value.isfinite() and all(gradient.isfinite().all() for gradient in gradients)


def test_autocast_leaves_the_loss_in_full_precision():
    a, b = (one.float() for one in inputs(16, 48))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ours(a, b)
    assert inside.dtype == torch.float32 and torch.equal(inside, ours(a, b))


def test_embeddings_that_no_loss_can_have_are_refused():
    a, b = inputs(16, 48)
    with pytest.raises(InputError, match="at least 2 views of each image, but got 1"):
        ours(a)
    with pytest.raises(InputError, match="embeddings of one shape"):
        ours(a, b[:, :-1])
    with pytest.raises(InputError, match="must be finite"):
        ours(a, b * math.inf)


def test_a_weight_no_run_can_have_is_refused_in_one_sentence():
    with pytest.raises(InputError) as raised:
        FroSSLSettings(invariance_weight=-1.0)
    assert str(raised.value) == (
        "pretrain.invariance_weight must be a finite number of at least 0, but got -1.0; the authors use 1."
    )


def test_the_method_is_the_loss_of_the_embeddings_of_both_views():
    method, views = tiny_method(FroSSL, FroSSLSettings(invariance_weight=2.0)), random_views()
    loss = method.loss(views, progress=progress(0.0))
    assert torch.equal(loss.total, frossl_loss(method.embed(*views), invariance_weight=2.0).total)


def test_the_total_is_the_sum_of_the_terms_times_the_coefficients():
    method = tiny_method(FroSSL, FroSSLSettings(invariance_weight=2.0))
    loss = method.loss(random_views(), progress=progress(0.0))
    weights = method.coefficients()
    assert weights == {"regularisation": 1.0, "invariance": 2.0} and loss.terms.keys() == FroSSL.TERMS.keys()
    expected = sum(weights[name] * term.item() for name, term in loss.terms.items())
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert not any(term.requires_grad for term in loss.terms.values())


def test_the_loss_falls_on_a_fixed_batch():
    totals = take_steps(tiny_method(FroSSL, GIVEN), random_views(), steps=15)
    assert totals[-1] < totals[0] - 0.1


@pytest.mark.parametrize("scale", [0.001, 1.0, 100.0])
def test_collapses_get_their_names_whatever_the_scale_which_the_loss_leaves_free(scale):
    target = tiny_method(FroSSL, GIVEN).target_std
    assert target is None
    assert diagnosis(healthy(scale=scale), target_std=target) == "healthy"
    assert diagnosis(near_constant(scale=scale), target_std=target) == "complete"
    assert diagnosis(copies(scale=scale), target_std=target) == "informational"
