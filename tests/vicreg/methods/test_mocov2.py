"""MoCo v2: its queues, whose keys are negatives of what, shuffled BatchNorm, and short batches."""

import dataclasses
import math
from collections import deque

import pytest
import torch
from lightly.loss import NTXentLoss
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    SHAPES,
    assert_resumes,
    assert_same_loss,
    degenerate,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
    value_and_gradients,
)
from vicreg.errors import InputError
from vicreg.methods import method_class, target_std_of
from vicreg.methods.clustering import push
from vicreg.methods.contrastive import queue_info_nce
from vicreg.methods.counter_random import permutation
from vicreg.methods.mocov2 import MoCoV2, MoCoV2Settings, splits_of
from vicreg.models.resnet import ResNet

GIVEN = MoCoV2Settings(
    temperature=0.2, queue_length=48, ema_start=0.9, ema_end=0.99, ema_schedule="cosine", symmetric=True, batchnorm_splits=1
)
ASYMMETRIC = dataclasses.replace(GIVEN, symmetric=False)
SPLIT = dataclasses.replace(GIVEN, batchnorm_splits=4)


def keys_of(method: MoCoV2, *views: torch.Tensor) -> list[torch.Tensor]:
    """The unit rows that the target gives each view in training, without splits; the method stays as it is."""
    with torch.no_grad():
        return [functional.normalize(method.target(view)[1], dim=1) for view in views]


def step(method: MoCoV2, views: list[torch.Tensor]) -> None:
    method.loss(views, progress=progress(0.5))
    method.after_step(progress=progress(0.5))


# ---- the queue


@pytest.mark.parametrize("sizes", [[3, 3, 3], [3, 3, 2, 3], [4, 4, 4], [6, 1], [9, 5], [14, 2]], ids=str)
def test_keys_leave_first_in_first_out_for_any_size_of_batch(sizes):
    queue, pushed = torch.zeros(6, 2), torch.tensor(0)
    expected: deque[float] = deque([0.0] * 6, maxlen=6)
    following = 1.0
    for size in sizes:
        keys = (following + torch.arange(size)).repeat(2, 1).T  # (size, 2)
        following += size
        push(queue, pushed, keys)
        expected.extend(keys[:, 0].tolist())
        assert queue.roll(-pushed.item() % 6, dims=0)[:, 0].tolist() == list(expected)  # the oldest first


def test_three_steps_of_a_queue_of_two_batches_hold_the_last_two_batches_keys():
    method = tiny_method(MoCoV2, dataclasses.replace(GIVEN, queue_length=16))
    start = method.counter.item()
    pushed: list[list[torch.Tensor]] = []
    for seed in range(3):
        views = random_views(n=8, seed=seed)
        pushed.append(keys_of(method, *views))
        step(method, views)
    for number in (0, 1):  # the queue of the second view's keys, then that of the first's
        expected = torch.cat([pushed[2][1 - number], pushed[1][1 - number]])
        torch.testing.assert_close(method.queue[number], expected, rtol=1e-4, atol=1e-5)
    assert method.pushed.tolist() == [24, 24] and method.counter.item() == start + 3


@pytest.mark.parametrize("settings", [GIVEN, ASYMMETRIC, SPLIT], ids=["symmetric", "asymmetric", "split"])
def test_a_short_batch_is_pushed_whole_past_the_end_of_the_queue(settings):
    method = tiny_method(MoCoV2, dataclasses.replace(settings, queue_length=20))
    before = method.queue.clone()
    for n in (8, 8, 5, 2):
        step(method, random_views(n=n))
    assert set(method.pushed.tolist()) == {23}
    assert not (method.queue == before).all(dim=-1).any()  # every random row is gone: 23 keys went through 20 places
    torch.testing.assert_close(method.queue.norm(dim=-1), torch.ones(len(before), 20), rtol=1e-5, atol=0)


def test_it_starts_from_random_unit_rows_that_the_seed_decides():
    first, second = (tiny_method(MoCoV2, GIVEN) for _ in range(2))
    assert first.queue.shape == (2, 48, 16) and tiny_method(MoCoV2, ASYMMETRIC).queue.shape == (1, 48, 16)
    assert torch.equal(first.queue, second.queue) and not torch.equal(first.queue[0], first.queue[1])
    torch.testing.assert_close(first.queue.norm(dim=-1), torch.ones(2, 48), rtol=1e-6, atol=0)
    assert not first.pushed.any() and first.counter.item() == second.counter.item()
    first.reset_state(torch.Generator().manual_seed(1))
    assert first.counter.item() != second.counter.item()


def test_the_loss_leaves_the_queue_alone_until_the_step_is_done():
    method = tiny_method(MoCoV2, GIVEN)
    before = method.queue.clone()
    method.loss(random_views(), progress=progress(0.0)).total.backward()
    assert torch.equal(method.queue, before)
    method.after_step(progress=progress(0.0))
    assert not torch.equal(method.queue[:, :16], before[:, :16]) and torch.equal(method.queue[:, 16:], before[:, 16:])


def test_no_query_has_its_own_key_among_its_negatives():
    """A queue that is pushed before it is read, or one queue for both views, would hold a cosine of 1 to the positive."""
    method = tiny_method(MoCoV2, GIVEN)
    views = random_views()
    seen = method.queue.clone()
    method.loss(views, progress=progress(0.0))
    for number, keys in enumerate(reversed(keys_of(method, *views))):
        assert (keys @ seen[number].T).max() < 0.99
    method.after_step(progress=progress(0.0))
    for number, keys in enumerate(reversed(keys_of(method, *views))):
        assert (keys @ method.queue[number].T).max() > 0.99  # now they are there, for the next step


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_cross_entropy_is_lightlys_of_one_direction_with_a_bank(n, d):
    queries, keys = inputs(n, d)
    bank = functional.normalize(torch.randn(128, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=1)

    def ours(q):
        return queue_info_nce(q, keys, bank, temperature=0.1).total

    def lightly(q):
        criterion = NTXentLoss(0.1, memory_bank_size=(128, d))
        criterion.memory_bank.bank = bank.clone()
        return criterion(q, keys)

    assert_same_loss(ours, lightly, queries)


@pytest.mark.parametrize("settings", [GIVEN, ASYMMETRIC], ids=["symmetric", "asymmetric"])
def test_queries_are_told_from_the_earlier_keys_of_the_other_view(settings):
    method, same = (tiny_method(MoCoV2, settings) for _ in range(2))
    views = random_views()
    loss = method.loss(views, progress=progress(0.0))
    queries = [same(view)[1] for view in views]
    keys = keys_of(same, *views)
    directions = [(0, 1), (1, 0)] if settings.symmetric else [(0, 1)]
    expected = []
    for number, (asking, answering) in enumerate(directions):
        q = functional.normalize(queries[asking], dim=1)
        logits = torch.cat(((q * keys[answering]).sum(dim=1, keepdim=True), q @ same.queue[number].T), dim=1) / 0.2
        expected.append(functional.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64)))
    torch.testing.assert_close(loss.total, torch.stack(expected).mean(), rtol=1e-5, atol=0)
    assert loss.terms.keys() == MoCoV2.TERMS.keys()
    weighted = sum(weight * loss.terms[name] for name, weight in method.coefficients().items())
    torch.testing.assert_close(loss.total.detach(), weighted, rtol=1e-5, atol=0)


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradient_of_degenerate_batches_are_finite(case):
    a, b = degenerate(case)
    bank = functional.normalize(torch.randn(40, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=1)
    value, gradients = value_and_gradients(lambda q: queue_info_nce(q, b, bank, temperature=0.2).total, a)
    assert value.isfinite() and gradients[0].isfinite().all()


def test_random_unit_rows_of_high_dimension_start_near_the_log_of_1_and_the_queues_length():
    random = torch.Generator().manual_seed(0)
    q, k, queue = (functional.normalize(torch.randn(n, 512, generator=random), dim=1) for n in (64, 64, 2048))
    assert queue_info_nce(q, k, queue, temperature=1.0).total.item() == pytest.approx(math.log(2049), rel=0.01)


# ---- the method


def test_it_is_found_by_the_name_of_its_file_and_sets_no_scale():
    assert method_class("mocov2") is MoCoV2 and target_std_of("mocov2", GIVEN) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.0}, "pretrain.temperature must be a finite number above 0, but got 0.0"),
        ({"queue_length": 0}, "pretrain.queue_length must be at least 1, but got 0"),
        ({"batchnorm_splits": 0}, "pretrain.batchnorm_splits must be at least 1"),
        ({"ema_end": 0.5}, "pretrain.ema_end must lie between pretrain.ema_start, 0.9, and 1, but got 0.5"),
    ],
)
def test_a_value_no_run_can_have_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(GIVEN, **change)


def test_splits_with_a_joint_pass_are_refused():
    backbone = ResNet(architecture="resnet18", stem="cifar", width=4)
    with pytest.raises(InputError, match="but pretrain.view_passes is joint; set it to separate."):
        MoCoV2(backbone=backbone, expander=(8,), settings=SPLIT, view_passes="joint")


@pytest.mark.parametrize("settings", [ASYMMETRIC, SPLIT], ids=["asymmetric", "split"])
def test_passes_of_one_view_are_not_compiled_in_silence(settings):
    with pytest.raises(InputError, match="set pretrain.compile to false"):
        tiny_method(MoCoV2, settings).compile_networks()


@pytest.mark.parametrize("settings", [GIVEN, ASYMMETRIC, SPLIT], ids=["symmetric", "asymmetric", "split"])
def test_no_gradient_reaches_the_target_or_the_queue_and_one_reaches_all_else(settings):
    method = tiny_method(MoCoV2, settings)
    method.loss(random_views(), progress=progress(0.0)).total.backward()
    assert all(parameter.grad is None for parameter in method.target.parameters())
    assert not method.queue.requires_grad
    for network in (method.backbone, method.expander):
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_loss_of_a_fixed_batch_falls_while_its_own_keys_are_not_in_the_queue():
    method = tiny_method(MoCoV2, GIVEN)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    totals = []
    for _ in range(8):
        loss = method.loss(random_views(), progress=progress(0.0))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        totals.append(loss.total.item())
    assert totals[-1] < 0.9 * totals[0]


def test_collapsed_embeddings_are_named_and_healthy_ones_are_not():
    random = torch.Generator().manual_seed(0)
    healthy = torch.randn(512, 16, generator=random)
    unit = functional.normalize(healthy)
    assert diagnosis(unit, target_std=None) == diagnosis(0.01 * healthy, target_std=None) == "healthy"
    assert diagnosis(torch.ones(1, 16) + 0.01 * healthy, target_std=None) == "complete"
    assert diagnosis(healthy[:, :1] + 0.05 * healthy, target_std=None) == "informational"


# ---- BatchNorm of parts of a batch


@pytest.mark.parametrize(
    ("count", "wanted", "splits"),
    [(16, 4, 4), (256, 8, 8), (10, 4, 3), (9, 8, 3), (5, 4, 2), (3, 2, 1), (2, 8, 1), (8, 1, 1)],
)
def test_no_part_of_a_short_batch_is_one_image(count, wanted, splits):
    assert splits_of(count, wanted) == splits
    parts = torch.arange(count).chunk(splits)
    assert len(parts) == splits and all(len(part) > 1 for part in parts)


def test_keys_are_normalised_in_shuffled_parts_and_put_back_in_order():
    method, same = (tiny_method(MoCoV2, SPLIT) for _ in range(2))
    views = random_views()
    method.loss(views, progress=progress(0.0))
    method.after_step(progress=progress(0.0))
    for number, view in enumerate(reversed(views)):
        order = permutation(same.counter, 16, stream=number)
        parts = [same.target(part)[1].detach() for part in view[order].chunk(4)]
        expected = torch.empty(16, 16)
        expected[order] = functional.normalize(torch.cat(parts), dim=1)
        torch.testing.assert_close(method.queue[number, :16], expected, rtol=1e-4, atol=1e-5)


def test_another_step_shuffles_otherwise_and_the_two_views_differ():
    orders = [permutation(torch.tensor(step), 16, stream=stream).tolist() for step in (0, 1) for stream in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(16)) for order in orders)


def test_queries_are_normalised_in_parts_in_their_own_order():
    method, same = (tiny_method(MoCoV2, dataclasses.replace(SPLIT, symmetric=False)) for _ in range(2))
    views = random_views()
    embeddings = method.loss(views, progress=progress(0.0)).embeddings
    expected = torch.cat([same(part)[1] for part in views[0].chunk(4)])
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)


# ---- runs


def test_a_killed_run_of_one_direction_in_parts_ends_with_the_same_bits(settings, digits, tmp_path):
    options = {"queue_length": 96, "symmetric": False, "batchnorm_splits": 4}
    given = settings(method="mocov2", epochs=2, batch_size=64, drop_last=False, expander=[16, 16], **options)
    assert_resumes(given, digits, tmp_path)


def test_steps_repeat_themselves_to_the_bit():
    first, second = (tiny_method(MoCoV2, SPLIT) for _ in range(2))
    assert take_steps(first, random_views(), steps=3) == take_steps(second, random_views(), steps=3)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
