"""What a report reads: numbers that can be computed by hand from made-up runs, and sentences that say what they mean."""

import json
import math

import pytest
import torch

from study.plan import make_plan
from study.spec import Arm, Search, Study
from study.summary import summarise
from vicreg.checkpoints import to_json

T_2 = 4.302652729911275  # the 97.5 % quantile of Student's t with 2 degrees of freedom
CPU = torch.device("cpu")
SPACE = {
    "rankme": 10.0, "std_mean": 1.0, "rms_correlation": 0.1, "normalised_std": 0.9, "view_discrepancy": 0.3,
}  # fmt: skip
ARMS = (
    Arm(name="base", settings={"pretrain.nu": 1}, published={"linear": 68.6}),
    Arm(name="other", settings={"pretrain.nu": 2}, published={"collapse": True}),
    Arm(name="third", settings={"pretrain.nu": 3}),
)


def finished(linear, *, verdict="healthy", rankme=10.0, knn=0.5):
    accuracies = {"knn_5": knn, "linear_cached": linear}
    measured = {
        name: {"top1": value, "top5": 1.0, "per_class": [value], "confusion": [[1]]} for name, value in accuracies.items()
    }
    collapse = {space: {**SPACE, "rankme": rankme} for space in ("representations", "embeddings")}
    return {
        "status": "finished", "reason": None, "commit": "abc", "history": [], "validation": measured, "test": measured,
        "collapse": collapse, "verdict": {"name": verdict, "reason": f"Because it is {verdict}."},
    }  # fmt: skip


def unfinished(status, reason=None):
    return {
        "status": status, "reason": reason, "commit": None, "history": [], "validation": {}, "test": {}, "collapse": {},
        "verdict": None,
    }  # fmt: skip


class Shelf:
    """A store that holds what it is given: (arm, seed) -> what a run came to."""

    def __init__(self, plan, results):
        self._results = {cell.run.digest: results.get((cell.arm, cell.seed)) or unfinished("missing") for cell in plan.cells}

    def result(self, run):
        return {"seed": run.config.pretrain.seed, "digest": run.digest, **self._results[run.digest]}


def study(arms=ARMS, *, source="a paper", mode="arms"):
    search = Search(parameters={}, trials=2, batch=2, seed=0, objective="linear_cached", prune_after=None)
    return Study(
        name="mine", question="Does it?", hypothesis="It does.", mode=mode, baseline="base", settings={}, arms=arms,
        search=search if mode == "search" else None, seeds=None, published_source=source,
    )  # fmt: skip


@pytest.fixture
def summary_of(tiny_config, digits):
    def build(results, *, seeds=(0, 1, 2), asked=None, arms=None, settings=None):
        config = tiny_config({"ablate.probes": ["knn", "linear_cached"], **(settings or {})})
        plan = make_plan(asked or study(), config, data=digits.digest, device=CPU, seeds=seeds, arms=arms)
        return summarise(plan, Shelf(plan, results), digits, command="python -m study.ablate", overrides={})

    return build


def by_seed(arm, values, **named):
    return {(arm, seed): finished(value, **named) for seed, value in enumerate(values)}


def arm_of(summary, name):
    (arm,) = [arm for arm in summary["arms"] if arm["name"] == name]
    return arm


# ---- numbers


def test_means_differences_and_gains_are_those_computed_by_hand(summary_of):
    summary = summary_of({
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73]), **by_seed("untrained", [0.4, 0.4, 0.4]),
    })  # fmt: skip
    other = arm_of(summary, "other")["summary"]["linear_cached"]
    assert (other["n"], other["mean"], other["sd"]) == pytest.approx((3, 0.62, 0.11))
    assert other["difference"]["mean"] == pytest.approx(0.02)
    assert other["difference"]["high"] == pytest.approx(0.02 + T_2 * 0.01 / math.sqrt(3))
    assert other["gain"]["mean"] == pytest.approx(0.22)
    base = arm_of(summary, "base")["summary"]["linear_cached"]
    assert base["difference"] is None and base["gain"]["mean"] == pytest.approx(0.2)
    control = arm_of(summary, "untrained")["summary"]["linear_cached"]
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
    forward, shuffled = (arm_of(summary_of(results, seeds=seeds), "other") for seeds in ((0, 1, 2), (2, 0, 1)))
    one, two = (arm["summary"]["linear_cached"]["difference"] for arm in (forward, shuffled))
    assert one["low"] == pytest.approx(two["low"]) and one["mean"] == pytest.approx(0.02)
    # unpaired, the spread between seeds would drown the difference
    assert one["high"] - one["low"] < 0.06


def test_a_seed_that_one_side_lacks_is_left_out_of_the_difference_on_both(summary_of):
    results = {**by_seed("base", [0.1, 0.5, 0.9]), **by_seed("other", [0.11, 0.6, 0.93])}
    del results["base", 1]
    columns = arm_of(summary_of(results), "other")["summary"]["linear_cached"]
    assert columns["n"] == 3 and columns["mean"] == pytest.approx((0.11 + 0.6 + 0.93) / 3)
    assert columns["difference"] == {"n": 2, "mean": pytest.approx(0.02), "low": None, "high": None, "p": None}


def test_without_a_common_seed_there_is_no_difference(summary_of):
    columns = arm_of(summary_of({("base", 0): finished(0.5), ("other", 1): finished(0.6)}), "other")["summary"]
    assert columns["linear_cached"]["difference"] is None
    assert columns["linear_cached"]["gain"] is None


def test_a_run_that_did_not_finish_is_listed_and_counted_in_no_mean(summary_of):
    results = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.6] * 3)}
    results["other", 2] = unfinished("diverged", "in epoch 2")
    other = arm_of(summary_of(results), "other")
    assert other["summary"]["linear_cached"]["n"] == 2
    assert [(run["seed"], run["status"], run["reason"]) for run in other["runs"]][2] == (2, "diverged", "in epoch 2")


def test_coefficients_are_given_in_the_official_codes_units(summary_of):
    arms = tuple(
        Arm(name=name, settings={"pretrain.convention": convention})
        for name, convention in (("base", "official"), ("algorithm", "algorithm"), ("equation", "equation"))
    )
    summary = summary_of({}, asked=study(arms))
    effective = {arm["name"]: arm["effective"] for arm in summary["arms"]}
    assert effective == {  # with an expander that ends in d = 16 dimensions
        "base": {"lambda_": 25, "mu": 25, "nu": 1},
        "algorithm": {"lambda_": 25, "mu": 50, "nu": 1},
        "equation": {"lambda_": 25 * 16, "mu": 50, "nu": 1},
        "untrained": None,
    }


# ---- verdicts


def verdict_of(summary_of, verdicts):
    runs = {("other", s): finished(0.5, verdict=v) if v else unfinished("killed") for s, v in enumerate(verdicts)}
    return arm_of(summary_of(runs), "other")["verdict"]


def test_an_arm_is_named_as_most_of_its_seeds_are(summary_of):
    named = verdict_of(summary_of, ["healthy", "dimensional", "dimensional"])
    assert named == {
        "name": "dimensional", "reason": "Because it is dimensional.", "counts": {"dimensional": 2, "healthy": 1},
    }  # fmt: skip


def test_of_equally_frequent_verdicts_the_first_seeds_stands(summary_of):
    assert verdict_of(summary_of, ["informational", "healthy", "complete"])["name"] == "informational"


def test_a_run_without_a_verdict_counts_as_what_became_of_it(summary_of):
    assert verdict_of(summary_of, ["healthy", None, None]) == {
        "name": "killed", "reason": "", "counts": {"healthy": 1, "killed": 2},
    }  # fmt: skip


def test_a_control_is_untrained_whatever_its_metrics_say(summary_of):
    summary = summary_of(by_seed("untrained", [0.4] * 3, verdict="uninformative"))
    assert arm_of(summary, "untrained")["verdict"]["name"] == "untrained"


# ---- sentences


def test_the_answer_names_the_best_arm_and_how_sure_that_is(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}
    assert summary_of(results)["answer"] == (
        "Best on validation is ν 2; on test it has 62.0 ± 11.0 % linear (cached features) top-1, +2.0 points from the "
        "baseline (95 % interval -0.5 to +4.5, 3 paired seeds, so not told apart from it). None of 2 arms collapsed."
    )
    results |= {**by_seed("other", [0.6, 0.7, 0.8]), **by_seed("third", [0.5] * 3, verdict="complete")}
    assert "+10.0 points from the baseline (95 % interval +10.0 to +10.0, 3 paired seeds)" in summary_of(results)["answer"]
    assert summary_of(results)["answer"].endswith(". Of 3 arms, 1 collapsed (1 complete).")


def test_the_best_arm_is_chosen_on_validation_and_its_accuracy_read_on_test(summary_of):
    results = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.9] * 3)}
    for seed in range(3):
        results["base", seed]["validation"] = finished(0.7)["validation"]
        results["other", seed]["validation"] = finished(0.6)["validation"]
    assert summary_of(results)["answer"].startswith("Best on validation is ν 1; on test it has 50.0 ± 0.0 %")


def test_the_answer_counts_the_arms_that_a_best_baseline_is_not_told_apart_from(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]),
        **by_seed("other", [0.49, 0.61, 0.69]),
        **by_seed("third", [0.1, 0.2, 0.3]),
    }
    answer = summary_of(results)["answer"]
    assert ". It is the baseline, and 1 other healthy arm is not told apart from it" in answer
    assert answer.endswith("None of 3 arms collapsed.")


def test_two_seeds_are_said_to_be_too_few_for_an_interval(summary_of):
    results = {**by_seed("base", [0.5, 0.5]), **by_seed("other", [0.6, 0.7])}
    assert "+15.0 points from the baseline (2 paired seeds, too few for an interval)" in summary_of(results)["answer"]


def test_without_a_finished_run_there_is_no_answer(summary_of):
    summary = summary_of({("base", 0): unfinished("diverged")})
    assert summary["answer"] == "No run has finished yet, so there is no answer yet."
    assert summary["commits"] == [] and not any(arm["summary"] for arm in summary["arms"])


def test_the_answer_speaks_of_a_probe_that_was_measured(summary_of):
    assert summary_of({}, settings={"ablate.probes": ["knn"]})["primary"] == "knn_5"
    assert summary_of({}, settings={"ablate.probes": ["linear"]})["primary"] == "linear"
    assert summary_of({}, settings={"ablate.probes": ["knn", "linear", "linear_cached"]})["primary"] == "linear_cached"


def test_a_searchs_answer_is_what_validation_chose_and_not_the_luckiest_trial_on_test(summary_of):
    arms = (*ARMS[:1], Arm(name="best", settings={"pretrain.nu": 0.5}), Arm(name="trial-000", settings={"pretrain.nu": 4}))
    results = {**by_seed("base", [0.5] * 3), **by_seed("best", [0.6] * 3), **by_seed("trial-000", [0.9] * 3)}
    summary = summary_of(results, asked=study(ARMS[:1], mode="search"), arms=arms)
    assert summary["answer"].startswith("Best on validation is ν 0.5; on test it has 60.0")
    assert any("chosen on validation" in note for note in summary["notes"])


def notes_on_outcomes(summary: dict) -> list[str]:
    """All notes but the one on the network's dead taps, which has a test of its own."""
    return [note for note in summary["notes"] if "never receive a gradient" not in note]


def test_a_note_says_how_much_of_the_network_can_never_learn(summary_of, tiny_config):
    small = [note for note in summary_of(by_seed("base", [0.5] * 3))["notes"] if "never receive" in note]
    # Width 4 at 8 x 8 with the cifar stem: 1 x 1 in the last stage and 2 x 2 before it, as torchvision's network at 32 x 32.
    assert len(small) == 1 and small[0].startswith("At 8 x 8 pixels with the cifar stem 61 % of the parameters of the resnet18")


def test_a_note_says_where_both_views_were_normalised_together(summary_of):
    one = (ARMS[0], Arm(name="both", settings={"pretrain.view_passes": "joint"}))
    (note,) = [note for note in summary_of({}, asked=study(one, source=None))["notes"] if "BatchNorm saw" in note]
    assert "joint) in view passes joint:" in note
    assert not any("BatchNorm saw" in note for note in summary_of({})["notes"])


def test_a_note_says_where_published_outcomes_came_out_otherwise(summary_of):
    results = {
        **by_seed("base", [0.5] * 3, verdict="dimensional"),
        **by_seed("other", [0.5] * 3),
        **by_seed("third", [0.5] * 3),
    }
    assert notes_on_outcomes(summary_of(results)) == [
        "Of 2 arms with a published outcome (a paper), 0 agree; not ν 1 (no collapse there, dimensional here); "
        "ν 2 (collapse there, healthy here)."
    ]
    results |= {**by_seed("base", [0.5] * 3), **by_seed("other", [0.5] * 3, verdict="complete")}
    assert notes_on_outcomes(summary_of(results)) == ["Of 2 arms with a published outcome (a paper), 2 agree."]


@pytest.mark.parametrize("status", ["missing", "partial", "killed", "failed", "out-of-memory"])
def test_a_run_that_says_nothing_of_its_settings_agrees_with_no_published_outcome(summary_of, status):
    results = {**by_seed("base", [0.5] * 3), **{("other", seed): unfinished(status) for seed in range(3)}}
    assert notes_on_outcomes(summary_of(results)) == ["Of 1 arms with a published outcome (a paper), 1 agree."]


def test_a_diverged_arm_agrees_with_a_published_collapse(summary_of):
    results = {**by_seed("base", [0.5] * 3), **{("other", seed): unfinished("diverged") for seed in range(3)}}
    assert notes_on_outcomes(summary_of(results)) == ["Of 2 arms with a published outcome (a paper), 2 agree."]


def test_each_arm_says_whether_it_agrees_with_its_published_outcome(summary_of):
    results = {**by_seed("base", [0.5] * 3, verdict="dimensional"), **by_seed("other", [0.5] * 3, verdict="complete")}
    agrees = {arm["name"]: arm["agrees"] for arm in summary_of(results)["arms"]}
    assert agrees == {"base": False, "other": True, "third": None, "untrained": None}
    assert arm_of(summary_of({}), "base")["agrees"] is None


def test_a_note_says_how_far_the_variance_term_of_the_baseline_got(summary_of):
    results = by_seed("base", [0.5] * 2)
    for seed, (std, below) in enumerate([(0.8, 0.9), (0.6, 0.7)]):
        early = {"embedding_std_mean": 0.0, "embedding_share_below_gamma": 1.0}
        results["base", seed]["history"] = [early, {"embedding_std_mean": std, "embedding_share_below_gamma": below}]
    (note,) = [note for note in summary_of(results)["notes"] if "gamma" in note]
    assert "std within a batch is 0.70 on average" in note and "80 % of dimensions are below gamma" in note


def test_without_published_outcomes_there_is_no_note(summary_of):
    arms = tuple(Arm(name=arm.name, settings=arm.settings) for arm in ARMS)
    assert notes_on_outcomes(summary_of(by_seed("base", [0.5] * 3), asked=study(arms, source=None))) == []


# ---- the whole


def test_arms_stand_in_the_studys_order_with_the_control_last_and_a_command_each(summary_of):
    summary = summary_of(by_seed("base", [0.5] * 3))
    assert [arm["name"] for arm in summary["arms"]] == ["base", "other", "third", "untrained"]
    assert [arm["is_baseline"] for arm in summary["arms"]] == [True, False, False, False]
    assert [arm["is_control"] for arm in summary["arms"]] == [False, False, False, True]
    assert arm_of(summary, "other")["command"] == "python -m study.ablate --arm other --again"
    assert arm_of(summary, "other")["control"] == "untrained"


def test_the_summary_says_what_data_and_which_recipe(summary_of, digits, tiny_config):
    summary = summary_of(by_seed("base", [0.5] * 3))
    assert summary["data"] == {
        "dataset": "digits", "digest": digits.digest, "classes": [str(d) for d in range(10)], "train": 160, "validation": 40,
        "test": 40, "shape": [1, 8, 8], "note": None, "chance": pytest.approx(0.1),
    }  # fmt: skip
    assert summary["recipe"]["pretrain.nu"] == tiny_config().values["pretrain"]["nu"]
    assert "pretrain.seed" not in summary["recipe"] and "prepare.dataset" in summary["recipe"]
    assert summary["environment"]["threads"] == 1 and summary["commits"] == ["abc"]


def test_the_summary_is_plain_json_and_the_same_bytes_every_time(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}
    once = to_json(summary_of(results))
    assert to_json(summary_of(dict(reversed(results.items())))) == once
    assert json.loads(once) == summary_of(results)
