"""SwAV's loss against lightly and loops, its queue, its frozen prototypes, and its local views."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  # lightly imports torchvision
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    SHAPES,
    assert_finite,
    assert_same_loss,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
)
from vicreg.errors import InputError
from vicreg.methods import clustering, swav, target_std_of
from vicreg.methods.clustering import one_hot, push, similarities, used_count
from vicreg.methods.contrastive import unit_rows
from vicreg.methods.swav import SwAV, SwAVSettings, sinkhorn, swav_loss
from vicreg.optim.lars import LARS

PAPER = {"temperature": 0.1, "epsilon": 0.05, "iterations": 3}
VALUES = {(64, 32): 4.1880117721, (16, 48): 3.6582558712}  # of lightly 1.6.0, for the inputs of `prototypes`
OPTIMIZERS = {
    "lars": lambda parameters: LARS(parameters, lr=0.5, momentum=0.9, weight_decay=0.1),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
}


def own(**changes) -> SwAVSettings:
    values = {
        "prototypes": 10, "temperature": 0.1, "sinkhorn_epsilon": 0.05, "sinkhorn_iterations": 3, "queue_length": 0,
        "queue_start": 0.0, "freeze": 0.0, "local_views": 0, "local_size": 4, "local_crop_scale": (0.05, 0.14),
    }  # fmt: skip
    return SwAVSettings(**(values | changes))


def prototypes(d: int, *, k: int = 20, queued: int = 128):
    """Unit prototypes (k, d), and two queues of unit rows (queued, d), float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        c, q, q_prime = (unit_rows(torch.randn(n, d, dtype=torch.float64)) for n in (k, queued, queued))
    return c, (q, q_prime)


def of_embeddings(loss, c):
    """The loss of scores as a loss of raw embeddings."""
    return lambda *views: loss([similarities(unit_rows(z), c) for z in views])


def ours(scores, **named):
    return swav_loss(scores, **PAPER, **named).total


def lightlys(scores, queued=None):
    from lightly.loss import SwaVLoss

    loss = SwaVLoss(temperature=0.1, sinkhorn_iterations=3, sinkhorn_epsilon=0.05)
    return loss(list(scores[:2]), list(scores[2:]), queued)[0]


def naive(scores, queued=None):
    """The authors' formula, sample by sample; Q is (K, B) as theirs."""
    total = torch.zeros((), dtype=scores[0].dtype)
    for i in (0, 1):
        rows = scores[i].detach() if queued is None else torch.cat((scores[i].detach(), queued[i]))
        q = torch.exp(rows / 0.05).T
        q = q / q.sum()
        for _ in range(3):
            for k in range(len(q)):
                q[k] = q[k] / q[k].sum() / len(q)
            for b in range(q.shape[1]):
                q[:, b] = q[:, b] / q[:, b].sum() / q.shape[1]
        q = q * q.shape[1]
        for v, one in enumerate(scores):
            if v != i:
                for b, row in enumerate(one / 0.1):
                    prediction = torch.exp(row) / torch.exp(row).sum()
                    total = total - (q[:, b] * prediction.log()).sum() / len(one) / (len(scores) - 1) / 2
    return total


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reference", [lightlys, naive])
def test_the_loss_and_its_gradients_are_lightlys_and_the_authors_formula(shape, reference):
    views, (c, _) = inputs(*shape), prototypes(shape[1])
    assert_same_loss(of_embeddings(ours, c), of_embeddings(reference, c), *views)
    assert of_embeddings(ours, c)(*views).item() == pytest.approx(VALUES[shape], abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reference", [lightlys, naive])
def test_the_gradient_to_the_prototypes_is_the_references(shape, reference):
    a, b = (unit_rows(one) for one in inputs(*shape))
    assert_same_loss(*(lambda c, loss=loss: loss([a @ c.T, b @ c.T]) for loss in (ours, reference)), prototypes(shape[1])[0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reference", [lightlys, naive])
def test_a_queue_and_local_views_enter_the_loss_as_in_the_references(shape, reference):
    c, queues = prototypes(shape[1])
    queued = [rows @ c.T for rows in queues]
    views = (*inputs(*shape), *(one.flip(0) for one in inputs(*shape)))
    assert_same_loss(of_embeddings(ours, c), of_embeddings(reference, c), *views)
    beside = [of_embeddings(lambda scores, loss=loss: loss(scores, queued=queued), c) for loss in (ours, reference)]
    assert_same_loss(*beside, *views)
    assert beside[0](*views) != of_embeddings(ours, c)(*views)


def test_a_queue_that_does_not_count_is_as_none_and_one_that_counts_as_one_without_a_condition():
    c, queues = prototypes(32)
    scores = [similarities(unit_rows(z), c) for z in inputs(64, 32)]
    queued = [rows @ c.T for rows in queues]
    without = ours(scores, queued=queued, queue_counts=torch.tensor(False))
    torch.testing.assert_close(without, ours(scores), rtol=1e-12, atol=0)
    counted = ours(scores, queued=queued, queue_counts=torch.tensor(True))
    torch.testing.assert_close(counted, ours(scores, queued=queued), rtol=1e-12, atol=0)


def test_the_total_is_the_divergence_and_the_entropy_of_codes():
    c, _ = prototypes(32)
    scores = [similarities(unit_rows(z), c) for z in inputs(64, 32)]
    terms = swav_loss(scores, **PAPER)
    codes = [sinkhorn(one, epsilon=0.05, iterations=3) for one in scores]
    predictions = [functional.log_softmax(one / 0.1, dim=1) for one in scores[::-1]]
    divergence = sum(functional.kl_div(p, q, reduction="batchmean") for p, q in zip(predictions, codes)) / 2
    torch.testing.assert_close(terms.divergence, divergence, rtol=1e-10, atol=0)
    torch.testing.assert_close(terms.total, terms.divergence + terms.code_entropy, rtol=1e-12, atol=0)


def test_codes_sum_to_one_a_row_and_after_many_iterations_use_all_prototypes_equally():
    scores = similarities(unit_rows(inputs(64, 32)[0]), prototypes(32)[0])
    codes = sinkhorn(scores, epsilon=0.05, iterations=500)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(64, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(codes.sum(dim=0), torch.full((20,), 64 / 20, dtype=torch.float64), rtol=0, atol=1e-6)
    assert not torch.allclose(sinkhorn(scores, epsilon=0.05, iterations=1).sum(dim=0), codes.sum(dim=0), atol=1e-2)


def test_the_codes_of_a_view_do_not_depend_on_the_other_view():
    c, _ = prototypes(32)
    a, b = (similarities(unit_rows(z), c) for z in inputs(64, 32))
    leaf = b.clone().requires_grad_()  # its gradient is softmax - codes of a, whatever b's own codes are
    (gradient,) = torch.autograd.grad(ours([a, leaf]), leaf)
    codes = (leaf / 0.1).softmax(dim=1).detach() - gradient * 64 * 2 * 0.1
    torch.testing.assert_close(codes, sinkhorn(a, epsilon=0.05, iterations=3), rtol=0, atol=1e-12)


def test_without_iterations_codes_are_one_hot_at_the_largest_score():
    scores = similarities(unit_rows(inputs(64, 32)[0]), prototypes(32)[0])
    codes = sinkhorn(scores, epsilon=0.05, iterations=0)
    assert torch.equal(codes, functional.one_hot(scores.argmax(dim=1), 20).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sinkhorn_is_computed_in_float32_under_autocast_and_of_half_precision(dtype):
    c, _ = prototypes(32)
    a = unit_rows(inputs(64, 32)[0]).float()
    a[0] = c[0]  # a score of 1, of which exp(1 / 0.05) is beyond float16
    scores = similarities(a, c.float())
    exact = sinkhorn(scores.double(), epsilon=0.05, iterations=3).float()
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(similarities(a, c.float()), scores)
        codes = sinkhorn(scores, epsilon=0.05, iterations=3)
        total = ours([scores, scores.flip(0)])
    assert codes.dtype == total.dtype == torch.float32
    torch.testing.assert_close(codes, exact, rtol=0, atol=2e-6)
    torch.testing.assert_close(total, ours([scores.double(), scores.flip(0).double()]).float(), rtol=1e-6, atol=0)
    half = scores.to(dtype)
    torch.testing.assert_close(
        sinkhorn(half, epsilon=0.05, iterations=3), sinkhorn(half.double(), epsilon=0.05, iterations=3).float(),
        rtol=0, atol=2e-6,
    )  # fmt: skip


def test_an_epsilon_whose_exponentials_overflow_gives_codes():
    scores = similarities(unit_rows(inputs(64, 32)[0]), prototypes(32)[0]).float()
    codes = sinkhorn(scores, epsilon=1e-3, iterations=3)
    assert codes.isfinite().all() and torch.allclose(codes.sum(dim=1), torch.ones(64))


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("iterations", [0, 3])
def test_value_and_gradient_are_finite_for_degenerate_embeddings(case, iterations):
    loss = of_embeddings(lambda scores: swav_loss(scores, **(PAPER | {"iterations": iterations})).total, prototypes(32)[0])
    assert_finite(loss, case)


def test_scores_of_one_view_or_of_unequal_shapes_are_refused():
    scores = torch.zeros(4, 3)
    for given in ([scores], [scores, scores[:2]], [scores[0], scores[0]]):
        with pytest.raises(InputError, match="scores of one shape"):
            swav_loss(given, **PAPER)


@pytest.mark.parametrize(
    "change",
    [
        {"prototypes": 1}, {"temperature": 0.0}, {"sinkhorn_epsilon": math.inf}, {"sinkhorn_iterations": -1},
        {"queue_length": -1}, {"queue_start": 1.0}, {"freeze": -0.1}, {"local_views": -1}, {"local_size": 1},
        {"local_crop_scale": (0.2, 0.1)}, {"local_crop_scale": (0.1,)},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_no_run_can_have_are_refused_by_name(change):
    with pytest.raises(InputError, match=f"pretrain.{next(iter(change))} "):
        own(**change)


def test_prototypes_have_no_bias_and_are_unit_rows_at_the_start_and_after_each_step():
    method = tiny_method(SwAV, own())
    assert [name for name, _ in method.prototypes.named_parameters()] == ["weight"]
    start = method.prototypes.weight.detach().clone()
    for _ in range(2):
        weight = method.prototypes.weight.detach()
        torch.testing.assert_close(weight.norm(dim=1), torch.ones(10))
        take_steps(method, random_views(), steps=1, lr=1.0)
    assert not torch.allclose(method.prototypes.weight, start, atol=1e-3)


def test_the_scores_of_a_step_are_of_prototypes_renormalised_before_it():
    method = tiny_method(SwAV, own())
    take_steps(method, random_views(), steps=2, lr=5.0)
    views = random_views(seed=1)
    with torch.no_grad():
        c = functional.normalize(method.prototypes.weight)
        scores = [functional.normalize(z) @ c.T for z in method.embed(*views)]
        expected = ours(scores)
        torch.testing.assert_close(method.loss(views, progress=progress(0.5)).total, expected, rtol=1e-5, atol=0)


def test_the_start_of_the_network_is_that_of_other_methods():
    few, many = (tiny_method(SwAV, own(prototypes=k)) for k in (10, 30))
    for part in ("backbone", "expander"):
        pairs = zip(getattr(few, part).state_dict().values(), getattr(many, part).state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("k", [30, 300])
def test_the_loss_starts_near_the_logarithm_of_the_number_of_prototypes(k):
    # Scores of unit rows in d dimensions have a variance of 1 / d; their softmax adds half of 1 / (0.1^2 d), 0.05 here.
    method = tiny_method(SwAV, own(prototypes=k), expander=(64, 1024))
    total = method.loss(random_views(n=64), progress=progress(0.0)).total.item()
    assert total == pytest.approx(math.log(k), abs=0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_prototypes_are_bit_equal_while_frozen_and_move_afterwards(name):
    method = tiny_method(SwAV, own(freeze=0.35))
    optimizer = OPTIMIZERS[name](method.parameters())
    start = method.prototypes.weight.detach().clone()
    for step in range(6):
        share = progress(step / 10)
        network = method.expander[0].weight.detach().clone()
        optimizer.zero_grad()
        method.loss(random_views(seed=step), progress=share).total.backward()
        frozen = step < 4
        assert method.prototypes.weight.grad.any().item() is not frozen
        optimizer.step()
        method.after_step(progress=share)
        assert torch.equal(method.prototypes.weight, start) is frozen
        assert not torch.equal(method.expander[0].weight, network)
        if step == 3:  # what frozen steps leave in the optimiser pushes along the rows, or nowhere
            state = optimizer.state[method.prototypes.weight]
            momentum = state["exp_avg" if name == "adamw" else "momentum_buffer"]
            assert momentum.any().item() is (name != "adamw")
            along = (momentum * start).sum(dim=1, keepdim=True) * start
            torch.testing.assert_close(along, momentum, rtol=0, atol=1e-6 * max(1e-12, momentum.abs().max().item()))


def test_the_queue_is_used_once_full_and_read_before_the_step_is_added():
    plain, method = (tiny_method(SwAV, own(queue_length=length)) for length in (0, 40))
    ring = [torch.zeros(0, 16), torch.zeros(0, 16)]
    for step in range(5):
        views = random_views(seed=step)
        c = method.prototypes.weight.detach()
        with torch.no_grad():
            units = [functional.normalize(z) for z in method.embed(*views)]
        scores = [u @ c.T for u in units]
        full = all(len(rows) == 40 for rows in ring)
        assert full == (step >= 3)
        expected = lightlys(scores, [rows @ c.T for rows in ring] if full else None)
        total = method.loss(views, progress=progress(0.5)).total.detach()
        torch.testing.assert_close(total, expected, rtol=1e-5, atol=0)
        if step < 3:
            torch.testing.assert_close(total, plain.loss(views, progress=progress(0.5)).total.detach(), rtol=1e-5, atol=0)
        ring = [torch.cat((rows, u))[-40:] for rows, u in zip(ring, units)]
        for rows, kept in zip(ring, method.queue):
            assert {tuple(row.tolist()) for row in rows} <= {tuple(row.tolist()) for row in kept}
    assert method.queued.tolist() == [80, 80] and not method.queue.requires_grad


def test_the_queue_stays_empty_until_its_start_and_when_the_method_is_evaluated():
    method = tiny_method(SwAV, own(queue_length=32, queue_start=0.5))
    method.loss(random_views(), progress=progress(0.49))
    assert not method.queue.any() and not method.queued.any()
    method.eval().loss(random_views(), progress=progress(0.9))
    assert not method.queued.any()
    method.train().loss(random_views(), progress=progress(0.5))
    assert method.queued.tolist() == [16, 16]


def test_a_push_overwrites_the_oldest_rows_and_keeps_the_last_of_many():
    queue, pushed = torch.zeros(5, 1), torch.zeros((), dtype=torch.int64)
    for first in (1, 4):
        push(queue, pushed, torch.arange(first, first + 3.0)[:, None])
    assert sorted(queue[:, 0].tolist()) == [2, 3, 4, 5, 6] and pushed == 6
    push(queue, pushed, torch.arange(10.0, 17.0)[:, None])
    assert sorted(queue[:, 0].tolist()) == [12, 13, 14, 15, 16]
    push(queue, pushed, torch.zeros(2, 1), when=torch.tensor(False))
    assert sorted(queue[:, 0].tolist()) == [12, 13, 14, 15, 16] and pushed == 11


def test_the_effective_number_of_clusters_in_use_is_counted():
    for labels, expected in (([0, 0, 0, 0], 1.0), ([0, 1, 0, 1], 2.0), ([0, 1, 2, 3], 4.0)):
        assert used_count(one_hot(torch.tensor(labels), torch.zeros(4, 7))).item() == pytest.approx(expected)


@pytest.mark.parametrize("passes", ["separate", "together", "joint"])
def test_local_views_share_the_network_and_leave_the_global_ones_as_they_are(passes):
    plain, method = (tiny_method(SwAV, own(local_views=count)) for count in (0, 2))
    plain.view_passes = method.view_passes = passes
    views, local = random_views(), random_views(2, size=4, seed=1)
    alone, all_views = plain.loss(views, progress=progress(0.5)), method.loss([*views, *local], progress=progress(0.5))
    assert torch.equal(alone.embeddings, all_views.embeddings)
    with torch.no_grad():
        pairs = (method.embed(*views), method.embed(*local))  # BatchNorm of one resolution at a time
        scores = [functional.normalize(z) @ method.prototypes.weight.T for pair in pairs for z in pair]
        torch.testing.assert_close(all_views.total.detach(), lightlys(scores), rtol=1e-5, atol=0)
    assert (method.local_views, method.local_size, method.local_crop_scale) == (2, 4, (0.05, 0.14))


def test_the_host_reads_no_value_in_a_step(monkeypatch):
    for module in (swav, clustering):  # autocast knows no `meta`
        monkeypatch.setattr(module, "full_precision", lambda z: nullcontext())
    method = tiny_method(SwAV, own(queue_length=32, queue_start=0.1, freeze=0.3, local_views=2)).to(
        "meta"
    )  # where reading one raises
    views = [view.to("meta") for view in [*random_views(), *random_views(2, size=4)]]
    share = torch.zeros((), device="meta")
    loss = method.loss(views, progress=share)
    loss.total.backward()
    method.after_step(progress=share)
    assert all(term.shape == () and not term.requires_grad for term in loss.terms.values())


def test_the_loss_of_a_fixed_batch_falls_from_its_start():
    method = tiny_method(SwAV, own(queue_length=32, freeze=0.1))
    totals = take_steps(method, random_views(), steps=20, lr=0.1)
    assert totals[-1] < totals[0] - 0.3


@pytest.mark.slow
def test_the_control_without_sinkhorn_gives_all_images_one_prototype():
    used = {}
    for iterations in (0, 3):
        method = tiny_method(SwAV, own(sinkhorn_iterations=iterations))
        take_steps(method, random_views(n=32), steps=20, lr=0.1)
        used[iterations] = method.loss(random_views(n=32), progress=progress(1.0)).terms["used_prototypes"].item()
    assert used[0] < 1.1 and used[3] > 3


def test_its_embeddings_have_a_free_scale_and_collapses_are_named():
    target = target_std_of("swav", own())
    assert target is None
    method = tiny_method(SwAV, own())
    embeddings = method.eval().encode(torch.cat(random_views(n=200))).embeddings
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(400))
    generator = torch.Generator().manual_seed(0)
    healthy = unit_rows(torch.randn(400, 32, generator=generator))
    assert diagnosis(healthy, target_std=target) == "healthy"
    assert diagnosis(unit_rows(healthy[:1] + 1e-3 * healthy), target_std=target) == "complete"
    assert diagnosis(unit_rows(healthy[:, :1].repeat(1, 32) + 1e-2 * healthy), target_std=target) == "informational"
