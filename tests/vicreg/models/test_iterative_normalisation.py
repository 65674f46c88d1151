"""Iterative normalisation: against eigenvalues, its running state, and one view at a time."""

import pytest
import torch

from vicreg.models.iterative_normalisation import IterativeNormalisation, group_width, inverse_square_root
from vicreg.models.resnet import initialise
from vicreg.models.view_batchnorm import counted_at_once, normalised_per_view


def batch(n=64, d=12, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing + 3).to(dtype)


def by_eigenvalues(covariance, *, steps):
    """W from the recursion of each eigenvalue s of the covariance divided by its trace: p <- (3 p - p^3 s) / 2."""
    values, vectors = torch.linalg.eigh(covariance)
    trace = values.sum()
    roots = torch.ones_like(values)
    for _ in range(steps):
        roots = (3 * roots - roots**3 * values / trace) / 2
    return vectors @ torch.diag(roots / trace.sqrt()) @ vectors.T


def reference(view, *, width, steps=5, eps=1e-5):
    """The whitened view (n, d), and the mean and W of each group of `width` dimensions, one group after another."""
    parts, means, matrices = [], [], []
    for start in range(0, view.shape[1], width):
        group = view[:, start : start + width]
        mean = group.sum(dim=0) / len(view)
        covariance = (group - mean).T @ (group - mean) / len(view) + eps * torch.eye(width, dtype=view.dtype)
        matrix = by_eigenvalues(covariance, steps=steps)
        parts.append((group - mean) @ matrix.T)
        means.append(mean)
        matrices.append(matrix)
    return torch.cat(parts, dim=1), torch.stack(means), torch.stack(matrices)


def layer_of(d=12, *, groups=3, steps=5):
    return IterativeNormalisation(d, groups=groups, steps=steps).double().train()


def test_many_steps_give_the_inverse_square_root():
    matrices = torch.stack([batch(seed=seed).T @ batch(seed=seed) for seed in range(3)])
    root = inverse_square_root(matrices, steps=40)
    torch.testing.assert_close(
        root @ matrices @ root, torch.eye(12, dtype=torch.float64).expand(3, 12, 12), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_steps_are_newtons_recursion_of_each_eigenvalue(steps):
    matrix = batch().T @ batch()
    torch.testing.assert_close(
        inverse_square_root(matrix, steps=steps), by_eigenvalues(matrix, steps=steps), rtol=1e-9, atol=0
    )


def test_many_steps_whiten_each_group_of_a_batch_and_leave_groups_correlated():
    view = batch()
    whitened = layer_of(steps=40)(view)
    covariance = whitened.T @ whitened / 64
    for start in range(0, 12, 4):
        block = covariance[start : start + 4, start : start + 4]
        torch.testing.assert_close(block, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-3)  # but for the epsilon
    assert covariance[:4, 4:8].abs().max() > 0.05


@pytest.mark.parametrize(("d", "groups", "width"), [(12, 3, 4), (12, 1, 12), (12, 64, 1), (10, 3, 2)])
@pytest.mark.parametrize("n", [64, 8])
def test_output_and_gradient_equal_those_of_one_group_after_another(d, groups, width, n):
    ours, theirs = batch(n, d).requires_grad_(), batch(n, d).requires_grad_()
    weights = batch(n, d, seed=1)
    assert group_width(d, groups) == width
    output, (expected, _, _) = layer_of(d, groups=groups)(ours), reference(theirs, width=width)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-8 * theirs.grad.abs().max().item())


def test_groups_are_of_a_width_that_divides_the_dimension_as_the_authors_choose_it():
    assert [group_width(d, 64) for d in (2048, 4096, 512, 64, 16, 96)] == [32, 64, 8, 1, 1, 2]
    assert group_width(10, 3) == 2  # 4 does not divide it


def test_the_running_state_moves_a_tenth_of_the_way_to_each_batchs_and_is_what_eval_mode_uses():
    layer = layer_of()
    mean, matrix = torch.zeros(3, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    for seed in range(3):
        layer(batch(seed=seed))
        _, of_batch, matrix_of_batch = reference(batch(seed=seed), width=4)
        mean, matrix = 0.9 * mean + 0.1 * of_batch, 0.9 * matrix + 0.1 * matrix_of_batch
    torch.testing.assert_close(layer.running_mean[..., 0], mean, rtol=1e-9, atol=0)
    torch.testing.assert_close(layer.running_whitening, matrix, rtol=1e-8, atol=1e-12)
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    view = batch(5, seed=7)
    expected = torch.einsum("gij,ngj->ngi", matrix, view.reshape(5, 3, 4) - mean).reshape(5, 12)
    torch.testing.assert_close(layer(view), expected, rtol=1e-8, atol=1e-10)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_scale_and_shift_follow_the_whitening_and_are_learnt():
    layer = layer_of()
    plain = layer(batch())
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(0.5)
    output = layer(batch())
    torch.testing.assert_close(output, 2 * plain + 0.5)
    output.square().sum().backward()
    assert {name for name, one in layer.named_parameters() if one.grad is not None} == {"weight", "bias"}


def test_each_view_of_one_pass_is_whitened_by_itself():
    one, other = layer_of(), layer_of()
    views = batch(seed=0), batch(seed=1)
    expected = torch.cat([one(view) for view in views])
    with counted_at_once(other), normalised_per_view(other, views=2):
        found = other(torch.cat(views))
    torch.testing.assert_close(found, expected)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    "view", [torch.ones(8, 12), torch.zeros(8, 12), torch.randn(8, 1).repeat(1, 12)], ids=["1", "0", "rank 1"]
)
def test_degenerate_batches_have_a_finite_output_and_gradient(view):
    view = view.double().requires_grad_()
    output = layer_of()(view)
    output.square().sum().backward()
    assert output.isfinite().all() and view.grad.isfinite().all()


def test_autocast_leaves_it_in_full_precision():
    layer = IterativeNormalisation(12, groups=3).train()
    view = batch(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, of_half = layer(view), layer(view.bfloat16())
    assert torch.equal(inside, layer(view)) and of_half.dtype == torch.float32


def test_a_network_of_the_meta_device_gets_its_values_from_initialise_and_the_reset():
    with torch.device("meta"):
        layer = IterativeNormalisation(12, groups=3)
    layer = layer.to_empty(device="cpu")
    initialise(layer, torch.Generator().manual_seed(0))
    layer.reset_running_state()
    fresh = IterativeNormalisation(12, groups=3)
    assert layer.state_dict().keys() == fresh.state_dict().keys() == {"weight", "bias", "running_mean", "running_whitening"}
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in layer.state_dict().items())
