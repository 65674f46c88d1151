"""What a study could have seen: numbers that follow from how its differences vary."""

import math

import pytest
from scipy import stats

from study.analysis.power import seeds_needed, spread_interval
from study.analysis.sensitivity import describe_power
from tests.study.made_up import ARMS, Plans, by_seed, finished, study, unfinished


@pytest.fixture
def summary_of(tiny_config, digits):
    return Plans(tiny_config, digits).summary


WIGGLES = (0.01, -0.01, 0.005, -0.005, 0.0)


def power_at(difference, n, *, spread, alpha, freedom=None):
    freedom = freedom or n - 1
    critical, shift = stats.t.ppf(1 - alpha / 2, freedom), difference * math.sqrt(n) / spread
    return stats.nct.sf(critical, freedom, [shift, -shift]).sum()


def many_seeds(arms, n=16, **named):
    """Arms of n seeds whose differences from `base` vary by about a point."""
    results = by_seed("base", [0.7] * n)
    for place, name in enumerate(arms):
        values = [0.7 + WIGGLES[(seed + place * seed // 3) % len(WIGGLES)] for seed in range(n)]
        results |= by_seed(name, values, **named)
    return results


def test_what_a_study_could_have_seen_is_said_of_healthy_and_of_collapsed_arms(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]),
        **by_seed("third", [0.1, 0.5, 0.9], verdict="dimensional"),
    }  # fmt: skip
    power = summary_of(results, settings={"ablate.margin": 0.02})["power"]
    assert (power["arms"], power["n"], power["family"], power["margin"]) == (1, 3, 2, 0.02)
    # differences 0.01, 0.02 and 0.03 of the healthy arm; −0.4, −0.1 and 0.2 of the collapsed one
    assert (power["spread_of"], power["spread"]) == ("healthy", pytest.approx(0.01))
    healthy, collapsed = power["classes"]
    assert (healthy["name"], healthy["detectable"]) == ("healthy", power["detectable"])
    assert (collapsed["name"], collapsed["arms"], collapsed["spread"]) == ("collapsed", 1, pytest.approx(0.3))
    for one in (healthy, collapsed):
        found = power_at(one["detectable"], 3, spread=one["spread"], alpha=0.05 / 2)
        assert one["freedom"] == 2 and found == pytest.approx(0.8, abs=1e-6)
        low, high = one["detectable_range"]
        ends = spread_interval(one["spread"], 2)
        assert [low, high] == pytest.approx([one["detectable"] * end / one["spread"] for end in ends])
        assert low < one["detectable"] < high


def test_a_moderated_comparison_could_have_seen_less_than_its_own_seeds_alone_would(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]), **by_seed("third", [0.5, 0.62, 0.71]),
    }  # fmt: skip
    (healthy,) = summary_of(results)["power"]["classes"]
    assert healthy["arms"] == 2 and healthy["freedom"] == pytest.approx(2 + 4 * 2 / (4 + 2))
    alone = healthy["spread"] / math.sqrt(3) * 20  # about what t with two degrees of freedom would need at 0.05 / 2
    assert healthy["detectable"] < 0.6 * alone
    low, high = healthy["detectable_range"]
    ends = spread_interval(healthy["spread"], 2 * 8 / 5)  # two arms of one baseline are worth 8 / 5 of one
    assert [low, high] == pytest.approx([healthy["detectable"] * end / healthy["spread"] for end in ends])
    assert low < healthy["detectable"] < high


def test_each_look_has_its_price_in_what_could_have_been_seen(tiny_config, digits):
    arms = Plans(tiny_config, digits).results({
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]),
    }).arms  # fmt: skip
    given = {"primary": "linear_cached", "margin": 0.01, "configured": 3, "command": "run"}
    once, twice = (describe_power(arms, price=price, **given) for price in (1, 2))
    assert power_at(once.detectable, 3, spread=once.spread, alpha=0.05) == pytest.approx(0.8, abs=1e-6)
    assert power_at(twice.detectable, 3, spread=once.spread, alpha=0.05 / 2) == pytest.approx(0.8, abs=1e-6)


def test_seeds_needed_have_the_range_of_their_spread_and_are_not_said_where_it_is_wide(summary_of):
    few = summary_of(many_seeds(["other", "third"], n=4), seeds=range(4), settings={"ablate.margin": 0.004})["power"]
    assert few["spread"] and few["needed"] is None and "needed_range" not in few
    assert few["command"] == "python -m study.ablate --study mine --add-seeds 4", "twice as many"
    enough = summary_of(many_seeds(["other", "third"], n=4), seeds=range(4), settings={"ablate.margin": 0.9})["power"]
    assert enough["command"] is None
    settings = {"ablate.margin": 0.004, "ablate.seeds": 3}
    power = summary_of(many_seeds(["other", "third"]), seeds=range(16), settings=settings)["power"]
    fewest, most = power["needed_range"]
    assert 16 < fewest < power["needed"] < most < 3 * fewest
    # two arms of one baseline are worth 4 * 2 / (2 + 3) of one arm's 15 degrees of freedom
    worth = 15 * 8 / 5
    for seeds, share in ((fewest, 0.975), (power["needed"], None), (most, 0.025)):
        spread = power["spread"] * (1 if share is None else math.sqrt(worth / stats.chi2.ppf(share, worth)))
        found, less = (
            power_at(0.004, n, spread=spread, alpha=0.025, freedom=n - 1 + 4 * (n - 1) / (3 + n)) for n in (seeds, seeds - 1)
        )
        assert found >= 0.8 > less
    assert power["command"] == f"python -m study.ablate --study mine --add-seeds {power['needed'] - 3}"


def test_seeds_that_are_enough_at_the_upper_end_of_their_range_are_enough(summary_of):
    power = summary_of(many_seeds(["other", "third"], n=8), seeds=range(8), settings={"ablate.margin": 0.2})["power"]
    assert (power["needed"], power["needed_range"], power["command"]) == (3, [3, 3], None)


def test_where_no_arm_is_healthy_the_spread_is_said_to_be_of_another_class(summary_of):
    collapsed = {"verdict": "complete"}
    results = {
        **by_seed("base", [0.5] * 3, **collapsed), **by_seed("other", [0.51, 0.52, 0.53], **collapsed),
        **by_seed("third", [0.5, 0.54, 0.58], **collapsed),
    }  # fmt: skip
    power = summary_of(results)["power"]
    assert power["arms"] == 2 and power["spread"] == pytest.approx(math.sqrt((0.01**2 + 0.04**2) / 2))
    assert (power["spread_of"], [one["name"] for one in power["classes"]]) == ("collapsed", ["collapsed"])


def test_arms_that_end_differently_learn_nothing_of_one_another_though_one_has_more_seeds_than_most(summary_of):
    results = many_seeds(["base", "other", "third"], n=16)
    for arm, lost in (("other", range(10, 16)), ("third", range(12, 16))):
        results[arm, 0] = finished(0.7, verdict="complete")
        results |= {(arm, seed): unfinished("missing") for seed in lost}
    power = summary_of(results, seeds=range(16), settings={"ablate.margin": 0.021})["power"]
    (mixed,) = power["classes"]
    assert (power["n"], mixed["name"], mixed["arms"], mixed["freedom"]) == (10, "mixed", 2, 10)
    assert power["needed"] == seeds_needed(power["spread"], 0.021, alpha=0.05 / 2) == 6


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
    results = many_seeds(["other", "third"])
    given = "python -m study.ablate --study mine --seeds 3 --first-seed 4 --set pretrain.gamma=2"
    power = summary_of(results, command=given, seeds=range(16), settings={"ablate.seeds": 1, "ablate.margin": 0.004})[
        "power"
    ]
    # one seed is configured, which is what seeds are added to
    more = power["needed"] - 1
    assert power["command"] == f"python -m study.ablate --study mine --set pretrain.gamma=2 --add-seeds {more}"


def test_nothing_is_said_of_power_by_one_seed_and_of_differences_that_never_vary(summary_of):
    one = {("base", 0): finished(0.5), ("other", 0): finished(0.6)}
    power = summary_of(one, seeds=(0,))["power"]
    assert (power["n"], power["spread"], power["detectable"], power["needed"]) == (1, None, None, 3)
    constant = summary_of({**by_seed("base", [0.5] * 3), **by_seed("other", [0.625] * 3)})["power"]
    assert (constant["spread"], constant["detectable"], constant["needed"], constant["command"]) == (None, None, None, None)
    assert constant["classes"] == []
