"""Three whole steps of BYOL, MoCo v2 and MoCo v3 against lightly's heads, moving average and losses, weight by weight.

The encoder has two layers, in float64, and its inputs are fixed. A moving average in the wrong place, a queue that is pushed
too early or a predictor on the wrong branch do not show in a test of a loss; here they do, and the mutants below prove it.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules.heads import BYOLPredictionHead, ProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from vicreg.methods import byol, mocov2, mocov3
from vicreg.methods.base import Method
from vicreg.methods.byol import BYOL, BYOLSettings
from vicreg.methods.contrastive import Contrast, nt_xent
from vicreg.methods.mocov2 import MoCoV2, MoCoV2Settings
from vicreg.methods.mocov3 import MoCoV3, MoCoV3Settings
from vicreg.models.momentum_target import MomentumTarget
from vicreg.models.resnet import initialise
from vicreg.models.view_batchnorm import ViewBatchNorm1d

N, INPUT, HIDDEN, D_Y, D_Z = 8, 7, 11, 6, 5
STEPS, PLANNED = 3, 6  # steps that are taken, of so many in the schedule
START, TEMPERATURE, K, RATE = 0.9, 0.2, 16, 0.5

GIVEN: dict[str, tuple[type[Method], object]] = {
    "byol": (
        BYOL,
        BYOLSettings(ema_start=START, ema_schedule="cosine", predictor=True, predictor_ratio=1.6, stop_gradient=True),
    ),
    "mocov2": (
        MoCoV2,
        MoCoV2Settings(
            temperature=TEMPERATURE, queue_length=K, ema_start=START, ema_end=0.99, ema_schedule="cosine", symmetric=False,
            batchnorm_splits=1,
        ),
    ),
    "mocov3": (MoCoV3, MoCoV3Settings(temperature=TEMPERATURE, ema_start=START, ema_schedule="cosine", predictor_ratio=1.6)),
}  # fmt: skip
GIVEN["mocov2-symmetric"] = (MoCoV2, dataclasses.replace(GIVEN["mocov2"][1], symmetric=True))


class TwoLayers(nn.Sequential):
    """Inputs (n, INPUT) -> representations (n, D_Y)."""

    dimension = D_Y

    def __init__(self, norm: type[nn.Module] = ViewBatchNorm1d) -> None:
        super().__init__(nn.Linear(INPUT, HIDDEN), norm(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, D_Y))


def method_of(name: str) -> Method:
    kind, settings = GIVEN[name]
    method = kind(backbone=TwoLayers(), expander=(HIDDEN, D_Z), settings=settings)  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(0)
    initialise(method, random)
    method.reset_state(random)
    return method.double().train()


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        view = torch.randn(N, INPUT, generator=random, dtype=torch.float64)
        yield view, view + 0.3 * torch.randn(N, INPUT, generator=random, dtype=torch.float64)


def share(step: int) -> Tensor:
    return torch.tensor(step / (PLANNED - 1), dtype=torch.float64)


def sgd(parameters) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=RATE, momentum=0.9, weight_decay=1e-3)


def train(method: Method, *, early: bool = False) -> Method:
    """Take the steps as training does; `early`: the mutant whose moving average comes before the optimiser's step."""
    optimizer = sgd(method.parameters())
    for number, views in enumerate(batches()):
        optimizer.zero_grad()
        method.loss(views, progress=share(number)).total.backward()
        if early:
            method.after_step(progress=share(number))
        optimizer.step()
        if not early:
            method.after_step(progress=share(number))
    return method


# ---- the reference


class Reference(nn.Module):
    """lightly's parts, with the starting weights of one of our methods."""

    def __init__(self, name: str, method: Method) -> None:
        super().__init__()
        self.name, width = name, round(1.6 * D_Z)
        self.backbone = TwoLayers(nn.BatchNorm1d)
        last = nn.BatchNorm1d(D_Z, affine=False) if name == "mocov3" else None
        blocks = [(D_Y, HIDDEN, nn.BatchNorm1d(HIDDEN), nn.ReLU(), True), (HIDDEN, D_Z, last, None, False)]
        self.projection = ProjectionHead(blocks)
        self.prediction: nn.Module = nn.Identity()
        if name == "byol":
            self.prediction = BYOLPredictionHead(D_Z, width, D_Z)
        if name == "mocov3":
            self.prediction = ProjectionHead(
                [(D_Z, width, nn.BatchNorm1d(width), nn.ReLU()), (width, D_Z, None, None, False)]
            )
        self.double()
        for own, given in zip(self.parameters(), online_parameters(method), strict=True):
            own.data.copy_(given.detach())
        self.backbone_target = copy.deepcopy(self.backbone).requires_grad_(False)
        self.projection_target = copy.deepcopy(self.projection).requires_grad_(False)
        queues = method.queue if isinstance(method, MoCoV2) else []
        self.criteria = [NTXentLoss(TEMPERATURE, memory_bank_size=(K, D_Z)) for _ in queues]
        for criterion, queue in zip(self.criteria, queues, strict=True):
            criterion.memory_bank.bank = queue.clone()

    def online(self, view: Tensor) -> Tensor:
        return self.projection(self.backbone(view))

    @torch.no_grad()
    def target(self, view: Tensor) -> Tensor:
        return self.projection_target(self.backbone_target(view))

    def loss(self, view: Tensor, view_prime: Tensor) -> Tensor:
        if self.name == "mocov2":
            return self.criteria[0](self.online(view), self.target(view_prime))
        z, z_prime = self.online(view), self.online(view_prime)
        t, t_prime = self.target(view), self.target(view_prime)
        if self.name == "mocov2-symmetric":
            return (self.criteria[0](z, t_prime) + self.criteria[1](z_prime, t)) / 2
        p, p_prime = self.prediction(z), self.prediction(z_prime)
        if self.name == "byol":
            cosine = NegativeCosineSimilarity()
            return 4 + 2 * (cosine(p, t_prime) + cosine(p_prime, t))
        return 2 * TEMPERATURE * (cross_entropy(p, t_prime) + cross_entropy(p_prime, t))

    def train_steps(self) -> "Reference":
        optimizer = sgd([parameter for parameter in self.parameters() if parameter.requires_grad])
        for number, views in enumerate(batches()):
            optimizer.zero_grad()
            self.loss(*views).backward()
            optimizer.step()
            momentum = cosine_schedule(number, PLANNED, START, 0.99 if self.name.startswith("mocov2") else 1.0)
            update_momentum(self.backbone, self.backbone_target, momentum)
            update_momentum(self.projection, self.projection_target, momentum)
        return self


def cross_entropy(queries: Tensor, keys: Tensor) -> Tensor:
    logits = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T / TEMPERATURE
    return functional.cross_entropy(logits, torch.arange(N))


def online_parameters(method: Method) -> list[nn.Parameter]:
    return [parameter for name, parameter in method.named_parameters() if not name.startswith("target.")]


def assert_same_weights(method: Method, reference: Reference) -> None:
    """Compare every weight and BatchNorm statistic of the online network, the predictor and the target, and the queues."""
    pairs = list(zip(method.parameters(), reference.parameters(), strict=True))
    queues = ("queue", "pushed", "counter")
    buffers = [value for name, value in method.named_buffers() if name not in queues]
    banks = [criterion.memory_bank for criterion in reference.criteria]
    theirs = [value for name, value in reference.named_buffers() if not name.startswith("criteria.")]
    pairs += list(zip(buffers, theirs, strict=True))
    if isinstance(method, MoCoV2):
        pairs += list(zip(method.queue, (bank.bank for bank in banks), strict=True))
        assert (method.pushed % K).tolist() == [int(bank.bank_ptr) for bank in banks]
    for ours, expected in pairs:
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", GIVEN)
def test_three_steps_end_with_the_weights_that_lightlys_parts_end_with(name):
    start = method_of(name)
    reference = Reference(name, start).train_steps()
    method = train(start)
    assert_same_weights(method, reference)
    untouched = method_of(name)
    for now, before in zip(method.parameters(), untouched.parameters(), strict=True):
        if now.shape != (HIDDEN,):  # a bias below BatchNorm stays where it is but for weight decay
            assert (now - before).abs().max() > 1e-4


# ---- mutants


@contextmanager
def pushed_before_read(patch: pytest.MonkeyPatch) -> Iterator[None]:
    own = MoCoV2.loss

    def loss(self, views, *, progress):
        for queue, pushed, keys in zip(self.queue, self.pushed, copy.deepcopy(self)._keys_of(views), strict=True):
            mocov2.push(queue, pushed.clone(), functional.normalize(keys, dim=1))
        return own(self, views, progress=progress)

    patch.setattr(MoCoV2, "loss", loss)
    yield


@contextmanager
def target_not_detached(patch: pytest.MonkeyPatch) -> Iterator[None]:
    own = MomentumTarget.__init__

    def init(self, online):
        own(self, online)
        self.requires_grad_(True)

    patch.setattr(MomentumTarget, "__init__", init)
    patch.setattr(MomentumTarget, "embed", MomentumTarget.embed.__wrapped__)
    patch.setattr(MoCoV2, "_keys_of", MoCoV2._keys_of.__wrapped__)
    yield


@contextmanager
def targets_of_the_same_view(patch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, loss in ((byol, byol.byol_loss), (mocov3, mocov3.mocov3_loss)):
        patch.setattr(
            module, loss.__name__, lambda p, q, t, u, own=loss, **named: own(p, q, u, t, **named)
        )  # fmt: skip
    yield


@contextmanager
def terms_of_both_views(patch: pytest.MonkeyPatch) -> Iterator[None]:
    def wider(q, q_prime, k, k_prime, *, temperature, check_finite):
        both = [nt_xent(a, b, temperature=temperature) for a, b in ((q, k_prime), (q_prime, k))]
        return Contrast(2 * temperature * (both[0].total + both[1].total), *both[0][1:])

    patch.setattr(mocov3, "mocov3_loss", wider)
    yield


@contextmanager
def statistics_follow_too(patch: pytest.MonkeyPatch) -> Iterator[None]:
    own = MomentumTarget.follow

    def follow(self, online, *, momentum):
        own(self, online, momentum=momentum)
        theirs = [*online.backbone.buffers(), *online.expander.buffers()]
        for mine, other in zip(self.buffers(), theirs, strict=True):
            mine.copy_(other)

    patch.setattr(MomentumTarget, "follow", follow)
    yield


MUTANTS: list[tuple[str, Callable]] = [
    ("mocov2", pushed_before_read),
    ("mocov2-symmetric", pushed_before_read),
    ("byol", target_not_detached),
    ("mocov2", target_not_detached),
    ("mocov3", target_not_detached),
    ("byol", targets_of_the_same_view),
    ("mocov3", targets_of_the_same_view),
    ("mocov3", terms_of_both_views),
    ("byol", statistics_follow_too),
]


@pytest.mark.parametrize(("name", "mutation"), MUTANTS, ids=lambda one: getattr(one, "__name__", one))
def test_a_mutant_ends_with_other_weights(name, mutation, monkeypatch):
    reference = Reference(name, method_of(name)).train_steps()
    with mutation(monkeypatch):
        method = train(method_of(name))
    with pytest.raises(AssertionError):
        assert_same_weights(method, reference)


@pytest.mark.parametrize("name", GIVEN)
def test_a_moving_average_before_the_optimisers_step_ends_with_other_weights(name):
    reference = Reference(name, method_of(name)).train_steps()
    with pytest.raises(AssertionError):
        assert_same_weights(train(method_of(name), early=True), reference)


@pytest.mark.parametrize("name", GIVEN)
def test_all_weights_but_the_targets_have_the_runs_rate_throughout(name):
    """No predictor has a rate of its own, so it decays with the schedule, as BYOL's and MoCo v3's authors do."""
    assert not GIVEN[name][0].OWN_RATES
