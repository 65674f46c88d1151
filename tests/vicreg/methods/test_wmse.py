"""W-MSE: whitening and its loss written out and against lightly, sub-batches, and as a method."""

import dataclasses
import math

import pytest
import torch
from lightly.loss.wmse_loss import WMSELoss
from torch import Tensor

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    assert_finite,
    assert_same_loss,
    degenerate,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
)
from tests.vicreg.methods.host_reads import refused
from vicreg.data.dataset import Split
from vicreg.errors import InputError
from vicreg.methods.counter_random import permutation
from vicreg.methods.wmse import WMSE, WMSESettings, whiten, wmse_loss
from vicreg.metrics.collapse import collapse_trace
from vicreg.training.setup import check_fit

GIVEN = WMSESettings(dimension=4, w_size=8, epsilon=1e-6)
SIZES = [(64, 32, 64), (64, 16, 32), (16, 4, 8)]  # n, d and w_size, which must be at least 2 d


def seeded_order(n: int) -> Tensor:
    """The permutation that lightly draws after the seed 7."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return torch.randperm(n)


def written_out_cholesky(matrix: Tensor) -> Tensor:
    """Cholesky and Banachiewicz's factorisation, entry by entry."""
    d = len(matrix)
    rows: list[list[Tensor]] = []
    for i in range(d):
        row: list[Tensor] = []
        for j in range(i + 1):
            rest = matrix[i, j] - sum(row[k] * (rows[j][k] if j < i else row[k]) for k in range(j))
            row.append(rest.sqrt() if i == j else rest / rows[j][j])
        rows.append(row)
    zero = torch.zeros((), dtype=matrix.dtype)
    return torch.stack([torch.stack([*row, *[zero] * (d - len(row))]) for row in rows])


def written_out(a: Tensor, b: Tensor, *, order: Tensor, w_size: int, epsilon: float) -> Tensor:
    """2 - 2 cos of each image's two whitened views, image by image, by the inverse of Cholesky's factor."""
    cosines = []
    for indices in order.split(w_size):
        whitened = []
        for view in (a, b):
            rows = view[indices]
            mean = sum(rows) / w_size
            covariance = sum(torch.outer(row - mean, row - mean) for row in rows) / (w_size - 1)
            shrunk = (1 - epsilon) * covariance + epsilon * torch.eye(a.shape[1], dtype=a.dtype)
            inverse = torch.linalg.inv(written_out_cholesky(shrunk))
            whitened.append([inverse @ (row - mean) for row in rows])
        for one, other in zip(*whitened, strict=True):
            cosines.append(one @ other / (one.norm() * other.norm()))
    return sum(2 - 2 * cosine for cosine in cosines) / len(cosines)


# ---- whitening


def test_each_whitened_group_has_mean_0_and_the_identity_for_its_covariance():
    a, _ = inputs(64, 16)
    for group in whiten(a.reshape(2, 32, 16) * 3 + 5, epsilon=0.0):
        assert torch.allclose(group.mean(dim=0), torch.zeros(16, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(group.T @ group / 31, torch.eye(16, dtype=torch.float64), atol=1e-12)


def test_whitening_is_triangular_so_the_first_dimension_is_only_standardised():
    a, _ = inputs(64, 16)
    first = a[:, 0]
    assert torch.allclose(whiten(a, epsilon=0.0)[:, 0], (first - first.mean()) / first.std(), atol=1e-12)


def test_float32_embeddings_of_a_bad_condition_are_whitened_to_six_digits():
    a, _ = inputs(128, 32)
    scaled = (a * torch.logspace(0, -4, 32, dtype=torch.float64)).float()
    whitened = whiten(scaled, epsilon=0.0)
    assert torch.allclose(whitened.T @ whitened / 127, torch.eye(32, dtype=torch.float64), atol=1e-6)


def test_a_covariance_without_an_inverse_is_no_number_and_not_a_wrong_one():
    # LAPACK stops at the first pivot below 0 and leaves the rest of the matrix as it was: numbers, but no factor.
    for case in ("one dead column", "rank 1", "constant rows"):
        a, b = degenerate(case, 64, 16)
        assert wmse_loss(a, b, order=torch.arange(64), w_size=32).isnan(), case


# ---- the loss


@pytest.mark.parametrize(("n", "d", "w_size"), SIZES[1:])
@pytest.mark.parametrize("epsilon", [0.0, 1e-2])
def test_value_and_gradient_are_those_of_the_formula_written_out(n, d, w_size, epsilon):
    order = seeded_order(n)
    assert_same_loss(
        lambda a, b: wmse_loss(a, b, order=order, w_size=w_size, epsilon=epsilon),
        lambda a, b: written_out(a, b, order=order, w_size=w_size, epsilon=epsilon),
        *inputs(n, d),
    )


@pytest.mark.parametrize(("n", "d", "w_size"), SIZES)
@pytest.mark.parametrize("epsilon", [0.0, 1e-2])
def test_value_and_gradient_are_lightlys_with_its_permutation(n, d, w_size, epsilon):
    def lightly(a: Tensor, b: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return WMSELoss(embedding_dim=d, w_size=w_size, eps=epsilon, track_running_stats=False)(torch.cat((a, b)))

    order = seeded_order(n)
    assert_same_loss(lambda a, b: wmse_loss(a, b, order=order, w_size=w_size, epsilon=epsilon), lightly, *inputs(n, d))


def test_the_order_matters_only_where_there_are_several_sub_batches():
    a, b = inputs(64, 16)
    orders = torch.arange(64), seeded_order(64)
    one, other = (wmse_loss(a, b, order=order, w_size=64).item() for order in orders)
    assert one == pytest.approx(other, rel=1e-12)
    one, other = (wmse_loss(a, b, order=order, w_size=32).item() for order in orders)
    assert one != pytest.approx(other, rel=1e-4)


def test_the_loss_does_not_change_with_the_scale_of_the_embeddings():
    a, b = inputs(64, 16)
    order = torch.arange(64)
    assert wmse_loss(10 * a, 0.1 * b + 3, order=order, w_size=32).item() == pytest.approx(
        wmse_loss(a, b, order=order, w_size=32).item(), rel=1e-9
    )
    assert wmse_loss(a, 2 * a, order=order, w_size=32).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(case):
    assert_finite(lambda a, b: wmse_loss(a, b, order=torch.arange(64), w_size=64, epsilon=1e-6), case)


def test_a_sub_batch_below_twice_the_dimension_and_one_that_does_not_divide_the_batch_are_refused():
    a, b = inputs(64, 32)
    with pytest.raises(InputError) as raised:
        wmse_loss(a, b, order=torch.arange(64), w_size=32)
    assert str(raised.value) == (
        "pretrain.w_size must be at least twice the embeddings' dimension, or their covariance is near singular, but got 32 "
        "for 32 dimensions; raise it with pretrain.batch_size, or lower pretrain.dimension."
    )
    with pytest.raises(InputError) as raised:
        wmse_loss(a[:, :8], b[:, :8], order=torch.arange(64), w_size=48)
    assert str(raised.value) == (
        "pretrain.w_size must divide the images of a batch, but got 48 for 64 images; change it or pretrain.batch_size, and "
        "set pretrain.drop_last to true."
    )


def test_sub_batches_that_do_not_divide_the_batch_are_refused_before_a_run(tiny_config, digits):
    changes = {"pretrain.method": "wmse", "pretrain.batch_size": 24}
    with pytest.raises(InputError, match=r"pretrain.w_size must divide the images of a batch, but got 16 for 24 images"):
        check_fit(tiny_config(changes).pretrain, digits)
    untrained = {"pretrain.epochs": 0, "pretrain.warmup_epochs": 0}
    check_fit(tiny_config({**changes, **untrained}).pretrain, digits)  # takes no step
    check_fit(tiny_config({**changes, "pretrain.batch_size": 32, "pretrain.drop_last": True}).pretrain, digits)
    fewer = dataclasses.replace(digits, train=Split(images=digits.train.images[:40], labels=digits.train.labels[:40]))
    with pytest.raises(InputError, match="but got 16 for 8 images"):
        check_fit(tiny_config({**changes, "pretrain.batch_size": 32, "pretrain.drop_last": False}).pretrain, fewer)
    one_batch = {"pretrain.batch_size": 100, "pretrain.drop_last": False, "pretrain.wmse.w_size": 40}
    check_fit(tiny_config({**changes, **one_batch}).pretrain, fewer)


# ---- as a method


def test_a_last_linear_layer_makes_the_embeddings_narrow_and_leaves_the_other_weights_as_they_are():
    narrow, wide = tiny_method(WMSE, GIVEN), tiny_method(WMSE, dataclasses.replace(GIVEN, dimension=None, w_size=32))
    assert (narrow.embedding_dimension, wide.embedding_dimension) == (4, 16)
    assert narrow(random_views()[0])[1].shape == (16, 4)
    for name, weight in wide.named_parameters():
        assert torch.equal(weight, narrow.get_parameter(name)), name
    assert len(list(narrow.parameters())) == len(list(wide.parameters())) + 1


def test_the_dimension_of_the_expander_counts_where_there_is_no_other():
    with pytest.raises(InputError, match="twice the embeddings' dimension.* got 8 for 16 dimensions"):
        tiny_method(WMSE, dataclasses.replace(GIVEN, dimension=None))


def test_the_method_is_the_loss_of_the_embeddings_of_both_views_in_the_counters_order():
    method, views = tiny_method(WMSE, dataclasses.replace(GIVEN, epsilon=1e-2)), random_views()
    loss = method.loss(views, progress=progress(0.0))
    order = permutation(method.counter, 16)
    assert torch.equal(loss.total, wmse_loss(*method.embed(*views), order=order, w_size=8, epsilon=1e-2))


def test_the_permutation_is_new_in_each_step_and_of_other_seeds():
    method, views = tiny_method(WMSE, GIVEN), random_views()
    first = [method.loss(views, progress=progress(0.0)).total.item() for _ in range(2)]
    method.after_step(progress=progress(0.0))
    second = method.loss(views, progress=progress(0.5)).total.item()
    assert first[0] == first[1] != second
    method.reset_state(torch.Generator().manual_seed(1))
    other = method.counter.item()
    method.reset_state(torch.Generator().manual_seed(2))
    assert method.counter.item() != other


def test_the_total_is_the_one_term_and_the_counter_is_three_steps_further_after_three_steps():
    method, views = tiny_method(WMSE, GIVEN), random_views()
    loss = method.loss(views, progress=progress(0.0))
    assert loss.terms.keys() == WMSE.TERMS.keys() == method.coefficients().keys()
    assert loss.terms["distance"].item() == loss.total.item() and not loss.terms["distance"].requires_grad
    start = method.counter.item()
    take_steps(method, views, steps=3)
    assert method.counter.item() == start + 3 and method.counter.dtype == torch.int64


def test_running_moments_are_those_of_both_views_by_tenths_and_start_at_0_and_the_identity():
    method, views = tiny_method(WMSE, GIVEN), random_views()
    mean, covariance = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    assert torch.equal(method.running_mean[0], mean) and torch.equal(method.running_covariance, covariance)
    for _ in range(3):
        loss = method.loss(views, progress=progress(0.0))
        with torch.no_grad():
            z = torch.cat(method.embed(*views)).double()
        mean, covariance = 0.9 * mean + 0.1 * z.mean(dim=0), 0.9 * covariance + 0.1 * torch.cov(z.T)
    torch.testing.assert_close(method.running_mean[0], mean)
    torch.testing.assert_close(method.running_covariance, covariance)
    assert loss.embeddings.shape == (16, 4) and not loss.embeddings.requires_grad
    method.eval().loss(views, progress=progress(0.0))
    torch.testing.assert_close(method.running_covariance, covariance)
    method.reset_state(torch.Generator().manual_seed(0))
    assert not method.running_mean.any() and torch.equal(method.running_covariance, torch.eye(4, dtype=torch.float64))


def test_encode_whitens_by_the_cholesky_factor_of_the_running_covariance():
    method, view = tiny_method(WMSE, GIVEN), random_views()[0]
    take_steps(method, random_views(), steps=3)
    method.eval()
    with torch.no_grad():
        encoded, (representations, z) = method.encode(view), method(view)
    assert torch.equal(encoded.representations, representations) and encoded.embeddings.dtype == torch.float32
    shrunk = (1 - 1e-6) * method.running_covariance + 1e-6 * torch.eye(4, dtype=torch.float64)
    expected = (z - method.running_mean) @ torch.linalg.inv(written_out_cholesky(shrunk)).T
    torch.testing.assert_close(encoded.embeddings, expected.float(), rtol=1e-5, atol=1e-5)


def test_an_affine_change_of_the_embeddings_changes_nothing_that_is_judged():
    z, _ = inputs(400, 4)
    generator = torch.Generator().manual_seed(3)
    matrix, shift = torch.randn(4, 4, generator=generator, dtype=torch.float64), torch.randn(4, generator=generator)

    def judged(embeddings):
        method = tiny_method(WMSE, dataclasses.replace(GIVEN, epsilon=0.0))
        for _ in range(400):  # 0.9^400, the weight of the initial moments, is 5e-19
            method.track(embeddings)
        return method.whitened(embeddings)

    plain, scaled, mixed = judged(z), judged(z * torch.tensor([1e-2, 0.5, 3, 100]) - 7), judged(z @ matrix + 50 * shift)
    torch.testing.assert_close(torch.cov(plain.T), torch.eye(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-4)
    rotation = torch.linalg.lstsq(plain, mixed).solution  # the factor of Cholesky is another one: whitening up to a rotation
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(plain @ rotation, mixed, rtol=1e-4, atol=1e-4)
    one, other = collapse_trace(plain), collapse_trace(mixed)
    for name in ("std_mean", "dead_share", "rankme", "rms_correlation"):
        assert other[name] == pytest.approx(one[name], abs=1e-4), name


def test_a_step_reads_no_value_on_the_host():
    method, views = tiny_method(WMSE, GIVEN), random_views()
    with refused():
        method.loss(views, progress=progress(0.0)).total.backward()
        method.after_step(progress=progress(0.0))


def test_the_loss_falls_on_a_fixed_batch():
    view, noise = random_views()
    totals = take_steps(tiny_method(WMSE, GIVEN), [view, view + noise], steps=20)
    assert all(map(math.isfinite, totals)) and totals[-1] < 0.9 * totals[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize(
    ("name", "embeddings"),
    [
        ("healthy", torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("complete", 0.5 + 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("informational", torch.randn(150, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 32)),
    ],
)
def test_a_collapse_is_named_at_any_scale(name, embeddings, scale):
    target = tiny_method(WMSE, GIVEN).target_std
    assert target is None
    assert diagnosis(scale * embeddings, target_std=target) == name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dimension": 0}, "pretrain.dimension must be at least 1, but got 0; null takes the expander's output."),
        ({"epsilon": 1.0}, "pretrain.epsilon must be in [0, 1), but got 1.0; the authors have 0."),
        (
            {"w_size": 7},
            "pretrain.w_size must be at least twice the embeddings' dimension, or their covariance is near singular, but "
            "got 7 for 4 dimensions; raise it with pretrain.batch_size, or lower pretrain.dimension.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence
