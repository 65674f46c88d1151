"""Predictions in a study's file: what they may say, and the sentence for those that may not."""

import textwrap

import pytest

from study.spec.predictions import Prediction, beside
from study.spec.study_file import load_study
from vicreg.errors import InputError

STUDY = """
question: Does it matter?
hypothesis: Without it all collapses; the second is
  better. The third comes within two points.
predictions:
{predictions}
mode: arms
baseline: one
arms:
  one: {{pretrain.nu: 1}}
  two: {{pretrain.nu: 2}}
  3: {{pretrain.nu: 3}}
"""
COLLAPSES = "{says: Without it all collapses, arms: [one, two], ends: collapsed}"
BETTER = "{says: the second is better., arms: [two], is: [better, equivalent]}"
WITHIN = "{says: The third comes within two points., arms: [3], difference: [-2, 2.5]}"


@pytest.fixture
def predicted(tmp_path):
    """`predicted(text, ...)`: the study whose file lists these predictions."""

    def load(*predictions: str):
        listed = textwrap.indent("\n".join(f"- {one}" for one in predictions), "  ")
        (tmp_path / "mine.yaml").write_text(STUDY.format(predictions=listed), encoding="utf-8")
        return load_study("mine", folder=tmp_path)

    return load


def test_a_prediction_says_how_runs_end_what_is_decided_or_between_what_bounds_a_difference_lies(predicted):
    ends, decided, within = predicted(COLLAPSES, BETTER, WITHIN).predictions
    types = ("complete", "dimensional", "informational", "view-dependent", "chance-level")
    assert ends == Prediction(says="Without it all collapses", arms=("one", "two"), ends=types)
    assert decided == Prediction(says="the second is better.", arms=("two",), decided=("better", "equivalent"))
    assert within == Prediction(says="The third comes within two points.", arms=("3",), least=-0.02, most=0.025)


def test_one_bound_may_be_left_open(predicted):
    (one,) = predicted(WITHIN.replace("[-2, 2.5]", "[null, 0]")).predictions
    assert (one.least, one.most) == (None, 0.0)


def test_what_no_prediction_has_words_of_is_left(predicted):
    study = predicted(COLLAPSES, WITHIN)
    assert beside(study.hypothesis, study.predictions) == "The second is better."
    assert beside(study.hypothesis, ()) == (
        "Without it all collapses. The second is better. The third comes within two points."
    )
    part = predicted("{says: Without it, arms: [one], ends: healthy}", BETTER, WITHIN)
    assert beside(part.hypothesis, part.predictions) == "All collapses."
    study = predicted(COLLAPSES, BETTER, WITHIN)
    assert beside(study.hypothesis, study.predictions) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("collapse", "number 1 must hold says, arms and one of ends, is, difference, but holds 'collapse'."),
        (COLLAPSES.replace("says", "say"), "number 1 may not hold 'say'; did you mean 'says'?"),
        (
            COLLAPSES.replace("Without it", "With it"),
            "number 1: says must be words of the hypothesis, but is 'With it all collapses'; copy them.",
        ),
        (
            COLLAPSES.replace("Without it all collapses", "[1]"),
            "number 1: says must be words of the hypothesis, but is [1]; ",
        ),
        (COLLAPSES.replace("[one, two]", "one"), "number 1: arms must list at least one arm, but got 'one'."),
        (COLLAPSES.replace("[one, two]", "[]"), "number 1: arms must list at least one arm, but got []."),
        (COLLAPSES.replace("two]", "tow]"), "number 1: arms may not hold 'tow'; did you mean 'two'?"),
        (COLLAPSES.replace("ends: collapsed", "ends: [dead]"), "number 1: ends may not hold 'dead'; "),
        (COLLAPSES.replace("ends: collapsed", "ends: []"), "number 1: ends must be one or more of healthy, collapsed, "),
        (COLLAPSES.replace("ends: collapsed", "ends: 3"), "number 1: ends must be one or more of healthy, collapsed, "),
        (BETTER.replace("[better, equivalent]", "undecided"), "number 1: is may not hold 'undecided'; known are better, "),
        (BETTER.replace("is:", "ends: healthy, is:"), "number 1 must hold one of ends, is, difference, but holds ends, is."),
        ("{says: The third, arms: [3]}", "number 1 must hold one of ends, is, difference, but holds none."),
        (
            BETTER.replace("[two]", "[one]"),
            "number 1: arms may not name the baseline 'one', which is compared with itself; ",
        ),
        (WITHIN.replace("[3]", "[one]"), "number 1: arms may not name the baseline 'one', which is compared with itself; "),
        (WITHIN.replace("[-2, 2.5]", "2"), "number 1: difference must be two numbers of points, the smaller first, "),
        (WITHIN.replace("[-2, 2.5]", "[2, -2]"), "number 1: difference must be two numbers of points, the smaller first, "),
        (WITHIN.replace("[-2, 2.5]", "[null, null]"), "number 1: difference must be two numbers of points, "),
        (WITHIN.replace("[-2, 2.5]", "[-2, .nan]"), "number 1: difference must be two numbers of points, "),
        (WITHIN.replace("[-2, 2.5]", "[true, 2]"), "number 1: difference must be two numbers of points, "),
        (WITHIN.replace("[-2, 2.5]", "[-200, 2]"), "number 1: difference must be two numbers of points, "),
    ],
)
def test_what_is_no_prediction_is_refused_in_one_sentence(predicted, given, said):
    with pytest.raises(InputError) as refused:
        predicted(given)
    assert str(refused.value).startswith(f"mine.yaml: predictions, {said}") and "\n" not in str(refused.value)


@pytest.mark.parametrize("given", ["[]", "{}", "Yes."])
def test_predictions_are_a_list(tmp_path, given):
    text = STUDY.format(predictions="").replace("predictions:\n", f"predictions: {given}\n")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml: predictions must list at least one prediction, or be left out"):
        load_study("mine", folder=tmp_path)
