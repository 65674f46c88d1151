"""VICReg as a method: its settings, and what the loop hears of it."""

import dataclasses

import pytest
import torch

from vicreg.errors import InputError
from vicreg.methods import method_class, method_names, target_std_of
from vicreg.methods.base import Method, MethodSettings, describe_terms
from vicreg.methods.vicreg import Coefficients, VICReg, VICRegSettings, vicreg_loss
from vicreg.models.resnet import ResNet

NAN, INFINITY = float("nan"), float("inf")
GIVEN = VICRegSettings(convention="official", lambda_=25.0, mu=20.0, nu=1.0, gamma=1.0, epsilon=1e-4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"convention": "mine"}, "pretrain.convention must be one of equation, algorithm, official, but got 'mine'."),
        ({"lambda_": -1.0}, "pretrain.lambda must be a finite number of at least 0, but got -1.0."),
        ({"mu": NAN}, "pretrain.mu must be a finite number of at least 0, but got nan."),
        ({"nu": INFINITY}, "pretrain.nu must be a finite number of at least 0, but got inf."),
        ({"gamma": 0.0}, "pretrain.gamma and pretrain.epsilon must be positive, but got 0.0, 0.0001."),
        ({"gamma": NAN}, "pretrain.gamma and pretrain.epsilon must be positive, but got nan, 0.0001."),
        ({"epsilon": -1.0}, "pretrain.gamma and pretrain.epsilon must be positive, but got 1.0, -1.0."),
        (
            {"lambda_": 0.0, "mu": 0.0, "nu": 0.0},
            "one of pretrain.lambda, mu and nu must be positive, but all are 0: nothing would be trained.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


@pytest.mark.parametrize("change", [{"nu": 0.0}, {"lambda_": 0.0, "mu": 0.0}])
def test_a_term_can_be_left_out(change):
    assert all(getattr(dataclasses.replace(GIVEN, **change), name) == 0 for name in change)


@pytest.mark.parametrize(
    ("convention", "expected"),
    [("official", (25, 20, 1)), ("algorithm", (25, 40, 1)), ("equation", (25 * 16, 40, 1))],
)
def test_coefficients_are_in_the_official_codes_units(convention, expected):
    changed = dataclasses.replace(GIVEN, convention=convention)
    assert changed.coefficients(16) == Coefficients(lambda_=expected[0], mu=expected[1], nu=expected[2])
    assert changed.effective(dimension=16) == dict(zip(("lambda_", "mu", "nu"), expected, strict=True))


def made(settings: VICRegSettings = GIVEN) -> VICReg:
    return VICReg(backbone=ResNet(architecture="resnet18", stem="cifar", width=4), expander=(8,), settings=settings)


def test_the_registry_knows_vicreg_by_the_name_of_its_file():
    assert "vicreg" in method_names() and method_class("vicreg") is VICReg
    with pytest.raises(InputError, match="pretrain.method must be one of .*vicreg.*, but got 'vicregg'"):
        method_class("vicregg")


def test_the_loss_is_vicreg_loss_of_the_two_views_with_the_settings_coefficients():
    method, views = made(dataclasses.replace(GIVEN, gamma=1.5, epsilon=0.1)), torch.randn(2, 6, 3, 8, 8)
    loss = method.loss(views, progress=torch.tensor(0.5))
    z, z_prime = method(views[0])[1], method(views[1])[1]
    expected = vicreg_loss(z, z_prime, coefficients=GIVEN.coefficients(8), gamma=1.5, epsilon=0.1)
    assert loss.total.item() == pytest.approx(expected.total.item(), rel=1e-6) and expected.variance > 0
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(
        {name: getattr(expected, name).item() for name in VICReg.TERMS}, rel=1e-6
    )
    assert loss.embeddings.shape == (6, 8) and loss.terms.keys() == VICReg.TERMS.keys()


def test_the_total_is_the_sum_of_the_terms_times_the_coefficients_that_the_method_declares():
    method = made()
    loss = method.loss(torch.randn(2, 6, 3, 8, 8), progress=torch.tensor(0.0))
    assert loss.total.item() == pytest.approx(
        sum(weight * loss.terms[name].item() for name, weight in method.coefficients().items()), rel=1e-6
    )
    assert method.coefficients() == {"invariance": 25.0, "variance": 20.0, "covariance": 1.0}
    assert method.target_std == 1.0 and method.VIEWS == 2


def test_what_a_method_drives_std_to_is_known_without_a_network(monkeypatch):
    assert target_std_of("vicreg", dataclasses.replace(GIVEN, gamma=0.5)) == 0.5
    monkeypatch.setattr("vicreg.methods.method_class", lambda name: Method)
    assert target_std_of("free", MethodSettings()) is None


def test_each_term_is_described_for_reports():
    assert describe_terms(VICReg) == {
        "invariance": {"title": "Invariance term", "log_axis": True, "unit": ""},
        "variance": {"title": "Variance term", "log_axis": False, "unit": ""},
        "covariance": {"title": "Covariance term", "log_axis": True, "unit": ""},
    }
