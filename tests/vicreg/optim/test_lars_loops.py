"""LARS's loops on a CPU take the steps of its operations, in float32 and with bfloat16 beside it."""

import itertools

import numpy as np
import pytest
import torch

from tests.vicreg.operations import Operations
from vicreg.kernels.lars import flat, sum_squares, update
from vicreg.optim.at_once import step_at_once_with_options
from vicreg.optim.lars import LARS

SHAPES = [(64, 32, 3, 3), (300, 70), (17,), (5, 3, 1, 1), (1,), (4, 1, 3, 3), (513,), (130, 127), (0, 3), ()]
RATES = [0.0, 0.3, 0.5, 0.2, 0.05]
OPTIONS = [
    {"lars_clip": clip, "nesterov": nesterov, "decay_bias_and_norm": decay, "adapt_bias_and_norm": adapt}
    for clip, nesterov, (decay, adapt) in itertools.product(
        (False, True), (False, True), ((False, False), (True, False), (False, True))
    )
]


def parameters(dtype, *, layout=torch.contiguous_format):
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in SHAPES]
    return [
        torch.nn.Parameter(value.to(dtype, memory_format=layout if value.ndim == 4 else torch.preserve_format))
        for value in values
    ]


def gradients(step):
    random = torch.Generator().manual_seed(100 + step)
    return [10.0 ** (step % 3 - 1) * torch.randn(shape, generator=random, dtype=torch.float64) for shape in SHAPES]


def train(params, options, *, rates=RATES, transposed=False):
    optimizer = LARS(params, lr=0.0, weight_decay=0.1, eta=0.02, **options)
    for step, rate in enumerate(rates):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
            if transposed and parameter.ndim == 2:
                parameter.grad = parameter.grad.T.contiguous().T
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return optimizer


def at_once(params, options):
    """The steps in the operations that a GPU takes."""
    momenta = [torch.zeros_like(parameter) for parameter in params]
    for step, rate in enumerate(RATES):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = gradient.to(parameter)
        for is_matrix in (True, False):
            chosen = [number for number, one in enumerate(params) if (one.ndim > 1) == is_matrix]
            with torch.no_grad():
                step_at_once_with_options(
                    [params[i] for i in chosen], [momenta[i] for i in chosen], lr=rate, momentum=0.9,
                    weight_decay=0.1 if is_matrix or options["decay_bias_and_norm"] else 0.0,
                    eta=0.02 if is_matrix or options["adapt_bias_and_norm"] else None,
                    clip=options["lars_clip"], nesterov=options["nesterov"],
                )  # fmt: skip


def apart(params, others):
    return np.max([  # nan where one is: `max` may skip it
        ((a.detach().double() - b.detach().double()).norm() / b.detach().double().norm().clamp(min=1e-30)).item()
        for a, b in zip(params, others, strict=True)
        if a.numel() > 0
    ])  # fmt: skip


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_loops_take_the_steps_of_the_operations_and_of_float64(options, layout):
    loops, operations, exact = parameters(torch.float32, layout=layout), parameters(torch.float32), parameters(torch.float64)
    train(loops, options)
    at_once(operations, options)
    train(exact, options)
    assert apart(loops, operations) < 1e-6
    assert apart(loops, exact) < 1e-6


def test_a_float32_step_of_matrices_on_a_cpu_calls_no_operation_that_computes():
    params = parameters(torch.float32)
    optimizer = train(params, OPTIONS[0])
    for vector in (parameter for parameter in params if parameter.ndim <= 1):
        vector.grad = None
    with Operations() as seen:
        optimizer.step()
    computing = ("mul", "add", "sub", "norm", "copy", "zeros", "lerp")
    assert [name for name in seen.names if any(part in name for part in computing)] == []
    assert any("as_strided" in name for name in seen.names), "views of memory are seen"


def test_a_gradient_in_another_order_in_memory_gives_the_same_bits():
    one, other = parameters(torch.float32), parameters(torch.float32)
    train(one, OPTIONS[0])
    train(other, OPTIONS[0], transposed=True)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_weight_that_does_not_lie_densely_takes_the_operations():
    wide = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    strided, dense = torch.nn.Parameter(wide[:, ::2]), torch.nn.Parameter(wide[:, ::2].contiguous())
    assert flat(strided, strided) is None and flat(dense, dense) is not None
    for parameter in (strided, dense):
        parameter.grad = torch.ones_like(parameter)
        LARS([parameter], lr=0.5, weight_decay=0.1, eta=0.02).step()
    torch.testing.assert_close(strided, dense)


def test_results_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            random = torch.Generator().manual_seed(0)
            weights = [torch.nn.Parameter(torch.randn(rows, 2, generator=random)) for rows in (350_000, 3, 9_000, 40)]
            for weight in weights:
                weight.grad = weight.detach().sin()
            optimizer = LARS(weights, lr=0.5, weight_decay=0.1, eta=0.02)
            optimizer.step()
            optimizer.step()
            found.append([*(weight.detach() for weight in weights), optimizer.gradient_norm])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, first) for others in found for one, first in zip(others, found[0], strict=True))


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 16384, 16385, 100_003])
def test_sums_of_squares_are_those_of_float64(count):
    random = torch.Generator().manual_seed(count)
    p, g = (torch.randn(count, generator=random) for _ in range(2))
    found = sum_squares(p.numpy(), g.numpy(), decay=0.3)
    for one, value in zip(found, (p.double(), g.double(), g.double() + 0.3 * p.double()), strict=True):
        assert one == pytest.approx(value.square().sum().item(), rel=3e-7)


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_the_norm_of_all_gradients_is_found_on_the_way(options):
    params = parameters(torch.float32)
    optimizer = train(params, options)
    expected = torch.cat([parameter.grad.double().flatten() for parameter in params]).norm()
    torch.testing.assert_close(optimizer.gradient_norm.double(), expected, rtol=1e-6, atol=0)


def test_a_copy_in_bfloat16_is_rounded_as_torch_does_and_its_gradient_taken():
    params, twins = parameters(torch.float32), parameters(torch.float32)
    optimizer, plain = (LARS(given, lr=0.3, weight_decay=0.1, eta=0.02, nesterov=True) for given in (params, twins))
    matrices = [parameter for parameter in params if parameter.ndim > 1]
    for parameter in matrices:
        optimizer.rounded[parameter] = parameter.detach().bfloat16().requires_grad_()
    for step in range(3):
        for parameter, twin, gradient in zip(params, twins, gradients(step), strict=True):
            twin.grad = gradient.bfloat16().float()
            if parameter.ndim > 1:
                optimizer.rounded[parameter].grad = gradient.bfloat16()
            else:
                parameter.grad = twin.grad.clone()
        optimizer.step()
        plain.step()
    assert all(torch.equal(a, b) for a, b in zip(params, twins, strict=True))
    assert torch.equal(optimizer.gradient_norm, plain.gradient_norm)
    assert all(torch.equal(optimizer.rounded[parameter], parameter.bfloat16()) for parameter in matrices)


def test_bits_of_bfloat16_round_to_nearest_even_and_keep_infinities_and_nan():
    halves = torch.arange(0x3F800000, 0x3F840000, 0x4000, dtype=torch.int32).view(torch.float32)
    special = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, -torch.nan, 3.4028235e38, 1e-45])
    weight = torch.cat((halves, -halves, halves * 1.001, special))
    bits = torch.zeros(len(weight), dtype=torch.uint16)
    zero = torch.zeros_like(weight)
    update(
        weight.numpy(), zero.numpy(), zero.clone().numpy(), of_gradient=1.0, of_weight=0.0, momentum=0.9, lr=0.0,
        rounded=bits.numpy(),
    )  # fmt: skip
    found, expected = bits.view(torch.bfloat16), weight.bfloat16()
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert not found[weight.isfinite()].isnan().any()
