"""BatchNorm, the sum and ReLU in one operation: torch's own, one by one and in float64, are the reference."""

import math

import pytest
import torch
from torch.nn import functional

from vicreg.models.normalise import Running, normalise
from vicreg.models.view_batchnorm import ViewBatchNorm1d, ViewBatchNorm2d, activated

SHAPES = [(4, 3, 2, 2), (6, 16, 5, 3), (8, 20), (12, 130, 1, 1), (66, 5, 1, 1)]


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tensors_of(shape):
    """Return x far from 0, a weight and a bias of both signs, a residual and a gradient of the output."""
    channels = shape[1]
    x, residual, gradient = (noise(*shape, seed=seed) for seed in range(3))
    return 3 + 2 * x, noise(channels, seed=3), noise(channels, seed=4), residual, gradient


def by_torch(x, weight, bias, residual, gradient, *, views, relu):
    """Return output, gradients and running statistics of torch's operations in float64."""
    x, weight, bias, residual = (one.double().requires_grad_() for one in (x, weight, bias, residual))
    mean, variance = torch.zeros(len(weight)).double(), torch.ones(len(weight)).double()
    parts = [
        functional.batch_norm(part, mean, variance, weight, bias, training=True, momentum=0.1, eps=1e-5)
        for part in x.chunk(views)
    ]
    y = torch.cat(parts) + residual
    y = functional.relu(y) if relu else y
    y.backward(gradient.double())
    return [y.detach(), x.grad, weight.grad, bias.grad, residual.grad, mean, variance]


def by_us(x, weight, bias, residual, gradient, *, views, relu, dtype=torch.float32):
    """Return the same of `normalise`."""
    if x.ndim == 4:
        x, residual = (one.contiguous(memory_format=torch.channels_last) for one in (x, residual))
    x, residual = (one.detach().to(dtype).requires_grad_() for one in (x, residual))
    weight, bias = (one.clone().requires_grad_() for one in (weight, bias))
    running = Running(torch.zeros(len(weight)), torch.ones(len(weight)), 0.1)
    y = normalise(x, weight, bias, running, views=views, epsilon=1e-5, relu=relu, residual=residual)
    y.backward(gradient.to(dtype))
    return [y.detach(), x.grad, weight.grad, bias.grad, residual.grad, running.mean, running.variance]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_gradients_and_statistics_are_torchs_to_rounding(shape, views, relu):
    tensors = tensors_of(shape)
    for ours, theirs in zip(
        by_us(*tensors, views=views, relu=relu), by_torch(*tensors, views=views, relu=relu), strict=True
    ):
        assert ours.shape == theirs.shape and theirs.abs().max() > 0.05
        torch.testing.assert_close(ours.double(), theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_is_rounded_once(shape):
    tensors = [one.bfloat16().float() for one in tensors_of(shape)]
    y, expected = (by(*tensors, views=2, relu=True)[0] for by in (_in_bfloat16, by_torch))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), expected, rtol=2**-8, atol=1e-5)


def _in_bfloat16(*tensors, views, relu):
    return by_us(*tensors, views=views, relu=relu, dtype=torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden_by_relu(broken, dtype):
    x, weight, bias, residual, _ = tensors_of((4, 3, 2, 2))
    x[0, 1, 0, 0] = broken
    running = Running(torch.zeros(3), torch.ones(3), 0.1)
    y = normalise(x.to(dtype), weight, bias, running, views=1, epsilon=1e-5, relu=True, residual=residual.to(dtype))
    assert y[:, 1].isnan().any() and y[:, 0].isfinite().all()


def test_a_mean_far_from_zero_costs_no_digits():
    x = 1000 + 1e-2 * noise(64, 8)
    running = Running(torch.zeros(8), torch.ones(8), 1.0)
    normalise(x, torch.ones(8), torch.zeros(8), running, views=1, epsilon=1e-5)
    torch.testing.assert_close(running.variance, x.double().var(dim=0).float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("layer", [ViewBatchNorm1d(6), ViewBatchNorm2d(6)])
def test_a_layer_counts_each_view_and_evaluates_as_torch_does(layer):
    x = noise(8, 6) if isinstance(layer, ViewBatchNorm1d) else noise(8, 6, 2, 2)
    layer.views = 2
    activated(layer, x)
    assert int(layer.num_batches_tracked) == 2
    layer.eval()
    expected = functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)
    torch.testing.assert_close(activated(layer, x, x.clone()), functional.relu(expected + x))


def test_one_row_a_view_is_refused_as_torch_refuses_it():
    layer = ViewBatchNorm1d(4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(noise(1, 4))


@pytest.mark.parametrize("threads", [1, 2])
def test_loops_normalise_on_one_thread_and_torch_on_several(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    output = activated(ViewBatchNorm1d(4), noise(8, 4))
    assert ("_Normalise" in type(output.grad_fn).__name__) == (threads == 1)
