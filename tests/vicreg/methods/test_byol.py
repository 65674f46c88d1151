"""BYOL: its loss against two references, what has a gradient, what it keeps, and what it collapses without."""

import dataclasses

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
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
from vicreg.methods.byol import BYOL, BYOLSettings, byol_loss
from vicreg.metrics.collapse import collapse_trace
from vicreg.training.setup import new_model

GIVEN = BYOLSettings(ema_start=0.9, ema_schedule="cosine", predictor=True, predictor_ratio=1.0, stop_gradient=True)


def four(n: int, d: int) -> list[torch.Tensor]:
    a, b = inputs(n, d)
    return [a, b, a.roll(1, dims=0) + 0.5 * b, b.roll(1, dims=1) - 0.3 * a]


def ours(*batches: torch.Tensor) -> torch.Tensor:
    return byol_loss(*batches).total


def naive(p, p_prime, target, target_prime):
    total = 0.0
    for prediction, wanted in ((p, target_prime), (p_prime, target)):
        for q, t in zip(prediction, wanted, strict=True):
            total = total + sum((q[j] / q.norm() - t[j] / t.norm()) ** 2 for j in range(len(q))) / len(p)
    return total


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_loss_is_4_and_twice_lightlys_two_negative_cosines(n, d):
    cosine = NegativeCosineSimilarity()

    def lightly(p, p_prime, target, target_prime):
        return 4 + 2 * (cosine(p, target_prime) + cosine(p_prime, target))

    assert_same_loss(ours, lightly, *four(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
def test_the_loss_is_the_papers_written_in_loops(n, d):
    assert_same_loss(ours, naive, *four(n, d))


def test_the_loss_is_0_at_predictions_along_their_targets_and_8_opposite_to_them():
    a, b = inputs(16, 8)
    assert byol_loss(3 * a, 2 * b, b, a).total.item() == pytest.approx(0, abs=1e-12)
    opposite = byol_loss(-3 * a, -2 * b, b, a)
    assert opposite.total.item() == pytest.approx(8) and opposite.cosine.item() == pytest.approx(-1)


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradient_of_degenerate_batches_are_finite(case):
    a, b = degenerate(case)
    value, gradients = value_and_gradients(ours, a, b, a, b)
    assert value.isfinite() and all(one.isfinite().all() for one in gradients)


def test_it_is_computed_in_float32_whatever_autocast_says():
    batches = [one.float() for one in four(64, 32)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = ours(*(one.bfloat16() for one in batches))
        assert low.dtype == torch.float32
        torch.testing.assert_close(ours(*batches), ours(*(one.double() for one in batches)).float(), rtol=1e-6, atol=0)


def test_batches_of_other_shapes_are_refused():
    a, b = inputs(16, 8)
    with pytest.raises(InputError, match="embeddings of one shape"):
        byol_loss(a, b, a, b[:8])
    with pytest.raises(InputError, match="finite"):
        byol_loss(a, b, a, b * float("nan"))


# ---- the method


def test_it_is_found_by_the_name_of_its_file_and_sets_no_scale():
    assert method_class("byol") is BYOL and target_std_of("byol", GIVEN) is None
    assert not (BYOL.OWN_RATES or BYOL.WANTS_LABELS or BYOL.LOCAL_VIEWS)  # the predictor's rate decays with the run's


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ema_schedule": "step"}, "pretrain.ema_schedule must be one of constant, cosine, but got 'step'; choose one."),
        (
            {"predictor_ratio": 0.0},
            "pretrain.predictor_ratio must be a finite number above 0, but got 0.0; 1 keeps the width.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


def test_the_predictor_is_as_wide_inside_as_its_ratio_says():
    method = tiny_method(BYOL, dataclasses.replace(GIVEN, predictor_ratio=0.5), expander=(12, 10))
    assert [tuple(one.shape) for one in method.predictor.parameters() if one.ndim == 2] == [(5, 10), (10, 5)]


def test_no_gradient_reaches_the_target_and_one_reaches_all_else():
    method = tiny_method(BYOL, GIVEN)
    method.loss(random_views(), progress=progress(0.0)).total.backward()
    assert all(parameter.grad is None for parameter in method.target.parameters())
    for network in (method.backbone, method.expander, method.predictor):
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_target_that_had_a_gradient_would_be_seen():
    method = tiny_method(BYOL, GIVEN)
    method.target.requires_grad_(True)
    type(method.target).embed.__wrapped__(method.target, *random_views(), passes="separate")[0].sum().backward()
    assert all(parameter.grad is not None for parameter in method.target.parameters())


def test_the_target_starts_as_the_online_network_and_then_follows_it():
    method = tiny_method(BYOL, GIVEN)
    theirs = {**method.backbone.state_dict(prefix="backbone."), **method.expander.state_dict(prefix="expander.")}
    assert all(torch.equal(value, theirs[name]) for name, value in method.target.state_dict().items())
    before = [one.clone() for one in method.target.parameters()]
    take_steps(method, random_views(), steps=1)
    online = [*method.backbone.parameters(), *method.expander.parameters()]
    for old, new, followed in zip(before, method.target.parameters(), online, strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * followed.detach(), rtol=1e-5, atol=1e-7)
    counters = [value.item() for name, value in method.target.named_buffers() if "num_batches" in name]
    assert counters and set(counters) == {4}  # two views, before the step and after it


def test_without_a_predictor_and_with_a_target_of_momentum_0_predictions_are_embeddings_of_the_last_step():
    method = tiny_method(BYOL, dataclasses.replace(GIVEN, ema_start=0.0, ema_schedule="constant", predictor=False))
    assert list(method.predictor.parameters()) == []
    take_steps(method, random_views(), steps=2)
    online = [*method.backbone.parameters(), *method.expander.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(method.target.parameters(), online, strict=True))


def test_without_stop_gradient_the_targets_are_the_online_embeddings():
    settings = dataclasses.replace(GIVEN, predictor=False, stop_gradient=False)
    method, same = tiny_method(BYOL, settings), tiny_method(BYOL, settings)
    loss = method.loss(random_views(), progress=progress(0.0))
    z, z_prime = same.embed(*random_views())
    torch.testing.assert_close(loss.total, byol_loss(z, z_prime, z, z_prime).total)
    assert loss.embeddings.requires_grad and torch.equal(loss.embeddings, z)


@pytest.mark.parametrize("passes", ["separate", "together", "joint"])
def test_the_loss_is_byol_loss_of_predictions_and_of_the_targets_embeddings(passes):
    method, same = (tiny_method(BYOL, GIVEN) for _ in range(2))
    method.view_passes = passes
    loss = method.loss(random_views(), progress=progress(0.5))
    z, z_prime = same.embed_views(*random_views(), passes=passes)
    if passes == "joint":
        p, p_prime = same.predictor(torch.cat((z, z_prime))).chunk(2)
    else:
        p, p_prime = same.predictor(z), same.predictor(z_prime)
    expected = byol_loss(p, p_prime, *same.target.embed_views(*random_views(), passes=passes))
    torch.testing.assert_close(loss.total, expected.total, rtol=1e-5, atol=0)
    assert loss.terms.keys() == BYOL.TERMS.keys() and not loss.terms["cosine"].requires_grad


def test_the_loss_of_a_fixed_batch_falls():
    totals = take_steps(tiny_method(BYOL, GIVEN), random_views(), steps=10)
    assert totals[-1] < 0.7 * totals[0]


def test_collapsed_embeddings_are_named_and_healthy_ones_are_not():
    random = torch.Generator().manual_seed(0)
    healthy = torch.randn(512, 16, generator=random)
    constant = torch.randn(1, 16, generator=random) + 0.01 * healthy
    copies = healthy[:, :1] + 0.05 * healthy
    target_std = tiny_method(BYOL, GIVEN).target_std
    for scale in (1.0, 0.01):
        assert diagnosis(scale * healthy, target_std=target_std) == "healthy"
        assert diagnosis(torch.nn.functional.normalize(scale * healthy), target_std=target_std) == "healthy"
        assert diagnosis(scale * constant, target_std=target_std) == "complete"
        assert diagnosis(scale * copies, target_std=target_std) == "informational"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "collapses"),
    [
        ({}, False),
        ({"predictor": False, "ema_start": 0.0, "ema_schedule": "constant"}, True),
        ({"predictor": False, "stop_gradient": False}, True),
    ],
    ids=["byol", "no predictor, momentum 0", "no predictor, no stop-gradient"],
)
def test_it_collapses_without_its_predictor_and_its_target_and_not_with_them(change, collapses):
    method = tiny_method(BYOL, dataclasses.replace(GIVEN, **change))
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9)
    for step in range(40):
        view, noise = random_views(n=32, seed=step)
        optimizer.zero_grad()
        method.loss([view, view + 0.3 * noise], progress=progress(step / 39)).total.backward()
        optimizer.step()
        method.after_step(progress=progress(step / 39))
    z = method.eval().encode(random_views(n=256, seed=1000)[0]).embeddings.detach()
    # 0.71 with both, 0.05 and 0.04 without: below 0.1 the diagnosis is `complete`.
    spread = collapse_trace(z, rank=False)["normalised_std"]
    assert spread < 0.1 if collapses else spread > 0.5


# ---- runs


def test_a_run_starts_from_the_weights_of_any_other_method(settings, digits):
    ours, theirs = (new_model(settings(method=name), digits) for name in ("byol", "vicreg"))
    for name in ("backbone", "expander"):
        mine, others = ours.get_submodule(name).state_dict(), theirs.get_submodule(name).state_dict()
        assert mine.keys() == others.keys() and all(torch.equal(mine[key], others[key]) for key in mine)
