"""SimCLR as a method: its settings, the authors' scale, runs, and its collapse types."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from tests.vicreg.methods.helpers import (
    SHAPES,
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
from vicreg.methods.contrastive import SCALES, nt_xent
from vicreg.methods.simclr import SimCLR, SimCLRSettings

GIVEN = SimCLRSettings(temperature=0.2, denominator="2n-1", scale="mean")


def authors_loss(z, z_prime, *, temperature):
    """The authors' TensorFlow code: both directions' cross-entropies, added, with own rows masked by a large number."""
    a, b = functional.normalize(z, dim=1), functional.normalize(z_prime, dim=1)
    own = 1e9 * torch.eye(len(z), dtype=z.dtype)
    labels = torch.arange(len(z))
    one = torch.cat((a @ b.T, a @ a.T - own), dim=1) / temperature
    other = torch.cat((b @ a.T, b @ b.T - own), dim=1) / temperature
    return functional.cross_entropy(one, labels) + functional.cross_entropy(other, labels)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_sum_of_the_directions_is_the_authors_loss(n, d):
    assert_same_loss(
        lambda a, b: SCALES["sum"] * nt_xent(a, b, temperature=0.5).total,
        lambda a, b: authors_loss(a, b, temperature=0.5),
        *inputs(n, d),
    )


@pytest.mark.parametrize("denominator", ["2n-1", "n"])
@pytest.mark.parametrize(("scale", "factor"), [("mean", 1), ("sum", 2)])
def test_the_loss_is_nt_xent_of_the_views_embeddings_with_the_settings(denominator, scale, factor):
    method = tiny_method(SimCLR, dataclasses.replace(GIVEN, denominator=denominator, scale=scale))
    views = random_views()
    loss = method.loss(views, progress=progress(0.5))
    z, z_prime = method(views[0])[1], method(views[1])[1]
    expected = nt_xent(z, z_prime, temperature=0.2, denominator=denominator)
    assert loss.total.item() == pytest.approx(factor * expected.total.item(), rel=1e-6)
    assert torch.equal(loss.embeddings, z) and loss.terms.keys() == SimCLR.TERMS.keys()
    weighted = sum(weight * loss.terms[name].item() for name, weight in method.coefficients().items())
    assert loss.total.item() == pytest.approx(weighted, rel=1e-6)
    assert not any(term.requires_grad for term in loss.terms.values())


def test_settings_change_the_loss():
    views, found = random_views(), set()
    for change in ({}, {"temperature": 0.5}, {"denominator": "n"}, {"scale": "sum"}):
        method = tiny_method(SimCLR, dataclasses.replace(GIVEN, **change))
        found.add(method.loss(views, progress=progress(0.0)).total.item())
    assert len(found) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"temperature": 0.0},
            "pretrain.temperature must be a finite number above 0, but got 0.0; published ones are 0.05 to 1.",
        ),
        ({"denominator": "2n-2"}, "pretrain.denominator must be one of 2n-1, n, but got '2n-2'; choose one."),
        ({"scale": "half"}, "pretrain.scale must be one of mean, sum, but got 'half'; choose one."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


def test_params_yaml_has_its_section_and_its_scale_is_free(settings):
    assert method_class("simclr") is SimCLR
    assert settings(method="simclr").method_settings == GIVEN
    assert settings(method="simclr", denominator="n", temperature=1).method_settings == SimCLRSettings(
        temperature=1.0, denominator="n", scale="mean"
    )
    assert target_std_of("simclr", GIVEN) is None


@pytest.mark.parametrize("denominator", ["2n-1", "n"])
def test_a_step_reads_no_value_on_the_host(denominator):
    method = tiny_method(SimCLR, dataclasses.replace(GIVEN, denominator=denominator))
    with refused():
        method.loss(random_views(), progress=progress(0.5)).total.backward()


def test_it_learns_a_fixed_batch():
    totals = take_steps(tiny_method(SimCLR, GIVEN), random_views(), steps=20)
    assert totals[-1] < 0.7 * totals[0]


@pytest.mark.parametrize("scale", [1.0, 0.001, 1000.0])
def test_collapse_is_named_at_any_scale(scale):
    for made, name in ((healthy, "healthy"), (near_constant, "complete"), (copies, "informational")):
        assert diagnosis(made(scale=scale), target_std=target_std_of("simclr", GIVEN)) == name
