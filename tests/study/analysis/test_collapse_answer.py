"""A study about collapse says what collapses, how, of what nothing follows and how sure that is."""

import dataclasses

import pytest

from study.analysis.answer import MOST_WORDS, answer
from study.analysis.collapse_answer import ablations, found_collapses
from study.analysis.trust import trust
from study.analysis.wording import word_count
from study.results.files import parse_results, results_bytes
from study.results.methods import ComparedMethod, MethodDescription, MethodFindings
from study.spec.study_file import Arm
from tests.study.analysis.sentences import (
    GOOD,
    NOISE,
    about_collapse,
    parts,
    runs_of,
    shifted,
    two_methods_that_become_one,
)
from tests.study.made_up import by_seed, finished, study


def test_changes_are_counted_by_type_and_a_healthy_one_is_none_of_them(plans):
    results = about_collapse(plans, {"a-mu": "complete", "a-nu": "informational", "b-mu": "complete"})
    assert answer(results) == (
        "Three of four changes collapse a healthy method: two complete and one informational. All three seeds agree."
    )
    assert found_collapses(results) == [
        "Complete: ν 1, μ 0; ν 2, μ 0.", "Informational: ν 1, base lr 0.1.", "Healthy: ν 2, base lr 0.1.",
    ]  # fmt: skip


def test_nothing_follows_from_changes_to_a_method_that_is_not_healthy_as_it_is(plans):
    results = about_collapse(plans, {"a": "informational", "a-mu": "complete", "a-nu": "complete", "b-mu": "dimensional"})
    assert answer(results) == (
        "One of two changes collapses a healthy method, and the collapse is dimensional. ν 1 is not always healthy "
        "unchanged, so changing it shows nothing. All three seeds agree."
    )
    assert found_collapses(results)[-1] == "Nothing follows: ν 1, μ 0; ν 1, base lr 0.1."
    assert "Not healthy unchanged: ν 1 (3 of 3 seeds)." in trust(results)
    assert about_collapse(plans, {"a": "complete", "b": "complete"}).answer.startswith(
        "Nothing follows: no method is healthy"
    )


def test_one_seed_at_which_the_method_as_it_is_collapsed_is_enough_for_nothing_to_follow(plans):
    lost = {("a", 1): finished(0.7, verdict="informational")}
    results = about_collapse(plans, {"a-mu": "complete", "b-mu": "complete"}, changed=lost)
    assert results.arm("a").collapse_type.name == "healthy"
    assert "ν 1 is not always healthy unchanged" in answer(
        results
    ) and "Not healthy unchanged: ν 1 (1 of 3 seeds)." in trust(results)


def test_seeds_that_differ_are_said_to(plans):
    mixed = {("a-mu", 2): finished(0.7)}
    results = about_collapse(plans, {"a-mu": "complete", "b-mu": "complete"}, changed=mixed)
    assert answer(results).endswith("At one of the two, all three seeds agree.")
    assert "At ν 1, μ 0 seeds differ: 2 complete and 1 healthy." in trust(results)


def test_where_nothing_collapses_the_answer_says_so(plans):
    assert answer(about_collapse(plans, {})).startswith("None of four changes collapses a healthy method.")
    assert "collapse" not in " ".join(trust(about_collapse(plans, {})))


def test_one_seed_is_said_to_be_one(plans):
    assert answer(about_collapse(plans, {"a-mu": "complete"}, seeds=(0,))).endswith(
        "Each ran at one seed, so a type may be chance."
    )


def test_accuracies_are_compared_with_the_untrained_network_and_never_advise(plans):
    results = about_collapse(plans, {"a-mu": "complete", "b-mu": "complete"}, values={"a-mu": shifted(-0.4)})
    said = trust(results)
    assert "Of two collapses, one has an accuracy below the untrained network's on average." in said
    assert not [one for one in said if "would find" in one or "families" in one]
    assert "Keep" not in answer(results) and "clearly" not in answer(results)


def test_without_an_arm_that_changes_another_the_answer_asks_for_one(plans):
    asked = study(about="collapse")
    assert answer(plans.results(runs_of({"base": GOOD, "other": NOISE, "third": NOISE}), asked=asked)).startswith(
        "Add an arm"
    )
    assert answer(plans.results({}, asked=asked)).startswith("Run the study first")


def test_a_change_stands_beside_the_same_methods_arm_with_the_fewest_settings(plans):
    every = ablations(about_collapse(plans, {}))
    assert [(one.unchanged.name, one.changed.name, one.what) for one in every] == [
        ("a", "a-mu", "μ 0"), ("a", "a-nu", "base lr 0.1"), ("b", "b-mu", "μ 0"), ("b", "b-nu", "base lr 0.1"),
    ]  # fmt: skip


def test_methods_are_called_by_their_titles_and_many_are_counted(plans):
    arms = [Arm(name=f"m{at}", settings={"pretrain.nu": at}) for at in range(1, 7)]
    arms += [Arm(name=f"m{at}-off", settings={"pretrain.nu": at, "pretrain.mu": 0}) for at in range(1, 7)]
    runs = {**runs_of({arm.name: GOOD for arm in arms}), **by_seed("m1-off", GOOD, verdict="complete")}
    for at in range(2, 6):
        runs |= by_seed(f"m{at}", GOOD, verdict="complete")
    asked = study(arms, about="collapse")
    titles = {f"m{at}": MethodDescription(title=f"Method {at}") for at in range(1, 7)}
    compared = tuple(ComparedMethod(arm=arm.name, method=arm.name[:2]) for arm in arms)
    named = dataclasses.replace(
        plans.results(runs, asked=asked), methods=MethodFindings(described=titles, compared=compared)
    )
    said = "Method 2, Method 3, Method 4 and Method 5 are not always healthy unchanged, so changing them shows nothing."
    assert said in answer(named)
    more = plans.results({**runs, **by_seed("m6", GOOD, verdict="complete")}, asked=asked)
    assert "Five methods are not always healthy unchanged" in answer(more)
    assert max(word_count(answer(one)) for one in (named, more)) <= MOST_WORDS


def test_a_change_that_comes_to_the_same_numbers_as_another_methods_is_counted_once_with_it(plans):
    results = two_methods_that_become_one(plans)
    assert [one.same_as for one in ablations(results)] == ["", "VICReg, base lr 0.1"]
    assert answer(results).startswith("The one change collapses a healthy method")
    same = "Barlow Twins, base lr 0.1 came to the same numbers as VICReg, base lr 0.1, so the two count once."
    assert same in trust(results)


def test_a_change_of_a_healthy_method_counts_though_that_of_another_came_to_the_same_numbers(plans):
    results = two_methods_that_become_one(plans)
    (first, *others) = results.arms
    mixed = dataclasses.replace(first.collapse_type, counts={"healthy": 2, "informational": 1})
    arms = [arm if arm.name != "vicreg" else dataclasses.replace(arm, collapse_type=mixed) for arm in (first, *others)]
    every = ablations(dataclasses.replace(results, arms=tuple(arms)))
    assert [(one.same_as, one.is_conclusive) for one in every] == [("", False), ("", True)]


@pytest.mark.parametrize("about", [None, "collapse"])
def test_what_a_study_is_about_is_kept_in_its_file(plans, about):
    results = plans.results(runs_of({"a": GOOD}), asked=study(parts(), about=about))
    content = results_bytes(results)
    assert parse_results(content, where="here").about == about and (b'"about"' in content) == (about is not None)
