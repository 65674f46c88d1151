"""MoCo v3: its n-way cross-entropy in both directions, its heads, and what has a gradient."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from tests.vicreg.methods.helpers import (
    DEGENERATE,
    FEW,
    SHAPES,
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
from vicreg.methods.contrastive import nt_xent
from vicreg.methods.mocov3 import MoCoV3, MoCoV3Settings, mocov3_loss

GIVEN = MoCoV3Settings(temperature=0.2, ema_start=0.9, ema_schedule="cosine", predictor_ratio=1.0)


def four(n: int, d: int) -> list[torch.Tensor]:
    a, b = inputs(n, d)
    return [a, b, a.roll(1, dims=0) + 0.5 * b, b.roll(1, dims=1) - 0.3 * a]


def ours(*batches: torch.Tensor) -> torch.Tensor:
    return mocov3_loss(*batches, temperature=0.2).total


def matrix(q, q_prime, k, k_prime, *, temperature=0.2):
    """The authors' `contrastive_loss`, both directions summed."""
    total = 0.0
    for queries, keys in ((q, k_prime), (q_prime, k)):
        logits = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T / temperature
        total = total + 2 * temperature * functional.cross_entropy(logits, torch.arange(len(q)))
    return total


def loops(q, q_prime, k, k_prime, *, temperature=0.2):
    total = 0.0
    for queries, keys in ((q, k_prime), (q_prime, k)):
        for i, query in enumerate(queries):
            terms = [torch.exp((query / query.norm()) @ (key / key.norm()) / temperature) for key in keys]
            total = total - 2 * temperature * torch.log(terms[i] / sum(terms)) / len(queries)
    return total


# ---- the loss


@pytest.mark.parametrize(
    ("n", "d", "reference"), [*((*shape, matrix) for shape in SHAPES), *((*shape, loops) for shape in FEW)]
)
def test_the_loss_is_the_authors_in_two_writings(n, d, reference):
    assert_same_loss(ours, reference, *four(n, d))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_at_constant_rows_it_is_4_tau_times_the_log_of_n(temperature):
    """n terms: the 2 n - 1 of NT-Xent would give a log of 127, which is larger."""
    a, _ = degenerate("constant rows")
    loss = mocov3_loss(a, a, a, a, temperature=temperature)
    assert loss.total.item() == pytest.approx(4 * temperature * math.log(64), rel=1e-12)
    wider = nt_xent(a, a, temperature=temperature).total.item()
    assert wider == pytest.approx(math.log(127)) and wider > math.log(64) + 0.5
    assert loss.contrast_accuracy.item() == 0


def test_the_other_members_are_means_over_both_directions():
    loss = mocov3_loss(*four(64, 32), temperature=0.2)
    assert loss.total.item() == pytest.approx(0.8 * (loss.positive_pairs + loss.log_denominator).item(), rel=1e-12)
    assert not any(one.requires_grad for one in loss[1:])


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradient_of_degenerate_batches_are_finite(case):
    a, b = degenerate(case)
    value, gradients = value_and_gradients(ours, a, b, a, b)
    assert value.isfinite() and all(one.isfinite().all() for one in gradients)


# ---- the method


def test_it_is_found_by_the_name_of_its_file_and_sets_no_scale():
    assert method_class("mocov3") is MoCoV3 and target_std_of("mocov3", GIVEN) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": -1.0}, "pretrain.temperature must be a finite number above 0, but got -1.0"),
        ({"ema_start": 2.0}, r"pretrain.ema_start must lie in \[0, 1\], but got 2.0"),
        ({"predictor_ratio": 0.0}, "pretrain.predictor_ratio must be a finite number above 0, but got 0.0"),
    ],
)
def test_a_value_no_run_can_have_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(GIVEN, **change)


def test_the_expander_ends_with_batchnorm_without_scale_and_the_predictor_without_bias():
    method = tiny_method(MoCoV3, GIVEN, expander=(12, 10))
    last = method.expander[-1]
    assert (last.num_features, last.affine) == (10, False)
    assert method.predictor[-1].bias is None and method.predictor[-1].out_features == 10
    z = method.embed(*random_views())[0]
    torch.testing.assert_close(z.var(dim=0, unbiased=False), torch.ones(10), rtol=1e-2, atol=0)


def test_no_gradient_reaches_the_target_and_one_reaches_all_else():
    method = tiny_method(MoCoV3, GIVEN)
    method.loss(random_views(), progress=progress(0.0)).total.backward()
    assert all(parameter.grad is None for parameter in method.target.parameters())
    for network in (method.backbone, method.expander, method.predictor):
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_the_loss_is_mocov3_loss_of_predictions_and_of_the_targets_embeddings(passes):
    method, same = (tiny_method(MoCoV3, GIVEN) for _ in range(2))
    method.view_passes = passes
    loss = method.loss(random_views(), progress=progress(0.5))
    z, z_prime = same.embed_views(*random_views(), passes=passes)
    if passes == "joint":
        queries = same.predictor(torch.cat((z, z_prime))).chunk(2)
    else:
        queries = same.predictor(z), same.predictor(z_prime)
    expected = mocov3_loss(*queries, *same.target.embed_views(*random_views(), passes=passes), temperature=0.2)
    torch.testing.assert_close(loss.total, expected.total, rtol=1e-5, atol=0)
    weighted = sum(weight * loss.terms[name] for name, weight in method.coefficients().items())
    torch.testing.assert_close(loss.total.detach(), weighted, rtol=1e-5, atol=0)


def test_the_target_starts_as_the_online_network_and_then_follows_it():
    method = tiny_method(MoCoV3, GIVEN)
    online = [*method.backbone.parameters(), *method.expander.parameters()]
    before = [one.detach().clone() for one in method.target.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, online, strict=True))
    take_steps(method, random_views(), steps=1)
    for old, new, followed in zip(before, method.target.parameters(), online, strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * followed.detach(), rtol=1e-5, atol=1e-7)


def test_the_loss_of_a_fixed_batch_falls():
    totals = take_steps(tiny_method(MoCoV3, GIVEN), random_views(), steps=10)
    assert totals[-1] < 0.8 * totals[0]


def test_collapsed_embeddings_are_named_and_healthy_ones_are_not():
    random = torch.Generator().manual_seed(0)
    healthy = torch.randn(512, 16, generator=random)
    assert diagnosis(healthy, target_std=None) == diagnosis(functional.normalize(healthy), target_std=None) == "healthy"
    assert diagnosis(torch.ones(1, 16) + 0.01 * healthy, target_std=None) == "complete"
    assert diagnosis(healthy[:, :1] + 0.05 * healthy, target_std=None) == "informational"
