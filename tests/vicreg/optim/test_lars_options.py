"""LARS clipped as in solo-learn, and LARS with Nesterov's momentum."""

import numpy as np
import pytest
import torch

import vicreg.torchvision_compat  # noqa: F401  # before lightly, which imports torchvision
from tests.vicreg.operations import READS_A_VALUE, Operations
from vicreg.errors import InputError
from vicreg.optim.at_once import step_at_once_with_options
from vicreg.optim.lars import LARS
from vicreg.optim.learning_rate import learning_rate

SHAPES = [(4, 3), (3,), (2, 3, 2, 2), (1,), (3, 5), (5, 2), (4,)]
ZERO_PARAMETER, ZERO_GRADIENT = 4, 5  # of SHAPES: one parameter starts at zero, one never has a gradient but zeros
STEPS, ETA, DECAY, MOMENTUM = 24, 0.02, 0.1, 0.9


def warm_up_and_cosine():
    """solo-learn's schedule in small: from 3e-5 to the peak, and down to 0."""
    return [
        learning_rate(step, steps_per_epoch=2, epochs=12, warmup_epochs=4, peak_lr=0.3, start_lr=3e-5, end_lr=0.0)
        for step in range(STEPS)
    ]


def parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    values[ZERO_PARAMETER].zero_()
    return [torch.nn.Parameter(value.to(dtype)) for value in values]


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    scale = 10.0 ** (step % 5 - 2)  # small ones are adapted to steps that the clipping shortens, large ones are not
    values = [scale * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    values[ZERO_GRADIENT].zero_()
    return values


def train(optimizer, params, rates):
    for step, rate in enumerate(rates):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = gradient.to(parameter)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()


def solo_learn(rates, *, clip=True, nesterov=False, weight_decay=DECAY):
    """The step of solo/utils/lars.py in NumPy, one parameter at a time; returns the parameters and how often it clipped."""
    values = [p.detach().numpy().copy() for p in parameters()]
    buffers = [np.zeros_like(value) for value in values]
    clipped = {True: 0, False: 0}
    for step, lr in enumerate(rates):
        for i, gradient in enumerate(one.numpy() for one in gradients(step)):
            update = gradient
            norm, of_gradient = np.sqrt((values[i] ** 2).sum()), np.sqrt((gradient**2).sum())
            if values[i].ndim > 1 and norm > 0 and of_gradient > 0:
                ratio = ETA * norm / (of_gradient + weight_decay * norm + 1e-8)
                if clip:
                    clipped[bool(ratio > lr)] += 1
                    ratio = min(ratio / lr, 1.0) if lr > 0 else 1.0
                update = ratio * (gradient + weight_decay * values[i])
            buffers[i] = MOMENTUM * buffers[i] + update
            values[i] = values[i] - lr * (update + MOMENTUM * buffers[i] if nesterov else buffers[i])
    return values, clipped


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, DECAY])
def test_the_clipped_step_is_solo_learns_through_warm_up_and_cosine(nesterov, weight_decay):
    rates = warm_up_and_cosine()
    params = parameters()
    optimizer = LARS(
        params, lr=0.0, momentum=MOMENTUM, weight_decay=weight_decay, eta=ETA, lars_clip=True, nesterov=nesterov
    )
    train(optimizer, params, rates)
    expected, clipped = solo_learn(rates, nesterov=nesterov, weight_decay=weight_decay)
    assert min(clipped.values()) > 10, "the steps are some of them shortened by clipping, and some not"
    for ours, theirs in zip(params, expected, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rate", [1e-4, 0.5])
@pytest.mark.parametrize(("gradient", "is_clipped"), [(1e-3, True), (1e3, False)])
def test_a_clipped_step_is_the_shorter_of_the_plain_step_and_eta_times_the_norm(rate, gradient, is_clipped):
    weight = torch.nn.Parameter(torch.full((2, 2), 3.0, dtype=torch.float64))  # of norm 6
    before = weight.detach().clone()
    weight.grad = torch.full((2, 2), gradient, dtype=torch.float64)
    LARS([weight], lr=rate, momentum=0.0, eta=1e-3, lars_clip=True).step()
    plain, adapted = rate * 2 * gradient, 1e-3 * 6
    assert (plain < adapted) == is_clipped
    assert (before - weight.detach()).norm().item() == pytest.approx(min(plain, adapted), rel=1e-7)


def test_where_a_norm_is_0_the_gradient_is_taken_as_it_is_without_decay():
    zero, still = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    zero.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    LARS([zero, still], lr=0.5, weight_decay=0.1, lars_clip=True).step()
    assert torch.equal(zero.detach(), torch.full((2, 2), -0.5))
    assert torch.equal(still.detach(), torch.ones(2, 2))


@pytest.mark.parametrize("eta", [0.0, 0.02])
def test_at_a_rate_of_0_a_clipped_step_changes_no_weight_and_remembers_the_plain_gradient(eta):
    for options in ({}, {"device": "meta"}):
        weight = torch.nn.Parameter(torch.ones(2, 2, **options))
        weight.grad = torch.full((2, 2), 3.0, **options)
        optimizer = LARS([weight], lr=0.0, eta=eta, lars_clip=True)
        optimizer.step()
        if not options:
            assert torch.equal(weight.detach(), torch.ones(2, 2))
            assert torch.equal(optimizer.state[weight]["momentum_buffer"], torch.full((2, 2), 3.0))
    momenta = [torch.zeros(2, 2)]
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.full((2, 2), 3.0)
    with torch.no_grad():
        step_at_once_with_options(
            [weight], momenta, lr=torch.tensor(0.0), momentum=0.9, weight_decay=0.1, eta=eta, clip=True, nesterov=False
        )
    assert torch.equal(weight.detach(), torch.ones(2, 2)) and bool(momenta[0].isfinite().all())


@pytest.mark.parametrize("decay_bias_and_norm", [False, True])
def test_biases_are_decayed_and_adapted_only_where_asked(decay_bias_and_norm):
    bias = torch.nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))  # of norm 4
    bias.grad = torch.full((4,), 3.0, dtype=torch.float64)  # of norm 6
    LARS(
        [bias], lr=0.5, momentum=0.0, weight_decay=0.25, eta=0.1, decay_bias_and_norm=decay_bias_and_norm, lars_clip=True
    ).step()
    assert bias[0].item() == pytest.approx(2.0 - 0.5 * (3.5 if decay_bias_and_norm else 3.0))
    adapted = torch.nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))
    adapted.grad = bias.grad
    LARS([adapted], lr=0.5, momentum=0.0, eta=0.1, adapt_bias_and_norm=True, lars_clip=True).step()
    assert adapted[0].item() == pytest.approx(2.0 - 3.0 * 0.1 * 4 / (6 + 1e-8))


def test_nesterov_without_clipping_is_lightlys_where_only_its_ratio_is_exchanged():
    # lightly adapts nothing without weight decay, and adds norms where ours takes the norm of the sum. At a decay of 1e-9
    # that does not count. A gradient of zeros is left out: ours decays there, lightly does not.
    from lightly.utils.lars import LARS as Lightly

    kept = [i for i, shape in enumerate(SHAPES) if len(shape) > 1 and i != ZERO_GRADIENT]
    ours, theirs = ([parameters()[i] for i in kept] for _ in range(2))
    optimizers = (
        LARS(ours, lr=0.0, momentum=MOMENTUM, weight_decay=1e-9, eta=ETA, nesterov=True),
        Lightly(theirs, lr=0.1, momentum=MOMENTUM, weight_decay=1e-9, trust_coefficient=ETA, eps=0.0, nesterov=True),
    )
    for step, rate in enumerate(warm_up_and_cosine()):
        for optimizer, params in zip(optimizers, (ours, theirs), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            for parameter, index in zip(params, kept, strict=True):
                parameter.grad = gradients(step)[index]
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("decayed", [False, True])
def test_nesterov_is_torchs_where_nothing_is_adapted(decayed):
    vectors, twins = ([torch.nn.Parameter(p.detach().flatten().clone()) for p in parameters()] for _ in range(2))
    optimizers = (
        LARS(vectors, lr=0.3, momentum=0.9, weight_decay=0.5, decay_bias_and_norm=decayed, nesterov=True),
        torch.optim.SGD(twins, lr=0.3, momentum=0.9, weight_decay=0.5 if decayed else 0.0, nesterov=True),
    )
    for step in range(5):
        for optimizer, params in zip(optimizers, (vectors, twins), strict=True):
            for parameter, gradient in zip(params, gradients(step), strict=True):
                parameter.grad = gradient.flatten()
            optimizer.step()
    for ours, theirs in zip(vectors, twins, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("number", [True, False], ids=["number", "tensor"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("eta", [None, 0.02])
@pytest.mark.parametrize(("clip", "nesterov"), [(True, False), (True, True), (False, True)])
def test_the_step_at_once_that_gpus_take_is_the_step_tensor_by_tensor(clip, nesterov, weight_decay, eta, number):
    ours, theirs = parameters(), parameters()
    optimizer = LARS(
        theirs, lr=0.0, momentum=0.9, weight_decay=weight_decay, eta=eta or 1.0, decay_bias_and_norm=True,
        adapt_bias_and_norm=True, lars_clip=clip, nesterov=nesterov,
    )  # fmt: skip
    if eta is None:
        optimizer = torch.optim.SGD(theirs, lr=0.0, momentum=0.9, weight_decay=weight_decay, nesterov=nesterov)
    rates = warm_up_and_cosine()
    train(optimizer, theirs, rates)
    momenta = [torch.zeros_like(parameter) for parameter in ours]
    for step, rate in enumerate(rates):
        given = gradients(step)
        for parameter, gradient in zip(ours, given, strict=True):
            parameter.grad = gradient.clone()
        lr = rate if number else torch.tensor(rate, dtype=torch.float64)
        with torch.no_grad():
            step_at_once_with_options(
                ours, momenta, lr=lr, momentum=0.9, weight_decay=weight_decay, eta=eta, clip=clip, nesterov=nesterov
            )
        assert all(torch.equal(parameter.grad, one) for parameter, one in zip(ours, given, strict=True))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("clip", "nesterov"), [(True, False), (True, True), (False, True)])
def test_a_step_at_once_calls_few_operations_and_reads_no_value(clip, nesterov):
    counts = []
    for number in (3, 30):
        params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(number)]
        for parameter in params:
            parameter.grad = torch.ones(2, 2)
        momenta = [torch.zeros(2, 2) for _ in params]
        with torch.no_grad(), Operations() as seen:
            step_at_once_with_options(
                params, momenta, lr=torch.tensor(0.1), momentum=0.9, weight_decay=0.1, eta=0.02, clip=clip, nesterov=nesterov
            )
        counts.append(len(seen.names))
        assert seen.count(READS_A_VALUE) == 0
    assert counts[0] == counts[1] < 32


@pytest.mark.parametrize("clip", [False, True])
def test_a_step_never_reads_a_value_from_the_device(clip):
    # On the meta device there are no values: whatever asks for one raises.
    params = [torch.nn.Parameter(torch.empty(shape, device="meta")) for shape in SHAPES]
    for parameter in params:
        parameter.grad = torch.empty_like(parameter)
    optimizer = LARS(params, lr=0.1, weight_decay=0.1, decay_bias_and_norm=True, lars_clip=clip, nesterov=True)
    optimizer.param_groups[0]["lr"] = torch.empty((), device="meta")
    optimizer.step()
    optimizer.step()


def test_training_goes_on_from_a_saved_state_bit_for_bit():
    rates = warm_up_and_cosine()
    whole, params = parameters(), parameters()
    options = {"momentum": MOMENTUM, "weight_decay": DECAY, "eta": ETA, "lars_clip": True, "nesterov": True}
    train(LARS(whole, lr=0.0, **options), whole, rates[:6])
    optimizer = LARS(params, lr=0.0, **options)
    train(optimizer, params, rates[:3])
    resumed = LARS(params, lr=0.0, **options)
    resumed.load_state_dict(optimizer.state_dict())
    for step in range(3, 6):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = gradient
        resumed.param_groups[0]["lr"] = rates[step]
        resumed.step()
    assert all(torch.equal(a, b) for a, b in zip(whole, params, strict=True))


def test_a_gradient_that_is_not_finite_stays_visible():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.tensor([[float("inf"), 1.0], [1.0, 1.0]])
    LARS([weight], lr=0.1, lars_clip=True).step()
    assert not weight.isfinite().all(), "the run has diverged, and says so"


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(InputError, match="nesterov needs a momentum above 0, but got 0"):
        LARS(parameters(), lr=0.1, momentum=0.0, nesterov=True)
