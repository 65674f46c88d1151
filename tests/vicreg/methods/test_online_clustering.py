"""Online clustering: its loss against loops, k-means step by step, and empty clusters."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional

from tests.vicreg.methods.helpers import (
    DEGENERATE,
    FEW,
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
from vicreg.methods import clustering, online_clustering, target_std_of
from vicreg.methods.contrastive import unit_rows
from vicreg.methods.counter_random import uniform
from vicreg.methods.online_clustering import OnlineClustering, OnlineClusteringSettings, clustering_loss, lloyd_iteration
from vicreg.optim.lars import LARS


def own(**changes) -> OnlineClusteringSettings:
    return OnlineClusteringSettings(
        **({"clusters": 10, "temperature": 0.1, "bank_length": 64, "kmeans_iterations": 1, "balance": 1.0} | changes)
    )


def unit(n, d, *, seed=2):
    return unit_rows(torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def ours(c, balance=0.0):
    return lambda a, b: clustering_loss(unit_rows(a), unit_rows(b), c, temperature=0.1, balance=balance).total


def naive(c, balance=0.0):
    def loss(a, b):
        total = torch.zeros((), dtype=a.dtype)
        for one, other in ((a, b), (b, a)):
            labels = [max(range(len(c)), key=lambda k: torch.dot(row, c[k]).item()) for row in other]
            weights = [labels.count(label) ** -balance for label in labels]
            for row, label, weight in zip(one, labels, weights):
                scores = torch.stack([torch.dot(row, centre) / row.norm() for centre in c])
                total = total - weight * (scores[label] / 0.1 - (scores / 0.1).exp().sum().log()) / (2 * sum(weights))
        return total

    return loss


@pytest.mark.parametrize("shape", FEW)
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_the_loss_and_its_gradients_are_those_of_the_formula_in_loops(shape, balance):
    c = unit(20, shape[1])
    assert_same_loss(ours(c, balance), naive(c, balance), *inputs(*shape))
    assert ours(c, 1.0)(*inputs(*shape)) != ours(c)(*inputs(*shape))


def test_each_view_is_labelled_by_the_other_and_labels_and_centroids_have_no_gradient():
    c = unit(20, 32).requires_grad_()
    a, b = (unit_rows(one).requires_grad_() for one in inputs(64, 32))
    terms = clustering_loss(a, b, c, temperature=0.1)
    terms.total.backward()
    assert c.grad is None
    labels = (b @ c.T).argmax(dim=1)
    expected = ((a @ c.T / 0.1).softmax(dim=1) - functional.one_hot(labels, 20)) @ c / (0.1 * 64 * 2)
    torch.testing.assert_close(a.grad, expected.detach(), rtol=1e-10, atol=1e-14)
    assert terms.agreement == (labels == (a @ c.T).argmax(dim=1)).double().mean()
    assert terms.cohesion.item() == pytest.approx(((a @ c.T).amax(1).mean() + (b @ c.T).amax(1).mean()).item() / 2)


def test_the_loss_is_computed_in_float32_under_autocast():
    c = unit(20, 32).float()
    a, b = (unit_rows(one).float() for one in inputs(64, 32))
    plain = clustering_loss(a, b, c, temperature=0.1).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(clustering_loss(a, b, c, temperature=0.1).total, plain)
        assert torch.equal(lloyd_iteration(c, a, b[:20]), lloyd_iteration(c, a, b[:20]))


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradient_are_finite_for_degenerate_embeddings(case):
    assert_finite(ours(unit(20, 32), balance=1.0), case)


def lloyd_in_loops(centroids, rows, replacements):
    sums = [torch.zeros_like(centroids[0]) for _ in centroids]
    for row in rows:
        if row.any():
            nearest = max(range(len(centroids)), key=lambda k: torch.dot(row, centroids[k]).item())
            sums[nearest] = sums[nearest] + row
    return torch.stack([
        total / total.norm() if total.any() else other if other.any() else kept
        for total, other, kept in zip(sums, replacements, centroids)
    ])  # fmt: skip


def test_an_iteration_is_that_of_spherical_k_means_in_loops():
    centroids, rows, replacements = unit(12, 8), unit(20, 8, seed=3), unit(12, 8, seed=4)
    rows[15:] = 0  # not filled yet
    replacements[::2] = 0
    moved = lloyd_iteration(centroids, rows, replacements)
    torch.testing.assert_close(moved, lloyd_in_loops(centroids, rows, replacements), rtol=1e-12, atol=1e-12)
    kinds = [torch.equal(moved[k], centroids[k]) + 2 * torch.equal(moved[k], replacements[k]) for k in range(12)]
    assert {0, 1, 2} == set(kinds)  # clusters with rows, empty ones that stay, and empty ones that restart


def test_iterations_find_separated_clusters_and_raise_the_cohesion():
    centres = torch.eye(6, 16, dtype=torch.float64)
    rows = unit_rows(centres.repeat(20, 1) + 0.05 * unit(120, 16))
    centroids = unit_rows(rows[:6] + 0.5 * unit(6, 16, seed=5))
    cohesion = []
    for _ in range(4):
        cohesion.append((rows @ centroids.T).amax(dim=1).mean().item())
        centroids = lloyd_iteration(centroids, rows, rows[:6])
    assert cohesion == sorted(cohesion)
    torch.testing.assert_close((centroids @ centres.T).diagonal(), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-3)


def test_its_state_after_three_steps_is_that_of_an_independent_computation():
    method = tiny_method(OnlineClustering, own(kmeans_iterations=2))
    ring, centroids, start = torch.zeros(64, 16), method.centroids.clone(), method.counter.clone()
    for step in range(3):
        views = random_views(seed=step)
        with torch.no_grad():
            u, u_prime = (functional.normalize(z) for z in method.embed(*views))
        expected = clustering_loss(u, u_prime, centroids, temperature=0.1, balance=1.0).total
        total = method.loss(views, progress=progress(0.0)).total
        torch.testing.assert_close(total.detach(), expected, rtol=1e-5, atol=0)  # by the centroids before this step
        method.after_step(progress=progress(0.0))
        first = 32 * step % 64  # the oldest rows are overwritten
        ring[first : first + 32] = torch.cat((u, u_prime))
        assert torch.equal(method.bank, ring)
        for iteration in range(2):
            chosen = (uniform(start + step, (10,), stream=iteration) * 64).long()
            centroids = lloyd_in_loops(centroids, ring, ring[chosen])
        torch.testing.assert_close(method.centroids, centroids, rtol=0, atol=1e-5)
    assert method.banked == 96 and method.counter == start + 3


def test_an_empty_cluster_restarts_at_an_embedding_of_the_bank():
    method = tiny_method(OnlineClustering, own(clusters=3, bank_length=4))
    method.bank.copy_(torch.eye(16)[:4])
    method.centroids.copy_(torch.stack((torch.eye(16)[:4].mean(dim=0) * 2, -torch.eye(16)[0], -torch.eye(16)[1])))
    method.after_step(progress=progress(0.0))
    for centroid in method.centroids[1:]:
        assert any(torch.equal(centroid, row) for row in method.bank)
    torch.testing.assert_close(method.centroids[0], torch.eye(16)[:4].mean(dim=0) * 2)


def test_restarts_differ_from_step_to_step_and_not_from_run_to_run():
    def restarts():
        method = tiny_method(OnlineClustering, own(clusters=30, bank_length=64))
        method.bank.copy_(functional.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)) + 3))
        found = []
        for _ in range(3):
            method.centroids.copy_(-torch.ones(30, 16) / 4)
            method.after_step(progress=progress(0.0))
            found.append(method.centroids.clone())
        return found

    first, second = restarts(), restarts()
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


def test_centroids_start_as_random_unit_rows_and_stay_without_iterations():
    method = tiny_method(OnlineClustering, own(kmeans_iterations=0))
    start = method.centroids.clone()
    torch.testing.assert_close(start.norm(dim=1), torch.ones(10))
    assert not method.bank.any() and method.banked == 0
    drawn = method.counter.item()
    method.reset_state(torch.Generator().manual_seed(1))
    assert method.counter.item() != drawn
    start = method.centroids.clone()
    take_steps(method, random_views(), steps=2)
    assert torch.equal(method.centroids, start)
    assert not any(name in ("centroids", "bank") for name, _ in method.named_parameters())


def test_centroids_are_unit_rows_under_lars_with_weight_decay():
    method = tiny_method(OnlineClustering, own())
    optimizer = LARS(method.parameters(), lr=0.5, weight_decay=0.1)
    for step in range(3):
        optimizer.zero_grad()
        method.loss(random_views(seed=step), progress=progress(0.0)).total.backward()
        optimizer.step()
        method.after_step(progress=progress(0.0))
        torch.testing.assert_close(method.centroids.norm(dim=1), torch.ones(10))


def test_evaluating_the_loss_leaves_the_bank_as_it_is():
    method = tiny_method(OnlineClustering, own()).eval()
    method.loss(random_views(), progress=progress(0.0))
    assert not method.bank.any() and method.banked == 0


@pytest.mark.parametrize("k", [30, 300])
def test_the_loss_starts_near_the_logarithm_of_the_number_of_clusters(k):
    method = tiny_method(OnlineClustering, own(clusters=k, bank_length=300), expander=(64, 1024))
    total = method.loss(random_views(n=64), progress=progress(0.0)).total.item()
    assert total == pytest.approx(math.log(k), abs=1.0)


def test_the_host_reads_no_value_in_a_step(monkeypatch):
    for module in (online_clustering, clustering):  # autocast knows no `meta`
        monkeypatch.setattr(module, "full_precision", lambda z: nullcontext())
    method = tiny_method(OnlineClustering, own(kmeans_iterations=2)).to("meta")  # where reading one raises
    views = [view.to("meta") for view in random_views()]
    share = torch.zeros((), device="meta")
    loss = method.loss(views, progress=share)
    loss.total.backward()
    method.after_step(progress=share)
    assert all(term.shape == () and not term.requires_grad for term in loss.terms.values())


def test_the_loss_of_a_fixed_batch_falls_from_its_start():
    method = tiny_method(OnlineClustering, own())
    totals = take_steps(method, random_views(), steps=20, lr=0.1)
    assert totals[-1] < totals[0] - 0.3


@pytest.mark.parametrize(
    "change",
    [{"clusters": 1}, {"temperature": -1.0}, {"bank_length": 9}, {"kmeans_iterations": -1}, {"balance": 1.5}],
    ids=str,
)
def test_settings_that_no_run_can_have_are_refused_by_name(change):
    with pytest.raises(InputError, match=f"pretrain.{next(iter(change))} "):
        own(**change)


def test_its_embeddings_have_a_free_scale_and_collapses_are_named():
    target = target_std_of("online_clustering", own())
    assert target is None
    method = tiny_method(OnlineClustering, own())
    embeddings = method.eval().encode(torch.cat(random_views(n=200))).embeddings
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(400))
    healthy = unit(400, 32).float()
    assert diagnosis(healthy, target_std=target) == "healthy"
    assert diagnosis(unit_rows(healthy[:1] + 1e-3 * healthy), target_std=target) == "complete"
    assert diagnosis(unit_rows(healthy[:, :1].repeat(1, 32) + 1e-2 * healthy), target_std=target) == "informational"
