"""What the page over all studies says of results: the leaderboard, counts, certificates and staleness."""

import dataclasses

from study.overview.leaderboard import leaderboard
from study.overview.view import build_view, report_links
from study.results.certificate import Certificate
from study.verification.freshness import Freshness
from tests.study.comparison.sides import arm, results, run, seeds


def page(*studies, checked=None, **changes):
    given = {
        "profile": "p", "elsewhere": [], "wanted": [one.study for one in studies], "certificates": {}, "links": {},
        "checked": {one.study: Freshness() for one in studies} | (checked or {}),
    }  # fmt: skip
    return build_view(studies, **{**given, **changes})


def test_the_best_on_validation_stand_first_and_what_did_not_finish_last_without_a_place():
    study = results(arm("x", {}, [*seeds([0.5, 0.9]), run(2, None, status="killed"), run(3, 0.7)]))
    rows = leaderboard([study])
    assert [(row["place"], row["seed"], row["validation"]) for row in rows] == [
        ("1", "1", "90.00"), ("2", "3", "70.00"), ("3", "0", "50.00"), ("–", "2", "–"),
    ]  # fmt: skip
    assert rows[-1]["badge"]["name"] == "killed" and rows[-1]["ranks"] == ["–", "–"]


def test_a_run_of_several_studies_has_one_row():
    shared = run(0, 0.5)
    one, other = results(arm("x", {}, [shared])), results(arm("y", {}, [shared]), study="other")
    (row,) = leaderboard([one, other])
    assert (row["studies"], row["arm"]) == ("s, other", "x; y")
    assert page(one, other)["answer"] == "2 studies on profile p, 1 run that stand for 2 cells; 1 finished."


def test_a_control_is_called_untrained_whatever_its_collapse_type():
    control = arm("untrained", {}, [run(0, 0.5, collapse_type="complete")], is_control=True)
    (row,) = leaderboard([results(control)])
    assert row["badge"]["name"] == "untrained" and row["is_control"]


def test_collapse_types_are_counted_over_trained_runs_and_statuses_over_all():
    study = results(
        arm("x", {}, [run(0, 0.5), run(1, 0.4, collapse_type="complete"), run(2, None, status="pruned")]),
        arm("untrained", {}, [run(0, 0.3)], is_control=True),
    )
    (shown,) = page(study)["studies"]
    assert (shown["statuses"], shown["verdicts"]) == ("3 finished, 1 pruned", "1 complete, 1 healthy, 1 pruned")


def test_a_certificate_is_quoted_where_it_is_of_these_results():
    study = results(arm("x", {}, [run(0, 0.5)]))
    certificate = Certificate(
        study="s", runs=(), tolerance=0.0, environment={"device": "cpu", "torch": "2.0"}, sentence="Of another day."
    )
    for given, said in (
        ({}, "Not verified; python -m study.verify --study s does so."),
        ({"s": certificate}, "Verified for earlier results alone; python -m study.verify --study s verifies these."),
    ):
        assert page(study, certificates=given)["studies"][0]["certificate"] == said


def test_the_state_counts_what_is_stale_absent_and_unchecked():
    one, other = results(arm("x", {}, seeds([0.5, 0.6]))), results(arm("y", {}, seeds([0.7])), study="other")
    assert page(one, other)["state"].startswith("Everything is fresh")
    stale = Freshness(groups=(("never run", ("ν 1, seed 1",)),), count=1)
    shown = page(one, other, checked={"s": stale, "other": Freshness(unchecked="no data")}, wanted=["s", "other", "third"])
    assert shown["state"] == (
        "1 of 3 cells are stale or missing; third has not been run; staleness was not checked for other."
    )
    assert shown["stale"] == [("s", stale.groups)] and shown["unchecked"] == [("other", "no data")]
    assert shown["absent"] == ["python -m study.ablate --study third --profile p"]


def test_links_are_relative_to_the_page(tmp_path):
    assert report_links(["tiny"], tmp_path / "reports", tmp_path / "pages/deep") == {
        "tiny": {"html": "../../reports/tiny/index.html", "markdown": "../../reports/tiny/README.md"}
    }


def test_a_page_of_three_hundred_runs_has_a_row_each():
    arms = [arm(f"arm-{i}", {"pretrain.nu": i}, [run(seed, 0.5 + i / 1000) for seed in range(3)]) for i in range(100)]
    arms = [
        dataclasses.replace(one, runs=tuple(dataclasses.replace(run, digest=f"{one.name}-{run.seed}") for run in one.runs))
        for one in arms
    ]
    assert len(page(results(*arms))["rows"]) == 300
