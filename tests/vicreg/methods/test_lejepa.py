"""LeJEPA: SIGReg against its integral written out, against lightly, on data whose value is known, and as a method."""

import dataclasses
import math

import pytest
import torch
from lightly.loss import LeJEPALoss
from lightly.loss.lejepa_loss import SIGReg
from torch import Tensor

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
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
from vicreg.methods import target_std_of
from vicreg.methods.batch_statistics import centroid_invariance, unit_slices
from vicreg.methods.lejepa import LeJEPA, LeJEPASettings, lejepa_loss, sigreg

GIVEN = LeJEPASettings(lambda_=0.05, slices=32, knots=17, mixing="convex")


def seeded_slices(d: int, m: int = 64, *, seed: int = 3) -> Tensor:
    """Unit columns (d, m), float64: those that lightly draws after this seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        slices = torch.randn(d, m, dtype=torch.float64)
    return slices / slices.norm(p=2, dim=0)


def written_out_sigreg(views: list[Tensor], slices: Tensor) -> Tensor:
    """Epps and Pulley's integral as it is printed: complex exponentials, and all 33 frequencies of [-3, 3]."""
    frequencies = torch.linspace(-3, 3, 33, dtype=torch.float64)
    statistics = []
    for view in views:
        for slice_ in slices.T:
            projections = view @ slice_
            integrand = []
            for t in frequencies:
                empirical = torch.exp(1j * t * projections).mean()
                normal = math.exp(-(t.item() ** 2) / 2)
                integrand.append((empirical - normal).abs() ** 2 * normal)
            trapezoids = [(one + two) / 2 * (6 / 32) for one, two in zip(integrand, integrand[1:], strict=False)]
            statistics.append(len(view) * sum(trapezoids))
    return sum(statistics) / len(statistics)


def written_out_invariance(views: list[Tensor]) -> Tensor:
    centre = sum(views) / len(views)
    return sum((view - centre).square().sum() for view in views) / (len(views) * centre.numel())


def written_out_loss(*views: Tensor, slices: Tensor, weight: float, other: float) -> Tensor:
    return weight * written_out_sigreg(list(views), slices) + other * written_out_invariance(list(views))


# ---- the loss


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mixing", "other"), [("convex", 0.9), ("additive", 1.0)])
def test_value_and_gradient_are_those_of_the_formula_written_out(shape, mixing, other):
    slices = seeded_slices(shape[1], 5)
    assert_same_loss(
        lambda a, b: lejepa_loss(a, b, slices=slices, lambda_=0.1, mixing=mixing).total,
        lambda a, b: written_out_loss(a, b, slices=slices, weight=0.1, other=other),
        *inputs(*shape),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradient_are_lightlys_where_its_float32_knots_allow(shape):
    slices = seeded_slices(shape[1])

    def lightly(a: Tensor, b: Tensor) -> Tensor:
        views = torch.stack((a, b))  # lightly demands local views; the same ones again leave every mean as it is
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return LeJEPALoss(lambda_param=0.1, sigreg_num_vectors=64)(global_proj=views, local_proj=views)

    assert_same_loss(
        lambda a, b: lejepa_loss(a, b, slices=slices, lambda_=0.1).total, lightly, *inputs(*shape), relative=1e-6
    )


def test_sigreg_is_lightlys_with_another_number_of_knots():
    slices = seeded_slices(32)

    def lightly(a: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return SIGReg(knots=10, num_vectors=64)(a)

    assert_same_loss(lambda a: sigreg(a, slices, knots=10), lightly, inputs(64, 32)[0], relative=1e-6)


def test_each_view_is_tested_by_itself():
    a, b = inputs(64, 32)
    slices = seeded_slices(32)
    alone = (sigreg(a, slices) + sigreg(b, slices)) / 2
    assert sigreg(torch.stack((a, b)), slices).item() == pytest.approx(alone.item(), rel=1e-12)
    assert sigreg(torch.cat((a, b)), slices).item() != pytest.approx(alone.item(), rel=1e-2)


def test_with_two_views_the_invariance_is_a_quarter_of_the_mean_squared_difference():
    a, b = inputs(16, 48)
    assert centroid_invariance(torch.stack((a, b))).item() == pytest.approx((a - b).square().mean().item() / 4, rel=1e-12)


def gaussian_integral(power: int) -> float:
    """The integral of exp(-power t^2 / 2) over [-3, 3]."""
    return math.sqrt(2 * math.pi / power) * math.erf(3 * math.sqrt(power / 2))


@pytest.mark.parametrize("n", [64, 256, 1024])
def test_sigreg_is_about_one_where_embeddings_are_standard_normal_at_any_n(n):
    # n E|phi_n - phi|^2 = 1 - phi^2, so the expectation is an integral of (1 - g^2) g with g = exp(-t^2 / 2): 1.0526
    expected = gaussian_integral(1) - gaussian_integral(3)
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(5, n, 64, generator=generator)
    values = [sigreg(draw, seeded_slices(64, 256, seed=seed)).item() for seed, draw in enumerate(draws)]
    assert sum(values) / 5 == pytest.approx(expected, abs=0.08)
    assert 0.7 < min(values) and max(values) < 1.5


def test_on_constant_rows_sigreg_grows_in_proportion_to_n():
    slices, row = seeded_slices(64), torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    values = [sigreg(row.repeat(n, 1), slices).item() for n in (64, 256, 1024)]
    assert values[1] == pytest.approx(4 * values[0], rel=1e-5) and values[2] == pytest.approx(16 * values[0], rel=1e-5)
    assert values[0] > 30


def test_on_zeros_sigreg_is_the_integral_in_closed_form():
    # n times the integral of (1 - g)^2 g
    expected = 64 * (gaussian_integral(1) - 2 * gaussian_integral(2) + gaussian_integral(3))
    assert sigreg(torch.zeros(64, 8, dtype=torch.float64), seeded_slices(8), knots=1001).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_embeddings_of_another_std_than_one_have_a_larger_sigreg():
    normal = torch.randn(512, 32, generator=torch.Generator().manual_seed(0))
    by_std = {std: sigreg(std * normal, seeded_slices(32)).item() for std in (0.1, 0.7, 1.0, 1.5)}
    assert min(by_std, key=by_std.get) == 1.0 and by_std[0.1] > 50


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(case):
    slices = seeded_slices(32)
    assert_finite(lambda a, b: lejepa_loss(a, b, slices=slices).total, case)


def test_an_exact_collapse_is_no_stationary_point():
    slices, rows = seeded_slices(32), torch.full((64, 32), 0.5, dtype=torch.float64, requires_grad=True)
    lejepa_loss(rows, rows, slices=slices).total.backward()
    assert rows.grad is not None and rows.grad.abs().max() > 1e-3


def test_two_views_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="one shape"):
        lejepa_loss(torch.zeros(4, 3), torch.zeros(4, 2), slices=seeded_slices(3))


def test_the_loss_is_computed_in_float32_under_autocast():
    a, b = (one.float() for one in inputs(64, 32))
    slices = seeded_slices(32)
    expected = lejepa_loss(a, b, slices=slices).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lejepa_loss(a, b, slices=slices).total, expected)


# ---- the slices


def test_slices_have_unit_length_and_every_direction():
    slices = unit_slices(torch.tensor(5), dimension=8, slices=4096)
    assert slices.shape == (8, 4096) and torch.allclose(slices.norm(dim=0), torch.ones(4096))
    assert torch.allclose(slices @ slices.T / 4096, torch.eye(8) / 8, atol=0.01)


def test_slices_are_new_in_each_step_and_of_other_seeds():
    method, views = tiny_method(LeJEPA, GIVEN), random_views()
    first = [method.loss(views, progress=progress(0.0)).terms["sigreg"].item() for _ in range(2)]
    method.after_step(progress=progress(0.0))
    second = method.loss(views, progress=progress(0.5)).terms["sigreg"].item()
    assert first[0] == first[1] != second
    method.reset_state(torch.Generator().manual_seed(1))
    other = method.counter.item()
    method.reset_state(torch.Generator().manual_seed(2))
    assert method.counter.item() != other


def test_the_method_is_the_loss_of_its_embeddings_with_the_counters_slices():
    changed = dataclasses.replace(GIVEN, lambda_=0.3, knots=5, mixing="additive")
    method, views = tiny_method(LeJEPA, changed), random_views()
    loss = method.loss(views, progress=progress(0.0))
    slices = unit_slices(method.counter, dimension=16, slices=32)
    expected = lejepa_loss(*method.embed(*views), slices=slices, lambda_=0.3, knots=5, mixing="additive")
    assert torch.equal(loss.total, expected.total)
    assert loss.total.item() == pytest.approx(
        sum(weight * loss.terms[name].item() for name, weight in method.coefficients().items()), rel=1e-6
    )
    assert loss.terms.keys() == LeJEPA.TERMS.keys() and not any(term.requires_grad for term in loss.terms.values())


# ---- as a method


def test_the_counter_is_three_steps_further_after_three_steps():
    method = tiny_method(LeJEPA, GIVEN)
    start = method.counter.item()
    take_steps(method, random_views(), steps=3)
    assert method.counter.item() == start + 3 and method.counter.dtype == torch.int64


def test_the_loss_falls_on_a_fixed_batch():
    totals = take_steps(tiny_method(LeJEPA, GIVEN), random_views(), steps=20)
    assert all(map(math.isfinite, totals)) and totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize(
    ("name", "embeddings"),
    [
        ("healthy", torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("complete", 0.5 + 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("complete", 1e-3 * torch.randn(150, 32, generator=torch.Generator().manual_seed(0))),
        ("informational", torch.randn(150, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 32)),
    ],
)
def test_a_collapse_is_named_at_the_scale_the_loss_sets(name, embeddings):
    assert target_std_of("lejepa", GIVEN) == 1.0
    assert target_std_of("lejepa", dataclasses.replace(GIVEN, lambda_=0.0)) is None  # no term sets the scale
    assert diagnosis(embeddings, target_std=1.0) == name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mixing": "sum"}, "pretrain.mixing must be one of convex, additive, but got 'sum'; choose one."),
        (
            {"lambda_": 1.5},
            "pretrain.lambda must be in [0, 1] where pretrain.mixing is convex, but got 1.5; "
            "lower it or set mixing to additive.",
        ),
        (
            {"lambda_": -1.0, "mixing": "additive"},
            "pretrain.lambda must be a finite number of at least 0, but got -1.0; the paper has 0.05.",
        ),
        ({"slices": 0}, "pretrain.slices must be at least 1, but got 0; the paper has 1024."),
        ({"knots": 1}, "pretrain.knots must be at least 2 to span an interval, but got 1; the authors have 17."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence
