"""Runs as results have them: what is taken over from a store, and what they say of themselves."""

import math

import pytest

from study.results.json_values import to_values
from study.results.runs import CollapseMetrics, EpochRecord, run_results
from tests.study.made_up import finished, lifelike, log_record, unfinished
from vicreg.errors import InputError

STORED = {"seed": 3, "digest": "d", "effective_coefficients": {"mu": 25}, "images_per_second": [1.0], "joules": 2.0}


def test_all_that_a_store_says_is_taken_over_but_for_what_depends_on_the_machine():
    stored = {**STORED, **lifelike("x", 3, 0.8, epochs=2)}
    kept = {key: value for key, value in stored.items() if key not in ("images_per_second", "joules")}
    assert to_values(run_results(stored)) == kept


def test_what_results_do_not_know_is_refused_for_it_would_be_lost():
    with pytest.raises(InputError, match="run d may not have the key 'entropy', which RunResults does not know"):
        run_results({**STORED, **finished(0.5), "entropy": 1.0})


def test_a_metric_that_is_new_is_kept_by_its_name():
    run = run_results({**STORED, **finished(0.5, entropy=1.5)})
    assert run.collapse["embeddings"].metric("entropy") == 1.5
    assert to_values(run)["collapse"]["embeddings"]["entropy"] == 1.5


def test_a_metric_is_found_by_its_name_and_none_where_it_was_not_measured():
    metrics = CollapseMetrics(rankme=5.0, std_mean=math.nan)
    assert metrics.metric("rankme") == 5.0 and math.isnan(metrics.metric("std_mean"))
    assert metrics.metric("alignment") is None and metrics.metric("no_such_metric") is None


def test_the_outcome_is_the_collapse_type_or_else_the_status():
    assert run_results({**STORED, **finished(0.5, verdict="complete")}).outcome == "complete"
    assert run_results({**STORED, **unfinished("killed")}).outcome == "killed"


def test_accuracies_are_none_where_they_were_not_measured():
    run = run_results({**STORED, **finished(0.5)})
    assert (run.test_top1("linear_cached"), run.validation_top1("linear_cached"), run.test_top1("linear")) == (
        0.5,
        0.5,
        None,
    )


def test_a_term_that_was_not_logged_is_a_key_error():
    record = run_results({**STORED, **unfinished("diverged", history=[log_record(1, knn=0.5)])}).history[0]
    assert record.knn == 0.5 and record.total == 1.0
    with pytest.raises(KeyError, match="invariance"):
        record.term("invariance")
    with pytest.raises(KeyError, match="knn"):
        EpochRecord(epoch=1, total=1.0, logged={"knn": None}).term("knn")
