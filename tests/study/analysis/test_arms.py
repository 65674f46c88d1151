"""What runs say of arms: numbers that can be computed by hand from made-up runs."""

import math

import pytest
from scipy import stats

from tests.study.made_up import IMAGES, SPACE, Plans, arm_of, bits, by_seed, finished, unfinished

T_2 = 4.302652729911275  # the 97.5 % quantile of Student's t with 2 degrees of freedom


@pytest.fixture
def summary_of(tiny_config, digits):
    return Plans(tiny_config, digits).summary


def main(summary, name, what=None):
    """An arm's entry of the primary accuracy, or its difference or gain."""
    entry = arm_of(summary, name)["summary"]["linear_cached"]
    return entry if what is None else entry[what]


def p_of(t):
    """The two-sided p of Student's t with 2 degrees of freedom, in closed form."""
    return 1 - abs(t) / math.sqrt(2 + t**2)


def with_bits(top1, wrong):
    run = finished(top1)
    run["test"] = {**run["test"], "linear_cached": {**run["test"]["linear_cached"], "correct": bits(wrong)}}
    return run


def test_means_differences_and_gains_are_those_computed_by_hand(summary_of):
    summary = summary_of({
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]), **by_seed("untrained", [0.4, 0.4, 0.4]),
    })  # fmt: skip
    other = main(summary, "other")
    assert (other["n"], other["mean"], other["sd"]) == pytest.approx((3, 0.62, 0.11))
    assert other["difference"]["mean"] == pytest.approx(0.02)
    assert other["difference"]["high"] == pytest.approx(0.02 + T_2 * 0.01 / math.sqrt(3))
    assert other["gain"]["mean"] == pytest.approx(0.22)
    base = main(summary, "base")
    assert base["difference"] is None and base["gain"]["mean"] == pytest.approx(0.2)
    control = main(summary, "untrained")
    assert control["gain"] is None and control["difference"]["mean"] == pytest.approx(-0.2)


def test_every_column_is_summarised_collapse_metrics_of_both_spaces_among_them(summary_of):
    results = {
        **by_seed("base", [0.5] * 3),
        **{("other", s): finished(0.5, rankme=r, knn=0.7) for s, r in enumerate((4, 5, 9))},
    }
    columns = arm_of(summary_of(results), "other")["summary"]
    assert set(columns) == {
        "knn_5", "linear_cached", "validation_knn_5", "validation_linear_cached",
        *(f"{name}_{space}" for name in SPACE for space in ("representations", "embeddings")),
    }  # fmt: skip
    assert columns["rankme_embeddings"]["mean"] == 6
    assert columns["rankme_embeddings"]["difference"]["mean"] == -4
    assert columns["knn_5"]["difference"]["mean"] == pytest.approx(0.2)


def test_runs_are_paired_by_seed_in_whatever_order_they_stand(summary_of):
    results = {**by_seed("base", [0.1, 0.5, 0.9]), **by_seed("other", [0.11, 0.52, 0.93])}
    one, two = (main(summary_of(results, seeds=seeds), "other", "difference") for seeds in ((0, 1, 2), (2, 0, 1)))
    assert one["low"] == pytest.approx(two["low"]) and one["mean"] == pytest.approx(0.02)
    assert one["seeds"] == two["seeds"] == [0, 1, 2] and one["values"] == two["values"] == pytest.approx([0.01, 0.02, 0.03])
    # unpaired, the spread between seeds would drown the difference
    assert one["high"] - one["low"] < 0.06


def test_a_seed_that_one_side_lacks_is_left_out_of_the_difference_on_both(summary_of):
    results = {**by_seed("base", [0.1, 0.5, 0.9]), **by_seed("other", [0.11, 0.6, 0.93])}
    del results["base", 1]
    columns = main(summary_of(results), "other")
    assert columns["n"] == 3 and columns["mean"] == pytest.approx((0.11 + 0.6 + 0.93) / 3)
    assert columns["difference"] == {
        "n": 2, "mean": pytest.approx(0.02), "low": None, "high": None, "p": None, "p_holm": None, "seeds": [0, 2],
        "values": pytest.approx([0.01, 0.03]), "effect_size": None, "probability_better": None, "test_error": None,
        "decision": "undecided",
    }  # fmt: skip


def test_without_a_common_seed_there_is_no_difference(summary_of):
    columns = main(summary_of({("base", 0): finished(0.5), ("other", 1): finished(0.6)}), "other")
    assert columns["difference"] is None
    assert columns["gain"] is None


def test_a_run_that_did_not_finish_is_listed_and_counted_in_no_mean(summary_of):
    results = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.6] * 3)}
    results["other", 2] = unfinished("diverged", "in epoch 2")
    other = arm_of(summary_of(results), "other")
    assert other["summary"]["linear_cached"]["n"] == 2
    assert [(run["seed"], run["status"], run["reason"]) for run in other["runs"]][2] == (2, "diverged", "in epoch 2")


def test_p_values_are_adjusted_by_holm_within_the_study_and_the_control_is_no_comparison(summary_of):
    base = [0.5, 0.6, 0.7]
    summary = summary_of({
        **by_seed("base", base), **by_seed("other", [0.51, 0.62, 0.73]),
        **by_seed("third", [0.53, 0.64, 0.75], verdict="dimensional"), **by_seed("untrained", [0.4, 0.45, 0.48]),
    })  # fmt: skip
    # of each class there are too few arms to moderate a spread by, so these are paired t tests:
    # t is the mean over 0.01 / sqrt(3): two comparisons, so the smaller p counts twice, and the larger is no smaller than it
    small, large = p_of(0.04 * math.sqrt(3) / 0.01), p_of(0.02 * math.sqrt(3) / 0.01)
    third, other = (main(summary, name, "difference") for name in ("third", "other"))
    assert third["p"] == pytest.approx(small) and other["p"] == pytest.approx(large)
    assert third["p_holm"] == pytest.approx(2 * small) and other["p_holm"] == pytest.approx(max(large, 2 * small))
    assert "p_holm" not in main(summary, "untrained", "difference")
    base, *others = (main(summary, name, "gain") for name in ("base", "other", "third"))
    assert base["p_holm"] == base["p"]  # is tested first, for itself
    first = min(others, key=lambda gain: gain["p"])
    assert first["p_holm"] == pytest.approx(max(base["p"], 2 * first["p"]))


def test_steps_of_a_path_are_comparisons_and_what_tuning_or_a_search_tried_are_none(tiny_config, digits):
    plans = Plans(tiny_config, digits)
    values = [0.51, 0.62, 0.73]
    path = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.6}, {"step-2-mu": 0.62}])
    summary = plans.summary({
        **by_seed("base", [0.5, 0.6, 0.7], verdict="complete"), **by_seed("far", values), **by_seed("step-1-nu", values),
        **by_seed("step-1-mu", values),
    }, of=path)  # fmt: skip
    p = p_of(0.02 * math.sqrt(3) / 0.01)
    # far and both steps of the first round; the last round's step is far's run by another name, and no test of its own
    assert main(summary, "step-2-mu", "difference") == main(summary, "far", "difference")
    assert main(summary, "step-1-mu", "difference")["p_holm"] == pytest.approx(3 * p)
    assert summary["power"]["family"] == 3
    search = plans.search([{"pretrain.lambda": 5, "pretrain.mu": 5}])
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("best", values), ("trial-000", 1000): finished(0.9)}
    summary = plans.summary(results, of=search)
    assert main(summary, "best", "difference")["p_holm"] == pytest.approx(p)
    assert main(summary, "trial-000", "difference") is None
    tuned = plans.tuned({"base": 0.1, "other": 0.1})
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", values), ("base@baselr0.1", 2000): finished(0.9)}
    assert main(plans.summary(results, of=tuned), "other", "difference")["p_holm"] == pytest.approx(p)


def test_effect_size_and_the_chance_of_winning_a_rerun_stand_beside_a_difference(summary_of):
    summary = summary_of({**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])})
    difference = main(summary, "other", "difference")
    # sd 0.1 and 0.11, covariance 0.011
    freedom = 4 / (1 + (2 * 0.011 / (0.01 + 0.0121)) ** 2)
    correction = math.gamma(freedom / 2) / (math.sqrt(freedom / 2) * math.gamma((freedom - 1) / 2))
    assert difference["effect_size"] == pytest.approx(0.02 / math.sqrt((0.01 + 0.0121) / 2) * correction)
    t = 0.02 / (0.01 * math.sqrt(1 + 1 / 3))
    assert difference["probability_better"] == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t**2)))
    assert set(arm_of(summary, "other")["summary"]["knn_5"]["difference"]) == {"n", "mean", "low", "high", "p"}


def test_the_choice_of_test_images_has_an_error_and_images_that_both_get_right_cancel_in_a_difference(summary_of):
    right, four_wrong = [True] * IMAGES, [False] * 4 + [True] * (IMAGES - 4)
    results = {("base", seed): with_bits(1.0, right) for seed in range(3)}
    results |= {("other", seed): with_bits(0.9, four_wrong) for seed in range(3)}
    summary = summary_of(results)
    z2 = stats.norm.ppf(0.975) ** 2
    centre = (36 + z2 / 2) / (40 + z2)
    assert main(summary, "other")["test_error"] == pytest.approx(math.sqrt(centre * (1 - centre) / (40 + z2)))
    # -1 for four images and 0 for 36, about their mean of -0.1
    variance = (4 * 0.9**2 + 36 * 0.1**2) / 39
    assert main(summary, "other", "difference")["test_error"] == pytest.approx(math.sqrt(variance / 40))
    del results["other", 2]["test"]["linear_cached"]["correct"]
    assert main(summary_of(results), "other", "difference")["test_error"] is None


def test_every_run_that_was_asked_for_is_in_the_rate_of_collapse(summary_of):
    results = {
        ("other", 0): finished(0.5), ("other", 1): finished(0.1, verdict="complete"), ("other", 2): unfinished("diverged"),
        ("other", 3): unfinished("killed"),
    }  # fmt: skip
    outcomes = arm_of(summary_of(results, seeds=range(5)), "other")["outcomes"]
    assert outcomes["counts"] == {"complete": 1, "diverged": 1, "healthy": 1, "killed": 1, "missing": 1}
    assert (outcomes["asked"], outcomes["collapsed"]) == (5, 1)
    z2 = stats.norm.ppf(0.975) ** 2
    half = math.sqrt(z2 * (1 * 4 / 5 + z2 / 4))
    bounds = [(1 + z2 / 2 + sign * half) / (5 + z2) for sign in (-1, 1)]
    assert [outcomes["low"], outcomes["high"]] == pytest.approx(bounds)
