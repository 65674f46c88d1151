"""DCL and DCLW: their losses, the gradient of the weights, settings, runs, and collapse types."""

import dataclasses
import math

import pytest
import torch
from lightly.loss import DCLLoss
from lightly.loss.dcl_loss import negative_mises_fisher_weights
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import (
    DEGENERATE,
    FEW,
    SHAPES,
    assert_finite,
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
from tests.vicreg.methods.host_reads import refused
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant, on_sphere
from vicreg.errors import InputError
from vicreg.methods import method_class, target_std_of
from vicreg.methods.dcl import DCL, WEIGHTINGS, DCLSettings, dcl_loss, von_mises_fisher_weights

GIVEN = DCLSettings(temperature=0.1, weighting="none", sigma=0.5, scale="mean")


def loss(**settings):
    return lambda a, b: dcl_loss(a, b, **{"temperature": 0.1, **settings}).total


def naive_dcl(z, z_prime, *, temperature, sigma=None, differentiated=False):
    """Each image's weight, attraction and 2n - 2 repulsions by themselves."""
    n = len(z)
    rows = [row / row.norm() for row in (*z, *z_prime)]
    cosines = [rows[i] @ rows[i + n] for i in range(n)]
    weights, losses = [1.0] * n, []
    if sigma is not None:
        closeness = [((c if differentiated else c.detach()) / sigma).exp() for c in cosines]
        weights = [2 - one / (sum(closeness) / n) for one in closeness]
    for i in range(2 * n):
        others = [k for k in range(2 * n) if k % n != i % n]
        assert len(others) == 2 * n - 2
        repulsion = torch.stack([(rows[i] @ rows[k] / temperature).exp() for k in others]).sum().log()
        losses.append(-weights[i % n] * cosines[i % n] / temperature + repulsion)
    return torch.stack(losses).mean()


# ---- the loss


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_of_dcl_are_lightlys(n, d, temperature):
    assert_same_loss(loss(temperature=temperature), DCLLoss(temperature=temperature), *inputs(n, d))


@pytest.mark.parametrize("sigma", [0.5, 0.2])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_of_dclw_with_detached_weights_are_lightlys(n, d, sigma):
    # lightly copies the weights by torch.tensor, which warns; the same formula without the copy
    def weights(a, b):
        return 2 - len(a) * torch.softmax((a * b).sum(dim=1).detach() / sigma, dim=0)

    units = [functional.normalize(batch, dim=1) for batch in inputs(n, d)]
    with pytest.warns(UserWarning, match="To copy construct"):
        torch.testing.assert_close(weights(*units), negative_mises_fisher_weights(*units, sigma), rtol=1e-12, atol=0)
    reference = DCLLoss(temperature=0.1, weight_fn=weights)
    assert_same_loss(loss(weighting="detached", sigma=sigma), reference, *inputs(n, d))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(("n", "d"), FEW)
def test_value_and_gradient_are_those_of_a_loop(weighting, n, d):
    sigma = {} if weighting == "none" else {"sigma": 0.5, "differentiated": weighting == "differentiated"}
    assert_same_loss(loss(weighting=weighting), lambda a, b: naive_dcl(a, b, temperature=0.1, **sigma), *inputs(n, d))


def test_detached_and_differentiated_weights_have_one_value_and_two_gradients():
    (one, constant), (other, differentiated) = (
        value_and_gradients(loss(weighting=weighting), *inputs(16, 48)) for weighting in WEIGHTINGS[1:]
    )
    assert one == other and not torch.allclose(constant[0], differentiated[0], rtol=1e-2)


def test_weights_average_to_one_and_fall_with_the_cosine():
    weights = von_mises_fisher_weights(torch.tensor([-0.5, 0.0, 0.5, 1.0], dtype=torch.float64), sigma=0.5)
    assert weights.mean().item() == pytest.approx(1) and bool((weights.diff() < 0).all())
    assert weights[-1] < 0  # an outstandingly close pair is pushed apart
    assert von_mises_fisher_weights(torch.full((5,), 0.3), sigma=0.5).tolist() == pytest.approx([1.0] * 5)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_at_constant_rows_two_n_minus_two_terms_are_left(weighting):
    value = loss(weighting=weighting)(*degenerate("constant rows")).item()
    assert value == pytest.approx(math.log(126), abs=1e-9)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(case, weighting):
    assert_finite(loss(weighting=weighting), case)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"weighting": "mine"}, "weighting must be one of none, detached, differentiated, but got 'mine'; choose one."),
        ({"sigma": 0.0}, "sigma must be a finite number above 0, but got 0.0; lightly's is 0.5."),
        ({"temperature": -1.0}, "temperature must be a finite number above 0, but got -1.0; published ones are 0.05 to 1."),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(InputError) as raised:
        loss(**arguments)(*inputs(16, 48))
    assert str(raised.value) == sentence


# ---- the method


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(("scale", "factor"), [("mean", 1), ("sum", 2)])
def test_the_methods_loss_is_dcl_loss_with_its_settings(weighting, scale, factor):
    method = tiny_method(DCL, dataclasses.replace(GIVEN, weighting=weighting, scale=scale, sigma=0.3))
    views = random_views()
    found = method.loss(views, progress=progress(0.5))
    expected = dcl_loss(method(views[0])[1], method(views[1])[1], temperature=0.1, weighting=weighting, sigma=0.3)
    assert found.total.item() == pytest.approx(factor * expected.total.item(), rel=1e-6)
    weighted = sum(weight * found.terms[name].item() for name, weight in method.coefficients().items())
    assert found.total.item() == pytest.approx(weighted, rel=1e-5, abs=1e-5)
    assert found.terms.keys() == DCL.TERMS.keys() and not any(term.requires_grad for term in found.terms.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": math.inf}, "pretrain.temperature must be a finite number above 0, but got inf"),
        ({"weighting": "all"}, "pretrain.weighting must be one of none, detached, differentiated, but got 'all'"),
        ({"sigma": -0.5}, "pretrain.sigma must be a finite number above 0, but got -0.5"),
        ({"scale": "half"}, "pretrain.scale must be one of mean, sum, but got 'half'"),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value).startswith(sentence)


def test_params_yaml_has_its_section_and_its_scale_is_free(settings):
    assert method_class("dcl") is DCL
    assert settings(method="dcl").method_settings == GIVEN
    assert target_std_of("dcl", GIVEN) is None


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_step_reads_no_value_on_the_host(weighting):
    method = tiny_method(DCL, dataclasses.replace(GIVEN, weighting=weighting))
    with refused():
        method.loss(random_views(), progress=progress(0.5)).total.backward()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_it_learns_a_fixed_batch(weighting):
    totals = take_steps(tiny_method(DCL, dataclasses.replace(GIVEN, weighting=weighting)), random_views(), steps=20)
    assert all(math.isfinite(value) for value in totals) and totals[-1] < totals[0] - 1


def test_collapse_is_named_on_the_unit_sphere():
    for made, name in ((healthy, "healthy"), (near_constant, "complete"), (copies, "informational")):
        assert diagnosis(on_sphere(made()), target_std=target_std_of("dcl", GIVEN)) == name
