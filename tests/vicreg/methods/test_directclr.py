"""DirectCLR: which coordinates the loss sees, what is encoded, settings, runs, and collapse types."""

import dataclasses
import math

import pytest
import torch
from lightly.loss import DirectCLRLoss
from torch.nn import functional

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
from tests.vicreg.methods.host_reads import refused
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant
from vicreg.errors import InputError
from vicreg.methods import method_class, target_std_of
from vicreg.methods.contrastive import nt_xent
from vicreg.methods.directclr import DirectCLR, DirectCLRSettings, coordinates

GIVEN = DirectCLRSettings(temperature=0.1, d0=0.17578125, denominator="n")
D_Y = 32  # of the tiny ResNet-18; GIVEN keeps 6 of these


def loss_of_half(a, b, **settings):
    half = a.shape[1] // 2
    return nt_xent(a[:, :half], b[:, :half], **settings).total


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_with_n_terms_it_is_the_authors_loss_of_both_directions(n, d):
    def authors(a, b):
        one, other = (functional.normalize(batch[:, : d // 2], dim=1) for batch in (a, b))
        labels = torch.arange(n)
        forward = functional.cross_entropy(one @ other.T / 0.1, labels)
        return forward / 2 + functional.cross_entropy(other @ one.T / 0.1, labels) / 2

    assert_same_loss(lambda a, b: loss_of_half(a, b, temperature=0.1, denominator="n"), authors, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_with_two_n_minus_one_terms_it_is_lightlys_loss_which_is_another(n, d):
    lightlys = DirectCLRLoss(loss_dim=d // 2, temperature=0.1)
    assert_same_loss(lambda a, b: loss_of_half(a, b, temperature=0.1, denominator="2n-1"), lightlys, *inputs(n, d))
    assert loss_of_half(*inputs(n, d), temperature=0.1, denominator="n") < lightlys(*inputs(n, d)) - 0.5


def test_values_are_those_once_computed_from_the_same_inputs():
    for (n, d), value in zip(SHAPES, (6.5889540683, 3.7622862237), strict=True):
        assert loss_of_half(*inputs(n, d), temperature=0.1, denominator="n").item() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_representations_have_a_finite_loss_and_gradient(case):
    assert_finite(lambda a, b: loss_of_half(a, b, temperature=0.1, denominator="n"), case)


# ---- the network


def test_it_has_no_expander_and_its_embeddings_are_the_first_coordinates_of_the_representations():
    method = tiny_method(DirectCLR, GIVEN, expander=(64, 128))
    assert method.embedding_dimension == 6 and not list(method.expander.parameters())
    encoded = method.eval().encode(random_views()[0])
    assert encoded.representations.shape == (16, D_Y)
    assert torch.equal(encoded.embeddings, encoded.representations[:, :6])


@pytest.mark.parametrize("denominator", ["n", "2n-1"])
@pytest.mark.parametrize("view_passes", ["separate", "together", "joint"])
def test_the_loss_is_nt_xent_of_the_first_coordinates(view_passes, denominator):
    method = tiny_method(DirectCLR, dataclasses.replace(GIVEN, denominator=denominator))
    method.view_passes = view_passes
    views = random_views()
    found = method.loss(views, progress=progress(0.5))
    if view_passes == "joint":
        z, z_prime = method.backbone(torch.cat(views))[:, :6].chunk(2)
    else:
        z, z_prime = (method.backbone(view)[:, :6] for view in views)
    expected = nt_xent(z, z_prime, temperature=0.1, denominator=denominator)
    assert found.total.item() == pytest.approx(expected.total.item(), rel=1e-4)
    assert found.embeddings.shape == (16, 6) and found.terms.keys() == DirectCLR.TERMS.keys()
    weighted = sum(weight * found.terms[name].item() for name, weight in method.coefficients().items())
    assert found.total.item() == pytest.approx(weighted, rel=1e-5)


def test_the_other_coordinates_get_no_gradient_from_the_loss():
    method = tiny_method(DirectCLR, GIVEN)
    seen = []

    def keep(module, arguments, output):
        output.retain_grad()
        seen.append(output)

    method.backbone.register_forward_hook(keep)
    method.loss(random_views(), progress=progress(0.0)).total.backward()
    assert len(seen) == 2
    for representations in seen:
        assert representations.grad[:, :6].any() and not representations.grad[:, 6:].any()


@pytest.mark.parametrize(
    ("d0", "dimension", "size"), [(1, 32, 32), (2, 32, 2), (360, 2048, 360), (0.17578125, 2048, 360), (0.17578125, 512, 90)]
)
def test_d0_is_a_share_up_to_one_and_a_number_from_two_on(d0, dimension, size):
    assert coordinates(d0, dimension=dimension) == size


@pytest.mark.parametrize(
    ("d0", "sentence"),
    [
        (0.01, "pretrain.d0 must leave 2 to 32 coordinates of the backbone's 32, but 0.01 leaves 0; "),
        (33, "pretrain.d0 must leave 2 to 32 coordinates of the backbone's 32, but 33 leaves 33; "),
    ],
)
def test_more_coordinates_than_there_are_and_fewer_than_two_are_refused(d0, sentence):
    with pytest.raises(InputError) as raised:
        tiny_method(DirectCLR, dataclasses.replace(GIVEN, d0=d0))
    assert str(raised.value).startswith(sentence) and str(raised.value).endswith("a number that the backbone has.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": 0.0}, "pretrain.temperature must be a finite number above 0, but got 0.0"),
        ({"denominator": "2n-2"}, "pretrain.denominator must be one of n, 2n-1, but got '2n-2'; choose one."),
        ({"d0": 0.0}, "pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got 0."),
        ({"d0": 1.5}, "pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got 1.5."),
        ({"d0": 2.5}, "pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got 2.5."),
        ({"d0": math.inf}, "pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got inf."),
        ({"d0": math.nan}, "pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got nan."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value).startswith(sentence)


# ---- runs


def test_params_yaml_has_its_section_and_its_scale_is_free(settings):
    assert method_class("directclr") is DirectCLR
    assert settings(method="directclr").method_settings == GIVEN
    assert settings(method="directclr", d0=360).method_settings.d0 == 360
    assert target_std_of("directclr", GIVEN) is None


@pytest.mark.parametrize("denominator", ["2n-1", "n"])
def test_a_step_reads_no_value_on_the_host(denominator):
    method = tiny_method(DirectCLR, dataclasses.replace(GIVEN, denominator=denominator))
    with refused():
        method.loss(random_views(), progress=progress(0.5)).total.backward()


def test_it_learns_a_fixed_batch():
    totals = take_steps(tiny_method(DirectCLR, GIVEN), random_views(), steps=20)
    assert totals[-1] < totals[0] - 1


def test_collapse_is_named_of_coordinates_that_are_never_negative():
    # representations are means of what a ReLU lets through
    for made, name in ((healthy, "healthy"), (near_constant, "complete"), (copies, "informational")):
        assert diagnosis(torch.relu(made()), target_std=target_std_of("directclr", GIVEN)) == name
