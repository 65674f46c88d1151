"""Terms of the loss: those that results declare, and VICReg's for results that declare none."""

import pytest

from study.reporting.glossary import glossary_of
from study.reporting.terms import VICREG, ratios, terms_of
from study.results.files import results_from_values
from tests.study.made_up import Plans
from tests.study.made_up_reports import table_7, twins, view_of, without_figures

OTHERS = {"alignment": {"title": "Alignment term", "log_axis": True, "unit": "squared"}, "spread": {"title": "Spread term"}}


@pytest.fixture
def summary(tiny_config, digits, monkeypatch):
    without_figures(monkeypatch)
    return {key: value for key, value in table_7(Plans(tiny_config, digits)).items() if key != "terms"}


def of_another_method(summary):
    """The same runs with terms of other names."""
    arms = [{**arm, "runs": [{**run, "history": [renamed(record) for record in run["history"]]} for run in arm["runs"]]}
            for arm in summary["arms"]]  # fmt: skip
    return {**summary, "arms": arms, "terms": OTHERS}


def renamed(record):
    return {**record, "alignment": record["invariance"], "spread": record["variance"]}


def losses(summary):
    return {panel["name"]: panel["title"] for panel in view_of(summary)["figures"]["loss"] if "loss-" in panel["name"]}


def test_results_that_declare_no_terms_have_those_of_vicreg(summary):
    assert terms_of(results_from_values(summary, where="summary")) == VICREG
    assert losses(summary) == {
        "loss-invariance": "Invariance term", "loss-variance": "Variance term", "loss-covariance": "Covariance term",
        "loss-total": "Total loss, weighted by each arm's own coefficients",
    }  # fmt: skip


def test_results_that_declare_terms_are_shown_by_these_alone(summary):
    other = of_another_method(summary)
    assert list(losses(other).items())[:2] == [
        ("loss-alignment", "Alignment term, squared"), ("loss-spread", "Spread term")
    ]  # fmt: skip
    assert len(losses(other)) == 3
    for text in twins(other):
        assert "Alignment term, squared; Spread term" in text and "Invariance" not in text


def test_a_curve_of_a_declared_term_has_the_values_that_were_logged_under_its_name(summary):
    (before,), (after,) = (
        [panel["rows"] for panel in view_of(one)["figures"]["loss"] if panel["name"] == name]
        for one, name in ((summary, "loss-invariance"), (of_another_method(summary), "loss-alignment"))
    )
    assert before == after and len(before) == 3


def test_the_glossary_explains_vicregs_weights_for_vicreg_alone(summary):
    words = [word for word, _ in glossary_of(VICREG)]
    assert words[0] == "λ, μ, ν" and "Invariance, variance, covariance term" in words
    other = glossary_of(results_from_values(of_another_method(summary), where="summary").terms)
    assert "λ, μ, ν" not in [word for word, _ in other] and "VICReg" not in str(other)


def test_ratios_are_of_weights_above_zero():
    assert ratios({"lambda_": 25.0, "mu": 10.0, "nu": 5.0}) == ratios({"lambda": 25, "mu": 10, "nu": 5}) == (5, 2)
    assert ratios({"lambda_": 0.0, "mu": 10.0, "nu": 5.0}) is None
