"""An arm's collapse type speaks for all of its seeds."""

import pytest

from study.analysis.arm_types import arm_collapse_type
from study.results.runs import CollapseType, DecidingMeasure, RunResults

STD = "the embeddings' mean std"
VIEWS = "the embeddings' view discrepancy"
UNTRAINED = "the untrained network's "


def run(seed, collapse_type, status="finished", reason=None):
    return RunResults(
        seed=seed, digest=f"{seed:016x}", status=status, history=(), validation={}, test={}, collapse={},
        collapse_type=collapse_type, reason=reason,
    )  # fmt: skip


def arm(*types):
    return arm_collapse_type([run(seed, one) for seed, one in enumerate(types)])


def complete(std):
    return CollapseType(
        name="complete", reason=f"The embeddings' mean std is {std:.3g}, below 0.1: {100 * std:.0f} % of the target.",
        deciding=DecidingMeasure(measure=STD, value=std, side="below", threshold=0.1),
    )  # fmt: skip


def healthy(std, **more):
    deciding = DecidingMeasure(measure=STD, value=std, side="below", threshold=0.1)
    return CollapseType(name="healthy", reason=f"The closest is {std}.", deciding=deciding, **more)


def of_views(name, value, threshold):
    deciding = DecidingMeasure(measure=VIEWS, value=value, side="above", threshold=threshold, owner=UNTRAINED)
    return CollapseType(name=name, reason=f"The views are {value} apart.", deciding=deciding)


def test_a_reason_gives_the_range_over_all_seeds_and_none_stands_for_the_others():
    named = arm(complete(0.0644), complete(0.0555), complete(0.0542))
    assert named.name == "complete" and named.counts == {"complete": 3}
    assert named.reason == "At 3 of 3 seeds: the embeddings' mean std 0.0542 to 0.0644, below 0.1."
    assert arm(complete(0.0), complete(0.0)).reason == "At 2 of 2 seeds: the embeddings' mean std 0, below 0.1."


def test_one_seed_says_what_it_says():
    assert arm(complete(0.05)).reason == complete(0.05).reason


def test_seeds_that_differ_are_counted_before_what_those_of_the_type_have_in_common():
    named = arm(of_views("view-dependent", 0.916, 0.885), healthy(0.4), of_views("view-dependent", 0.936, 0.867))
    assert named.name == "view-dependent" and named.counts == {"healthy": 1, "view-dependent": 2}
    assert named.reason == (
        "Seeds differ: 2 view-dependent, 1 healthy. At 2 of 3 seeds: the embeddings' view discrepancy 0.916 to 0.936, above "
        "the untrained network's 0.867 to 0.885."
    )


def test_healthy_seeds_say_which_measure_came_closest():
    assert arm(healthy(0.104), healthy(0.102), healthy(0.13)).reason == (
        "At 3 of 3 seeds no measure is beyond its threshold. The closest is the embeddings' mean std, 0.102 to 0.13 "
        "(threshold 0.1)."
    )
    assert arm(healthy(0.2), of_views("healthy", 0.5, 0.9)).reason == "At 2 of 2 seeds no collapse is named."
    outdone = arm(of_views("healthy", 0.9, 0.8), of_views("healthy", 0.95, 0.8))
    assert outdone.reason == (
        "At 2 of 2 seeds: the embeddings' view discrepancy 0.9 to 0.95, above the untrained network's 0.8. No collapse is "
        "named, because the k-NN accuracy is above the untrained network's."
    )
    assert (
        arm(of_views("healthy", 0.9, 0.8), of_views("healthy", 0.5, 0.8)).reason == "At 2 of 2 seeds no collapse is named."
    )


def test_seeds_that_one_type_was_decided_for_by_different_measures_are_said_to():
    other = CollapseType(
        name="complete", reason="The embeddings' normalised std is 0.01, below 0.1.",
        deciding=DecidingMeasure(measure="the embeddings' normalised std", value=0.01, side="below", threshold=0.1),
    )  # fmt: skip
    assert arm(complete(0.05), other).reason == f"At 2 of 2 seeds, for different numbers. Seed 0: {complete(0.05).reason}"


def test_results_of_earlier_versions_have_no_measure_and_still_count_their_seeds():
    said = CollapseType(name="complete", reason="The embeddings' mean std is 0, below 0.1.")
    assert arm(said, said).reason == "At 2 of 2 seeds: The embeddings' mean std is 0, below 0.1."
    differing = arm(said, CollapseType(name="complete", reason="Other."), CollapseType(name="healthy"))
    assert differing.reason == (
        "Seeds differ: 2 complete, 1 healthy. At 2 of 3 seeds, for different numbers. Seed 0: The embeddings' mean std is "
        "0, below 0.1."
    )


def test_a_borderline_seed_is_borderline_of_one_seed_and_not_of_the_arm():
    near = "The embeddings' mean std, 0.104, is within 10 % of the threshold 0.1"
    assert arm(healthy(0.4), healthy(0.104, borderline=near)).borderline == f"1 of 2 seeds is borderline. Seed 1: {near}"
    assert arm(*[healthy(0.104, borderline=near)] * 3).borderline == f"3 of 3 seeds are borderline. Seed 0: {near}"
    assert arm(healthy(0.104, borderline=near)).borderline == near
    assert arm(healthy(0.4)).borderline is None


@pytest.mark.parametrize("types", [("informational", "healthy", "complete"), ("informational", "healthy")])
def test_of_equally_frequent_types_the_first_seeds_stands_and_all_are_counted(types):
    named = arm(*(CollapseType(name=one) for one in types))
    assert named.name == "informational" and named.reason.startswith("Seeds differ: 1 informational, 1")


def test_a_run_that_ended_otherwise_counts_as_its_status():
    named = arm_collapse_type([run(0, complete(0.0)), *(run(seed, None, "killed", "killed by signal 9") for seed in (1, 2))])
    assert named.name == "killed" and named.counts == {"complete": 1, "killed": 2}
    assert named.reason == "Seeds differ: 2 killed, 1 complete. At 2 of 3 seeds: killed by signal 9"
