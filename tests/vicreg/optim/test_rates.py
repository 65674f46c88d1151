"""Parts of a method have learning rates of their own."""

import pytest
import torch
from torch import nn

from vicreg.errors import InputError
from vicreg.optim.lars import LARS
from vicreg.optim.rates import RateGroup, own_tensors, set_rates, split_by_rate


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def optimizers(model):
    """Each optimiser that a run can have, by name, for the parameters of a model."""
    decayed, others = [p for p in model.parameters() if p.ndim > 1], [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return {
        "lars": lambda: LARS(model.parameters(), lr=0.0, weight_decay=0.1),
        "sgd": lambda: torch.optim.SGD(groups, lr=0.0, momentum=0.9),
        "adamw": lambda: torch.optim.AdamW(groups, lr=0.0),
    }


def take_step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(5, 3)).square().sum().backward()
    optimizer.step()


def test_each_part_has_its_rate_at_each_step_and_a_constant_one_has_the_peak():
    model = layers()
    optimizer = LARS(model.parameters(), lr=0.0)
    split_by_rate(optimizer, [RateGroup(list(model[1].parameters()), is_constant=True), RateGroup([model[0].bias], 0.25)])
    held = [group["lr"] for group in optimizer.param_groups]
    for rate in (0.0, 0.5, 2.0):
        set_rates(optimizer, rate, peak=2.0)
        assert [float(group["lr"]) for group in optimizer.param_groups] == [rate, 2.0, 0.25 * rate]
    assert all(group["lr"] is tensor for group, tensor in zip(optimizer.param_groups, held, strict=True)), "filled in place"
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 2, 1]


@pytest.mark.parametrize("name", ["lars", "sgd", "adamw"])
def test_a_split_that_changes_no_rate_trains_the_same_weights_bit_for_bit(name):
    whole, split = layers(), layers()
    plain, parted = optimizers(whole)[name](), optimizers(split)[name]()
    split_by_rate(parted, [RateGroup([split[1].weight]), RateGroup([split[0].bias])])
    for rate in (0.1, 0.3, 0.2):
        for group in plain.param_groups:
            group["lr"] = torch.tensor(rate)
        set_rates(parted, rate, peak=0.3)
        take_step(whole, plain)
        take_step(split, parted)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), split.parameters(), strict=True))


def test_a_scale_of_0_keeps_the_parameters_and_leaves_the_others_alone():
    model = layers()
    first, second = model[0].weight.detach().clone(), model[1].weight.detach().clone()
    optimizer = optimizers(model)["sgd"]()
    split_by_rate(optimizer, [RateGroup(list(model[0].parameters()), scale=0.0)])
    set_rates(optimizer, 0.1, peak=0.1)
    take_step(model, optimizer)
    assert torch.equal(model[0].weight, first)
    assert not torch.equal(model[1].weight, second)


def test_a_part_keeps_the_options_of_its_group():
    model = layers()
    optimizer = optimizers(model)["sgd"]()
    split_by_rate(optimizer, [RateGroup(list(model[1].parameters()), 2.0)])
    decays = [(group["weight_decay"], group["rate_scale"], len(group["params"])) for group in optimizer.param_groups]
    assert decays == [(0.1, 1.0, 1), (0.1, 2.0, 1), (0.0, 1.0, 1), (0.0, 2.0, 1)]
    assert all(group["momentum"] == 0.9 for group in optimizer.param_groups)


def test_parts_that_were_given_one_tensor_get_their_own_again():
    model = layers()
    optimizer = optimizers(model)["sgd"]()
    split_by_rate(optimizer, [RateGroup([model[0].weight], 3.0)])
    shared = torch.zeros(())
    for group in optimizer.param_groups:
        group["lr"] = shared
    own_tensors(optimizer)
    set_rates(optimizer, 1.0, peak=1.0)
    assert [float(group["lr"]) for group in optimizer.param_groups] == [1.0, 3.0, 1.0]


def test_rates_are_set_without_reading_a_value():
    # On the meta device there are no values: whatever asks for one raises.
    weight = nn.Parameter(torch.empty(2, 2, device="meta"))
    optimizer = LARS([weight], lr=0.0)
    split_by_rate(optimizer, [RateGroup([weight], 2.0)])
    set_rates(optimizer, 0.5, peak=1.0)
    assert optimizer.param_groups[0]["lr"].device.type == "meta"


def test_wrong_rate_groups_are_refused():
    model, stranger = layers(), nn.Parameter(torch.zeros(7))
    optimizer = LARS(model.parameters(), lr=0.0)
    with pytest.raises(InputError, match=r"shape \(4, 3\) is in two rate groups"):
        split_by_rate(optimizer, [RateGroup([model[0].weight]), RateGroup([model[0].weight], 2.0)])
    with pytest.raises(InputError, match=r"shape \(7,\) is not its"):
        split_by_rate(optimizer, [RateGroup([stranger])])
    with pytest.raises(InputError, match=r"at least 0 and finite, but got -1"):
        RateGroup([stranger], scale=-1.0)
