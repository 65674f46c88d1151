"""Dead taps that cost nothing in training come out as the plain optimiser would have made them."""

import copy
import itertools
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.vicreg.training.runs import IDENTITY, Stopped, same_weights, stop_after, timeless
from tests.vicreg.training.steps import CPU, take
from vicreg.methods import method_names
from vicreg.models.compact_taps import compact, compact_layers
from vicreg.models.live_taps import LiveTapConv2d
from vicreg.training import loop
from vicreg.training.checkpoint import latest_checkpoint, load_checkpoint
from vicreg.training.dry_pass import compact_dead_taps
from vicreg.training.loop import pretrain
from vicreg.training.memory import place_network
from vicreg.training.setup import make_optimizer, new_model
from vicreg.training.step import TrainStep

STEPS = 1000
RECIPE = {"optimizer": "lars", "momentum": 0.9, "weight_decay": 0.05, "lars_eta": 0.02, "decay_bias_and_norm": False,
          "adapt_bias_and_norm": False, "lars_clip": False, "nesterov": False}  # fmt: skip
RECIPES = [
    {}, {"nesterov": True}, {"lars_clip": True}, {"lars_clip": True, "nesterov": True},
    {"decay_bias_and_norm": True}, {"adapt_bias_and_norm": True}, {"weight_decay": 0.0}, {"momentum": 0.0},
    {"optimizer": "sgd"}, {"optimizer": "sgd", "nesterov": True}, {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "adamw"}, {"optimizer": "adamw", "decay_bias_and_norm": True},
]  # fmt: skip
USUAL = ({}, {"nesterov": True}, {"lars_clip": True}, {"optimizer": "sgd"}, {"optimizer": "adamw"})  # of every test run


class Network(nn.Module):
    """Two convolutions that reduce maps from 2 x 2 to 1 x 1, with 5 and with 8 dead taps of 9, and a layer with a bias."""

    OWN_RATES = False

    def __init__(self) -> None:
        super().__init__()
        self.first = LiveTapConv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.second = LiveTapConv2d(4, 5, 3, padding=1, bias=False)
        self.last = nn.Linear(5, 2)
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.double().parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64))

    def forward(self, images):
        return self.last(self.second(self.first(images)).tanh().flatten(1))


def train(network, recipe, *, steps=STEPS):
    """Take steps towards new random targets each, at a rate that rises and falls."""
    optimizer = make_optimizer(SimpleNamespace(**RECIPE | recipe), network)
    random = torch.Generator().manual_seed(1)
    peak = {"lars": 0.05, "sgd": 0.01, "adamw": 0.003}[(RECIPE | recipe)["optimizer"]]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1.0, step / 100) * (1 - step / steps)
        images = torch.randn(8, 3, 2, 2, generator=random, dtype=torch.float64)
        targets = torch.randn(8, 2, generator=random, dtype=torch.float64)
        optimizer.zero_grad()
        (network(images) - targets).square().mean().backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [one if one in USUAL else pytest.param(one, marks=pytest.mark.exhaustive) for one in RECIPES], ids=str
)
def test_a_thousand_steps_end_where_the_plain_optimiser_ends(recipe):
    plain, start = Network(), Network().state_dict()
    compacted = Network()
    compact(compacted, {"first": frozenset([(2, 2)]), "second": frozenset([(1, 1)])})
    assert len(compact_layers(compacted)) == 2
    train(plain, recipe)
    train(compacted, recipe)
    expected, found = plain.state_dict(), compacted.state_dict()
    assert list(expected) == list(found)
    for name, one in expected.items():
        assert (found[name] - one).norm() <= 1e-12 * one.norm(), name
    dead = expected["second.weight"][:, :, 0, 0] / start["second.weight"][:, :, 0, 0]
    moves = (RECIPE | recipe)["weight_decay"] > 0
    assert bool((dead < 0.99).all()) == moves and bool((dead == 1).all()) != moves


def test_an_average_that_follows_the_weights_has_the_dead_taps_of_an_average_of_whole_kernels():
    found = []
    for compacts in (True, False):
        both = nn.ModuleDict({"online": Network(), "target": Network().requires_grad_(False)})
        if compacts:
            maps = {"first": frozenset([(2, 2)]), "second": frozenset([(1, 1)])}
            compact(both, {f"{one}.{name}": sizes for one in both for name, sizes in maps.items()})
            assert len(compact_layers(both)) == 4
        for _ in range(5):
            train(both["online"], {}, steps=20)
            own, theirs = (list(both[one].parameters()) for one in ("target", "online"))
            torch._foreach_mul_(own, 0.7)
            torch._foreach_add_(own, torch._foreach_mul([one.detach() for one in theirs], 0.3))
        found.append(both.state_dict())
    assert list(found[0]) == list(found[1])
    for name, one in found[1].items():
        assert (found[0][name] - one).norm() <= 1e-12 * one.norm(), name
    dead = {one: found[0][f"{one}.second.weight"][0, 0, 0, 0] for one in ("online", "target")}
    assert dead["online"] != dead["target"]


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_a_weight_without_a_gradient_keeps_its_dead_taps_too(optimizer):
    network = Network()
    compact(network, {"first": frozenset([(2, 2)]), "second": frozenset([(1, 1)])})
    given = make_optimizer(SimpleNamespace(**RECIPE | {"optimizer": optimizer}), network)
    before = copy.deepcopy(network.state_dict())
    for group in given.param_groups:
        group["lr"] = 0.1
    network.second.weight.grad = torch.ones_like(network.second.weight)
    given.step()
    after = network.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["second.weight"]
    assert (before["second.weight"] != after["second.weight"]).all()


# ---- in a run


def whole_kernels(monkeypatch):
    monkeypatch.setattr(loop, "compact_dead_taps", lambda *_: None)


def far(first, second) -> float:
    """How far two runs' weights are apart, as a share of their length."""
    a, b = (
        torch.cat([value.flatten().double() for value in run.model.state_dict().values() if value.is_floating_point()])
        for run in (first, second)
    )
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("name", ["vicreg", "byol", "mocov2", "simsiam", "swav"])
def test_a_run_is_to_rounding_what_it_is_with_whole_kernels(settings, train_run, monkeypatch, name):
    given = settings(method=name, epochs=1, warmup_epochs=0, base_lr=0.01)
    compacted = train_run(given)
    whole_kernels(monkeypatch)
    plain = train_run(given)
    assert not compact_layers(compacted.model)
    assert list(plain.model.state_dict()) == list(compacted.model.state_dict())
    assert far(compacted, plain) < 1e-5
    for record, other in zip(timeless(compacted.history), timeless(plain.history), strict=True):
        assert record["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-3)
        assert record["total"] == pytest.approx(other["total"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own import
def test_a_compiled_step_is_the_eager_one_to_rounding(settings, digits):
    found = []
    for compile in (True, False):
        given = settings(compile=compile, optimizer="sgd", expander=[16], view_passes="together")
        model = place_network(new_model(given, digits), CPU)
        compact_dead_taps(model, given, digits)
        assert len(compact_layers(model)) == 4
        step = TrainStep(given, model, make_optimizer(given, model), device=CPU)
        step.reset()
        take(step, range(2), rate=0.01)
        found.append((model.state_dict(), step.totals))
    assert found[0][1].tolist() == pytest.approx(found[1][1].tolist(), rel=1e-4)
    for name, value in found[1][0].items():
        torch.testing.assert_close(found[0][0][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"method": "byol"}, marks=pytest.mark.slow),
        pytest.param({"method": "mocov3", "optimizer": "adamw"}, marks=pytest.mark.slow),
        {"optimizer": "sgd", "nesterov": True},
        {"lars_clip": True},
        {"precision": "bfloat16"},
        pytest.param({"precision": "bfloat16", "optimizer": "sgd"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_stopped_run_ends_with_the_same_bits(settings, train_run, tmp_path, changes):
    given = settings(**{"epochs": 2, "base_lr": 0.01, "weight_decay": 0.1, **changes})
    with pytest.raises(Stopped):
        train_run(given, folder=tmp_path / "run", on_epoch=stop_after(1))
    checkpoint = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
    layers = 8 if given.method in ("byol", "mocov3") else 4
    assert len(checkpoint.dead_norms) == layers
    assert {norm.dtype for norm in checkpoint.dead_norms.values()} == {torch.float64}
    whole, resumed = train_run(given), train_run(given, folder=tmp_path / "run")
    assert same_weights(whole, resumed) and timeless(whole.history) == timeless(resumed.history)


def test_a_checkpoint_holds_whole_kernels_and_momenta_of_live_taps(settings, train_run, tmp_path, digits):
    run = train_run(settings(epochs=1, warmup_epochs=0), folder=tmp_path / "run")
    checkpoint = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
    assert all(torch.equal(checkpoint.weights[name], value) for name, value in run.model.state_dict().items())
    start = new_model(settings(epochs=1, warmup_epochs=0), digits).state_dict()["backbone.layer4.0.conv2.weight"]
    kernel = checkpoint.weights["backbone.layer4.0.conv2.weight"]
    factor = (kernel / start)[:, :, 0]
    torch.testing.assert_close(factor, factor[:1, :1].expand_as(factor))
    norm = checkpoint.dead_norms["backbone.layer4.0.conv2"].item()
    alive = kernel.double().clone()
    kernel = kernel.double()
    assert norm == pytest.approx((kernel.square().sum() - alive[:, :, 1, 1].square().sum()).sqrt().item(), rel=1e-6)
    assert all(tensor.shape != kernel.shape for tensor in checkpoint.optimizer.values())


@pytest.mark.slow
def test_every_method_trains_its_live_taps_alone(settings, digits):
    compacted = {}
    for name in method_names():
        given = settings(method=name, **({"cpc.patch": 4, "cpc.stride": 2} if name == "cpc" else {}))
        model = place_network(new_model(given, digits), CPU)
        before = copy.deepcopy(model.state_dict())
        drawn = torch.get_rng_state()
        compact_dead_taps(model, given, digits)
        assert torch.equal(drawn, torch.get_rng_state())
        after = model.state_dict()
        assert list(before) == list(after) and all(torch.equal(before[one], after[one]) for one in before), name
        compacted[name] = len(compact_layers(model))
    followed = {"byol", "mocov2", "mocov3", "tico"}
    assert {name for name, layers in compacted.items() if layers == 8 and name != "cpc"} == followed
    assert min(compacted.values()) >= 4, compacted


def test_a_loss_that_fails_on_few_images_keeps_all_taps_and_its_error(settings, digits, monkeypatch):
    model = place_network(new_model(settings(), digits), CPU)
    monkeypatch.setattr(type(model), "loss", lambda *_, **__: 1 / 0)
    compact_dead_taps(model, settings(), digits)
    assert not compact_layers(model)
    step = TrainStep(settings(), model, make_optimizer(settings(), model), device=CPU)
    with pytest.raises(ZeroDivisionError):
        step(*torch.zeros(2, 4, 1, 8, 8), learning_rate=0.0)


@pytest.fixture
def train_run(tmp_path, digits):
    """`train_run(settings)`: a run in a folder of its own, or in the one that is given."""
    count = itertools.count()

    def run(given, *, folder=None, **named):
        folder = folder or tmp_path / f"run-{next(count)}"
        return pretrain(given, digits, device=CPU, folder=folder, identity=IDENTITY, **named)

    return run
