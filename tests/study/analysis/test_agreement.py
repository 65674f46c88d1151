"""A published outcome is compared with the accuracy of ours, and with nothing that was not published."""

import pytest

from tests.study.made_up import arm_of, by_seed, unfinished

LEARNED, NOT_LEARNED, UNCLEAR = (0.70, 0.71, 0.72), (0.40, 0.41, 0.42), (0.40, 0.55, 0.48)
UNTRAINED = (0.45, 0.47, 0.46)


def agreement(summary_of, base, other, **named):
    """`agrees` of `base`, of which an accuracy was published, and of `other`, of which a collapse was."""
    summary = summary_of({**base, **other, **by_seed("untrained", UNTRAINED), **named})
    return arm_of(summary, "base")["agrees"], arm_of(summary, "other")["agrees"]


@pytest.mark.parametrize(("accuracies", "of_accuracy", "of_collapse"), [
    (LEARNED, True, False), (NOT_LEARNED, False, True), (UNCLEAR, None, None),
])  # fmt: skip
def test_what_was_learned_there_is_held_against_the_gain_over_the_untrained_network_here(
    summary_of, accuracies, of_accuracy, of_collapse
):
    found = agreement(summary_of, by_seed("base", accuracies), by_seed("other", accuracies))
    assert found == (of_accuracy, of_collapse)


@pytest.mark.parametrize("verdict", ["healthy", "complete", "view-dependent", "undetermined"])
def test_no_collapse_type_changes_what_accuracies_say(summary_of, verdict):
    found = agreement(summary_of, by_seed("base", LEARNED, verdict=verdict), by_seed("other", NOT_LEARNED, verdict=verdict))
    assert found == (True, True)


@pytest.mark.parametrize("status", ["missing", "partial", "killed", "failed", "out-of-memory"])
def test_runs_that_say_nothing_of_their_settings_are_not_compared(summary_of, status):
    lost = {("other", seed): unfinished(status) for seed in range(3)}
    assert agreement(summary_of, by_seed("base", LEARNED), lost) == (True, None)


def test_an_arm_that_diverged_at_every_seed_learned_nothing(summary_of):
    lost = {(arm, seed): unfinished("diverged") for arm in ("base", "other") for seed in range(3)}
    assert agreement(summary_of, {}, lost) == (False, True)


def test_nothing_is_compared_without_a_published_outcome_an_untrained_network_or_two_seeds(summary_of):
    runs = by_seed("third", LEARNED) | by_seed("base", LEARNED)
    assert arm_of(summary_of({**runs, **by_seed("untrained", UNTRAINED)}), "third")["agrees"] is None
    assert arm_of(summary_of(runs), "base")["agrees"] is None
    assert arm_of(summary_of({**by_seed("base", LEARNED[:1]), **by_seed("untrained", UNTRAINED)}), "base")["agrees"] is None


def test_the_note_gives_both_outcomes_of_arms_that_differ(summary_of):
    runs = {**by_seed("base", NOT_LEARNED), **by_seed("other", LEARNED), **by_seed("untrained", UNTRAINED)}
    notes = " ".join(summary_of(runs)["notes"])
    assert "Of 2 published outcomes (a paper), none agrees with ours." in notes
    assert "ν 1 (an accuracy there, −5.0 points over untrained here)" in notes
    assert "ν 2 (collapse there, +25.0 points over untrained here)" in notes and "it is open" not in notes
    unclear = {**runs, **by_seed("base", UNCLEAR)}
    # where the baseline's gain is not established, no other arm's is
    said = "For 2 published outcomes (a paper), it is open after correction whether training gains anything"
    assert f"{said} over the untrained network." in summary_of(unclear)["notes"]
