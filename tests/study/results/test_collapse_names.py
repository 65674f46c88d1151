"""Collapse types of earlier files are shown by names that their reasons support."""

import dataclasses
import lzma
from collections import Counter
from pathlib import Path

import pytest

from study.results.collapse_names import RETIRED, with_todays_names
from study.results.files import parse_results, read_results, results_bytes
from study.results.json_values import to_values
from tests.study.made_up import Plans, lifelike_results
from tests.study.made_up_reports import TABLE_7, table_7
from vicreg.evaluation.collapse_criteria import CHANCE_LEVEL, VIEW_DEPENDENT
from vicreg.files import to_json

REPORTS = Path(__file__).parents[3] / "reports/measured"
VIEWS = "The embeddings' view discrepancy, next to the untrained network's, is 0.9, above 0.8."
VOTES = "The k-NN accuracy is 0.15, below 0.19."


@pytest.fixture(scope="module")
def modes(tiny_config, digits):
    """The plain values of a study of arms and of a search, an arm and a trial of which are view-dependent."""
    plans = Plans(tiny_config, digits)
    plan = plans.search([{"pretrain.lambda": value} for value in range(1, 12)], best=3)
    found = lifelike_results(plan, lambda arm, seed: {"verdict": VIEW_DEPENDENT if arm == "trial-003" else "healthy"})
    return {"arms": table_7(plans, [TABLE_7[2], TABLE_7[9]]), "search": plans.summary(found, of=plan)}


def earlier(values, reason):
    """The results as an earlier version wrote them: both of today's types by one name, with this reason."""
    results = parse_results(to_json(values), where="made up")

    def named(one):
        if one is None or one.name not in (VIEW_DEPENDENT, CHANCE_LEVEL):
            return one
        return dataclasses.replace(one, name=RETIRED, reason=reason)

    arms = tuple(
        dataclasses.replace(
            arm,
            collapse_type=dataclasses.replace(
                named(arm.collapse_type), counts={key.replace(VIEW_DEPENDENT, RETIRED): count
                                                  for key, count in arm.collapse_type.counts.items()},
            ),
            outcomes=arm.outcomes and dataclasses.replace(
                arm.outcomes, counts={key.replace(VIEW_DEPENDENT, RETIRED): n for key, n in arm.outcomes.counts.items()}
            ),
            runs=tuple(dataclasses.replace(run, collapse_type=named(run.collapse_type)) for run in arm.runs),
        )
        for arm in results.arms
    )  # fmt: skip
    search = results.search and dataclasses.replace(
        results.search,
        trials=tuple(
            dataclasses.replace(
                trial, outcome=trial.outcome.replace(VIEW_DEPENDENT, RETIRED),
                collapse_type=(trial.collapse_type or "").replace(VIEW_DEPENDENT, RETIRED),
            )
            for trial in results.search.trials
        ),
    )  # fmt: skip
    return dataclasses.replace(
        results, arms=arms, search=search, answer=f"3 collapsed (1 {RETIRED})", notes=(f"One is {RETIRED}.",)
    )


@pytest.mark.parametrize("mode", ["arms", "search"])
@pytest.mark.parametrize(("reason", "name"), [(VIEWS, VIEW_DEPENDENT), (VOTES, CHANCE_LEVEL)])
def test_the_retired_name_is_replaced_by_what_the_reason_says_was_measured(modes, mode, reason, name, tmp_path):
    before = earlier(modes[mode], reason)
    assert RETIRED in str(to_values(before)["arms"])
    (tmp_path / "study.json").write_bytes(results_bytes(before))
    after = read_results(tmp_path)
    assert RETIRED not in str(to_values(after))
    assert {arm.name: arm.collapse_type.name.replace(RETIRED, name) for arm in before.arms} == {
        arm.name: arm.collapse_type.name for arm in after.arms
    }
    if before.search is not None:
        assert [trial.collapse_type for trial in after.search.trials if trial.name == "trial-003"] == [name]
    assert after.answer == f"3 collapsed (1 {name})" and after.notes == (f"One is {name}.",)


def test_results_with_todays_names_alone_are_left_as_they_are(modes):
    for values in modes.values():
        results = parse_results(to_json(values), where="made up")
        assert with_todays_names(results) is results


def test_every_arm_and_run_of_kept_results_has_a_name_of_today():
    kept = sorted(path for path in REPORTS.glob("*/*.json.xz") if path.name != "tsne.json.xz")
    assert kept
    for path in kept:
        written = parse_results(lzma.decompress(path.read_bytes()), where=path.name)
        shown = with_todays_names(written)
        assert RETIRED not in str({**to_values(shown), "hypothesis": ""})
        for old, new in zip(written.arms, shown.arms, strict=True):
            counts = Counter(run.outcome for run in new.runs)
            assert new.collapse_type.counts in ({}, counts) and len(old.runs) == len(new.runs)
            for run, renamed in zip(old.runs, new.runs, strict=True):
                assert run.outcome == renamed.outcome or run.outcome == RETIRED
