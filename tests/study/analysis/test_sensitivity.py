"""What a study could have seen: numbers that follow from how its differences vary."""

import math

import pytest
from scipy import stats

from tests.study.made_up import ARMS, Plans, by_seed, finished, study, unfinished


@pytest.fixture
def summary_of(tiny_config, digits):
    return Plans(tiny_config, digits).summary


def power_at(difference, n, *, spread, alpha):
    critical, shift = stats.t.ppf(1 - alpha / 2, n - 1), difference * math.sqrt(n) / spread
    return stats.nct.sf(critical, n - 1, [shift, -shift]).sum()


def test_what_a_study_could_have_seen_follows_from_how_its_healthy_differences_vary(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]),
        **by_seed("third", [0.1, 0.5, 0.9], verdict="dimensional"),
    }  # fmt: skip
    power = summary_of(results, settings={"ablate.margin": 0.02})["power"]
    assert (power["arms"], power["n"], power["family"], power["margin"]) == (1, 3, 2, 0.02)
    assert power["spread"] == pytest.approx(0.01)  # the differences 0.01, 0.02 and 0.03; the collapsed arm's are left out
    per_comparison = {"spread": 0.01, "alpha": 0.05 / 2}
    assert power_at(power["detectable"], 3, **per_comparison) == pytest.approx(0.8, abs=1e-6)
    assert power_at(0.02, power["needed"], **per_comparison) >= 0.8 > power_at(0.02, power["needed"] - 1, **per_comparison)
    assert power["command"] == f"python -m study.ablate --study mine --add-seeds {power['needed'] - 3}"


def test_where_no_arm_is_healthy_all_of_them_say_how_differences_vary(summary_of):
    collapsed = {"verdict": "complete"}
    results = {
        **by_seed("base", [0.5] * 3, **collapsed), **by_seed("other", [0.51, 0.52, 0.53], **collapsed),
        **by_seed("third", [0.5, 0.54, 0.58], **collapsed),
    }  # fmt: skip
    power = summary_of(results)["power"]
    assert power["arms"] == 2 and power["spread"] == pytest.approx(math.sqrt((0.01**2 + 0.04**2) / 2))


def test_seeds_that_were_asked_for_and_lost_are_not_asked_for_again(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}
    results["other", 2] = unfinished("killed")
    power = summary_of(results, asked=study(ARMS[:2]))["power"]
    # three seeds are what it takes first, and three were asked for: the study itself, once more
    assert (power["n"], power["spread"], power["needed"], power["command"]) == (
        2,
        None,
        3,
        "python -m study.ablate --study mine",
    )


def test_the_command_for_more_seeds_has_none_of_the_seeds_it_was_given(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}
    given = "python -m study.ablate --study mine --seeds 3 --first-seed 4 --set pretrain.gamma=2"
    power = summary_of(results, command=given, seeds=range(3), settings={"ablate.seeds": 1})["power"]
    # one seed is configured, which is what seeds are added to
    more = power["needed"] - 1
    assert power["command"] == f"python -m study.ablate --study mine --set pretrain.gamma=2 --add-seeds {more}"


def test_nothing_is_said_of_power_by_one_seed_and_differences_that_never_vary_need_no_more_seeds(summary_of):
    one = {("base", 0): finished(0.5), ("other", 0): finished(0.6)}
    power = summary_of(one, seeds=(0,))["power"]
    assert (power["n"], power["spread"], power["detectable"], power["needed"]) == (1, None, None, 3)
    constant = summary_of({**by_seed("base", [0.5] * 3), **by_seed("other", [0.625] * 3)})["power"]
    assert (constant["spread"], constant["detectable"], constant["needed"], constant["command"]) == (0, 0, 3, None)
