"""Who goes on after a look, and what stays of a decision once it was made."""

from dataclasses import replace

import pytest

from study.analysis.looks import Judged, judge, look_lines, look_sentence, undecided_note, who_goes_on, who_stops
from study.results.comparisons import Adjusted, ColumnSummary, Difference
from study.results.findings import Looks
from study.spec.looks import Look
from tests.study.made_up import ARMS, by_seed, study


def test_the_undecided_go_on_and_what_is_decided_stops_whichever_way():
    told = {"a": "better", "b": "worse", "c": "equivalent", "d": "undecided", "e": None}
    assert who_goes_on(told) == ("d",) and who_stops(told) == ("a", "b", "c")


def test_what_was_decided_before_neither_goes_on_nor_is_decided_again():
    told = {"a": "undecided", "b": "worse", "c": "undecided"}
    assert who_goes_on(told, stopped={"a", "b"}) == ("c",) and who_stops(told, stopped={"a", "b"}) == ()


# ---- looks at arms


@pytest.fixture
def arms(plans):
    """Three arms and a control of five seeds each."""
    values = {
        "base": [0.5, 0.6, 0.7, 0.6, 0.5],
        "other": [0.1, 0.2, 0.3, 0.2, 0.1],
        "third": [0.4] * 5,
        "untrained": [0.1] * 5,
    }
    results = {key: run for arm, own in values.items() for key, run in by_seed(arm, own).items()}
    return plans.results(results, seeds=range(5)).arms


def comparing(decisions):
    """A comparison that decides as told: seeds -> arm -> decision. It notes how many seeds it saw of each arm."""

    def compare(arms):
        seeds = {arm.name: len(arm.runs) for arm in arms}
        compared = []
        for arm in arms:
            said = decisions[max(seeds.values())].get(arm.name)
            told = said and Difference(
                n=seeds[arm.name], mean=-0.1, low=None, high=None, p=None, detail=None, adjusted=Adjusted(decision=said)
            )
            column = ColumnSummary(n=seeds[arm.name], mean=0.5, sd=None, difference=told or None, gain=None)
            compared.append(replace(arm, summary={"linear_cached": column}))
        return tuple(compared)

    return compare


def judged(arms, decisions, looks=(3, 5)) -> Judged:
    return judge(arms, looks=looks, primary="linear_cached", compare=comparing(decisions))


def test_each_look_sees_the_seeds_up_to_it(arms):
    found = judged(arms, {3: {"other": "worse", "third": "undecided"}, 5: {"other": "worse", "third": "better"}})
    assert (found.stopped, found.undecided) == ({"other": 1, "third": 2}, ())
    assert {arm.name: arm.summary["linear_cached"].n for arm in found.arms} == {
        "base": 5, "other": 3, "third": 5, "untrained": 5,
    }  # fmt: skip


@pytest.mark.parametrize("later", ["undecided", "better", "equivalent"])
def test_a_decision_stands_whatever_is_said_of_the_arm_later(arms, later):
    found = judged(arms, {3: {"other": "worse", "third": "undecided"}, 5: {"other": later, "third": "undecided"}})
    (other,) = [arm for arm in found.arms if arm.name == "other"]
    assert other.summary["linear_cached"].difference.decision == "worse"
    assert (found.stopped, found.undecided) == ({"other": 1}, ("third",))


def test_looks_are_judged_as_they_were_taken_one_after_the_other(arms):
    told = {3: {"other": "worse", "third": "undecided"}, 5: {"other": "worse", "third": "worse"}}
    assert judged(arms, told, looks=(3,)).stopped == {"other": 1}
    assert judged(arms, told, looks=(3, 5)).stopped == {"other": 1, "third": 2}


# ---- in results


def test_a_price_widens_intervals_and_raises_p_values(plans):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]), **by_seed("third", [0.45, 0.5, 0.65]),
    }  # fmt: skip
    asked = study(ARMS)
    plan = plans.plan(asked)
    look = Look(number=2, planned=(3, 5, 8, 12), declared=True, price=4)
    free, priced = plans.results(results, of=plan), plans.results(results, of=replace(plan, look=look))
    one, four = (found.arm("other").summary["linear_cached"].difference for found in (free, priced))
    assert four.p == one.p and four.p_holm == min(1.0, 4 * one.p_holm)
    assert four.high - four.low > one.high - one.low and four.mean == one.mean
    assert free.looks is None
    assert priced.looks == Looks(look=2, planned=(3, 5, 8, 12), declared=True, price=4)


def test_a_look_is_said_with_its_price():
    looks = Looks(look=2, planned=(3, 5, 8, 12), declared=True, price=4)
    assert look_sentence(looks) == "look 2 of 4, at 5 seeds: p-values are times 4, intervals at 98.75 %"
    late = Looks(look=2, planned=(3, 5), declared=False, price=6)
    assert look_sentence(late) == "look 2, not declared before, at 5 seeds: p-values are times 6, intervals at 99.17 %"


def test_a_study_of_one_look_says_nothing_of_looks(plans):
    results = plans.results(
        {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}, asked=study(ARMS[:2])
    )
    assert look_lines(results) == [] == undecided_note(results)
