"""Whether the source paper's remark on VICReg's loss curves holds, and how far its variance term got."""

import math

import pytest

from tests.study.made_up import Plans, finished, log_record, unfinished

T_2 = 4.302652729911275  # the 97.5 % quantile of Student's t with 2 degrees of freedom


@pytest.fixture
def summary_of(tiny_config, digits):
    return Plans(tiny_config, digits).summary


def with_terms(verdict, invariance, covariance):
    run = finished(0.5, verdict=verdict)
    weighted = {"weighted_invariance": 25 * invariance, "weighted_covariance": covariance}
    first = {"invariance": 1.0, "covariance": 1.0, "weighted_invariance": 1.0, "weighted_covariance": 1.0}
    hinge = {"embedding_std_mean": 0.5, "embedding_share_below_gamma": 1.0}
    run["history"] = [
        log_record(1, **hinge, **first),
        log_record(2, **hinge, invariance=invariance, covariance=covariance, **weighted),
    ]
    return run


def test_the_ratio_of_two_terms_is_that_of_the_baselines_last_epochs(summary_of):
    results = {("base", seed): with_terms("healthy", 0.1, covariance) for seed, covariance in enumerate((1.0, 2.0, 4.0))}
    scale = summary_of(results)["scale"]
    assert scale["ratio"]["mean"] == pytest.approx(0.05) and scale["weighted"]["mean"] == pytest.approx(1.25)
    assert scale["ratio"]["high"] == pytest.approx(0.05 * math.exp(T_2 * math.log(2) / math.sqrt(3)))


def test_collapses_are_counted_apart_by_whether_both_terms_are_of_one_scale(summary_of):
    results = {("base", seed): with_terms("healthy", 0.1, 1.0) for seed in range(3)}  # a power of ten apart
    results |= {("other", seed): with_terms("complete", 1.0, 3.0) for seed in range(3)}  # less than half a power
    results["third", 0] = with_terms("informational", 1.0, 10.0)
    results["third", 1] = with_terms("healthy", 2.0, 1.0)
    results["third", 2] = unfinished("diverged", history=results["third", 0]["history"])
    scale = summary_of(results)["scale"]
    assert (scale["same"], scale["other"]) == ([3, 4], [1, 4])


def test_runs_of_which_too_few_images_can_tell_are_not_counted(summary_of):
    results = {("base", seed): with_terms("healthy", 1.0, 1.0) for seed in range(2)}
    results["base", 2] = with_terms("undetermined", 1.0, 1.0)
    assert summary_of(results)["scale"]["same"] == [0, 2]


def test_terms_that_are_zero_have_no_ratio(summary_of):
    assert summary_of({("base", 0): with_terms("complete", 0.0, 0.0)})["scale"] is None
    assert summary_of({("base", 0): finished(0.5)})["scale"] is None


def test_of_a_method_without_these_terms_nothing_is_said(summary_of):
    run = finished(0.5)
    run["history"] = [log_record(1, redundancy=0.1)]
    summary = summary_of({("base", 0): run, ("other", 0): run})
    assert summary["scale"] is None and not any("gamma" in note for note in summary["notes"])
