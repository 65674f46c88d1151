"""Trials in the space that was searched."""

import pytest

from study.reporting.figures.trials import Parameter, parallel_trials, plane_of_trials

LAMBDA, MU, KIND = Parameter("lambda", True, True), Parameter("mu", True, False), Parameter("optimizer", False, False)


def trial(number, value, **settings):
    return {
        "settings": {"lambda": 10.0**number, "mu": number, "optimizer": ("sgd", "lars")[number % 2], **settings},
        "value": value, "type": "healthy" if value else None, "is_best": number == 2, "tip": f"trial {number}",
    }  # fmt: skip


TRIALS = [trial(0, 0.3), trial(1, None), trial(2, 0.9), trial(3, 0.8), trial(4, 0.85)]


def test_every_trial_is_on_the_plane_with_its_name_and_what_it_is():
    svg = plane_of_trials(TRIALS, LAMBDA, MU, objective="%")
    assert all(f"<title>trial {number}</title>" in svg for number in range(5))
    assert all(f">{word}</text>" in svg for word in ("lambda", "mu", "ended early", "best", "healthy"))
    assert 'data-series="ended early"><title>trial 1</title>' in svg


def test_a_poor_trial_does_not_take_all_colours():
    assert "≤" in plane_of_trials(TRIALS, LAMBDA, MU, objective="%")
    assert "≤" not in plane_of_trials(TRIALS[2:], LAMBDA, MU, objective="%")


def test_parallel_axes_name_every_parameter_its_levels_and_every_trial():
    svg = parallel_trials(TRIALS, [LAMBDA, MU, KIND], objective="k-NN, %")
    assert all(f">{word}</text>" in svg for word in ("lambda", "mu", "optimizer", "sgd", "lars", "k-NN, %", "100", "0.3"))
    assert all(f"<title>trial {number}</title>" in svg for number in range(5))


@pytest.mark.parametrize("few", [TRIALS[2:3], TRIALS[1:2], [trial(2, 0.9), trial(2, 0.9)]])
def test_few_trials_or_none_with_a_value_are_drawn(few):
    for svg in (plane_of_trials(few, LAMBDA, MU, objective="%"), parallel_trials(few, [LAMBDA, KIND], objective="%")):
        assert f"<title>{few[0]['tip']}</title>" in svg
