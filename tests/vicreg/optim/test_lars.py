"""LARS takes the authors' steps, on all tensors at once too."""

import copy

import pytest
import torch

from tests.vicreg.operations import READS_A_VALUE, Operations
from vicreg.errors import InputError
from vicreg.optim.at_once import step_at_once
from vicreg.optim.lars import LARS

SHAPES = [(4, 3), (3,), (2, 3, 2, 2), (1,), (3, 5), (5, 2), ()]
ZERO_PARAMETER, ZERO_GRADIENT = 4, 5  # of SHAPES: one parameter starts at zero, one never has a gradient but zeros


def parameters(*, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    values[ZERO_PARAMETER].zero_()
    return [torch.nn.Parameter(value) for value in values]


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    values = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    values[ZERO_GRADIENT].zero_()
    return values


def train(optimizer, params, *, steps=range(6), rates=None):
    for step in steps:
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = gradient
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.step()


def reference(params, *, rates, momentum, weight_decay, eta, decay_bias_and_norm, adapt_bias_and_norm):
    """The authors' step, one parameter and one number at a time."""
    values = [p.detach().clone() for p in params]
    buffers = [torch.zeros_like(p) for p in values]
    for step, lr in enumerate(rates):
        for i, gradient in enumerate(gradients(step)):
            excluded = values[i].ndim <= 1
            update = gradient.clone()
            if not excluded or decay_bias_and_norm:
                update = update + weight_decay * values[i]
            if not excluded or adapt_bias_and_norm:
                param_norm, update_norm = values[i].norm().item(), update.norm().item()
                update = update * (eta * param_norm / update_norm if param_norm > 0 and update_norm > 0 else 1.0)
            buffers[i] = momentum * buffers[i] + update
            values[i] = values[i] - lr * buffers[i]
    return values


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay_bias_and_norm", [False, True])
@pytest.mark.parametrize("adapt_bias_and_norm", [False, True])
def test_lars_equals_the_authors_step_under_every_option(weight_decay, momentum, decay_bias_and_norm, adapt_bias_and_norm):
    options = {
        "momentum": momentum,
        "weight_decay": weight_decay,
        "eta": 0.02,
        "decay_bias_and_norm": decay_bias_and_norm,
        "adapt_bias_and_norm": adapt_bias_and_norm,
    }
    rates = [0.5, 1.0, 0.8, 0.3, 0.1, 0.0]
    params = parameters()
    expected = reference(params, rates=rates, **options)
    train(LARS(params, lr=0.0, **options), params, rates=rates)
    for ours, theirs in zip(params, expected, strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("decayed", [False, True])
def test_lars_equals_sgd_with_momentum_where_nothing_is_adapted(decayed):
    vectors, twins = ([torch.nn.Parameter(p.detach().flatten().clone()) for p in parameters()] for _ in range(2))
    lars = LARS(vectors, lr=0.3, momentum=0.9, weight_decay=0.5, decay_bias_and_norm=decayed)
    sgd = torch.optim.SGD(twins, lr=0.3, momentum=0.9, weight_decay=0.5 if decayed else 0.0)
    for step in range(5):
        for optimizer, params in ((lars, vectors), (sgd, twins)):
            for parameter, gradient in zip(params, gradients(step), strict=True):
                parameter.grad = gradient.flatten()
            optimizer.step()
    for ours, theirs in zip(vectors, twins, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_the_first_step_of_a_weight_tensor_has_eta_times_its_own_length():
    weight = torch.nn.Parameter(torch.full((2, 2), 3.0))  # of norm 6
    before = weight.detach().clone()
    weight.grad = torch.tensor([[1000.0, 0.0], [0.0, 0.0]])
    LARS([weight], lr=0.5, eta=0.01).step()
    torch.testing.assert_close(before - weight.detach(), torch.tensor([[0.5 * 0.01 * 6, 0.0], [0.0, 0.0]]))


def test_the_step_does_not_depend_on_the_scale_of_the_gradient():
    steps = []
    for scale in (1.0, 1e6):
        weight = torch.nn.Parameter(torch.ones(3, 3, dtype=torch.float64))
        weight.grad = scale * torch.arange(9, dtype=torch.float64).reshape(3, 3)
        LARS([weight], lr=0.5).step()
        steps.append(weight.detach())
    torch.testing.assert_close(steps[0], steps[1])


def test_zero_parameters_and_zero_gradients_stay_finite_and_take_the_plain_step():
    zero, still = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    zero.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    LARS([zero, still], lr=0.5).step()
    assert torch.equal(zero.detach(), torch.full((2, 2), -0.5))
    assert torch.equal(still.detach(), torch.ones(2, 2))


@pytest.mark.parametrize("eta", [1e-3, 1e38])
def test_a_ratio_that_float32_cannot_hold_is_infinite(eta):
    parameter = torch.nn.Parameter(torch.full((2, 2), 3.0))
    parameter.grad = torch.full((2, 2), 1e-10)
    LARS([parameter], lr=1.0, eta=eta).step()
    assert bool(parameter.isfinite().all()) == (eta < 1), "the run has diverged, and says so"


def test_a_learning_rate_in_a_tensor_gives_the_same_bits_as_a_number():
    by_number, by_tensor = ([torch.nn.Parameter(p.detach().float()) for p in parameters()] for _ in range(2))
    rate = torch.tensor(0.0)
    optimizers = (LARS(by_number, lr=0.0, weight_decay=0.1), LARS(by_tensor, lr=rate, weight_decay=0.1))
    for step, lr in enumerate([0.5, 0.123456789, 1e-3]):
        optimizers[0].param_groups[0]["lr"] = lr
        rate.fill_(lr)  # in place: the optimiser holds this very tensor
        for optimizer, params in zip(optimizers, (by_number, by_tensor), strict=True):
            for parameter, gradient in zip(params, gradients(step), strict=True):
                parameter.grad = gradient.float()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(by_number, by_tensor, strict=True))


def test_a_step_leaves_gradients_as_they_were_and_skips_parameters_without_one():
    weight, idle = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    optimizer = LARS([weight, idle], lr=0.5, weight_decay=0.1)
    optimizer.step()
    assert torch.equal(weight.grad, torch.ones(2, 2))
    assert torch.equal(idle.detach(), torch.ones(2, 2))
    assert idle not in optimizer.state


def test_training_goes_on_from_a_saved_state_bit_for_bit():
    params = parameters()
    optimizer = LARS(params, lr=0.5, weight_decay=0.1)
    train(optimizer, params, steps=range(3))
    saved = optimizer.state_dict()
    assert all(list(state) == ["momentum_buffer"] for state in saved["state"].values())

    others = [torch.nn.Parameter(p.detach().clone()) for p in params]
    resumed = LARS(others, lr=99.0)
    resumed.load_state_dict(copy.deepcopy(saved))
    train(optimizer, params, steps=range(3, 6))
    train(resumed, others, steps=range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(params, others, strict=True))


@pytest.mark.parametrize("number", [True, False], ids=["number", "tensor"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("eta", [None, 0.02])
def test_the_step_at_once_that_gpus_take_is_the_step_tensor_by_tensor(weight_decay, eta, number):
    ours, theirs = parameters(), parameters()
    optimizer = LARS(
        theirs, lr=0.0, momentum=0.9, weight_decay=weight_decay, eta=eta or 1.0, decay_bias_and_norm=True,
        adapt_bias_and_norm=True,
    )  # fmt: skip
    if eta is None:
        optimizer = torch.optim.SGD(theirs, lr=0.0, momentum=0.9, weight_decay=weight_decay)
    momenta = [torch.zeros_like(parameter) for parameter in ours]
    rates = [0.5, 1.0, 0.3]
    train(optimizer, theirs, steps=range(3), rates=rates)
    for step, rate in enumerate(rates):
        given = gradients(step)
        for parameter, gradient in zip(ours, given, strict=True):
            parameter.grad = gradient.clone()
        lr = rate if number else torch.tensor(rate, dtype=torch.float64)
        with torch.no_grad():
            step_at_once(ours, momenta, lr=lr, momentum=0.9, weight_decay=weight_decay, eta=eta)
        assert all(torch.equal(parameter.grad, one) for parameter, one in zip(ours, given, strict=True))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_a_step_at_once_calls_few_operations_whatever_the_number_of_tensors():
    counts = []
    for number in (3, 30):
        params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(number)]
        for parameter in params:
            parameter.grad = torch.ones(2, 2)
        momenta = [torch.zeros(2, 2) for _ in params]
        with torch.no_grad(), Operations() as seen:
            step_at_once(params, momenta, lr=torch.tensor(0.1), momentum=0.9, weight_decay=0.1, eta=0.001)
        counts.append(len(seen.names))
        assert seen.count(READS_A_VALUE) == 0
    assert counts[0] == counts[1] < 25


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([weight], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert weight.sum().item() < 4


def test_a_step_never_reads_a_value_from_the_device():
    # On the meta device there are no values: whatever asks for one raises.
    params = [torch.nn.Parameter(torch.empty(shape, device="meta")) for shape in SHAPES]
    for parameter in params:
        parameter.grad = torch.empty_like(parameter)
    optimizer = LARS(params, lr=0.1, weight_decay=0.1, decay_bias_and_norm=True, adapt_bias_and_norm=True)
    optimizer.param_groups[0]["lr"] = torch.empty((), device="meta")
    optimizer.step()
    optimizer.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, r"lr must be at least 0, but got -0\.1"),
        ({"lr": 0.1, "weight_decay": -1}, r"weight_decay must be at least 0, but got -1"),
        ({"lr": 0.1, "eta": float("nan")}, r"eta must be at least 0, but got nan"),
        ({"lr": 0.1, "momentum": 1.0}, r"momentum must lie in \[0, 1\), but got 1\.0"),
    ],
)
def test_bad_settings_are_refused_with_rule_and_value(options, message):
    with pytest.raises(InputError, match=message):
        LARS(parameters(), **options)
