"""The results as a whole: what they hold, in which order, and that they are the same bytes every time."""

import json

import pytest

from study.spec.study_file import Arm
from tests.study.made_up import (
    ARMS,
    COMMAND,
    RATES,
    arm_of,
    by_seed,
    finished,
    lifelike_results,
    study,
    unfinished,
)
from vicreg.files import to_json


def verdict_of(summary_of, verdicts):
    runs = {("other", s): finished(0.5, verdict=v) if v else unfinished("killed") for s, v in enumerate(verdicts)}
    return arm_of(summary_of(runs), "other")["verdict"]


def test_an_arm_is_named_as_most_of_its_seeds_are(summary_of):
    named = verdict_of(summary_of, ["healthy", "dimensional", "dimensional"])
    assert named == {
        "name": "dimensional",
        "reason": "Seeds differ: 2 dimensional, 1 healthy. At 2 of 3 seeds: Because it is dimensional.",
        "counts": {"dimensional": 2, "healthy": 1},
    }  # fmt: skip


def test_of_equally_frequent_verdicts_the_first_seeds_stands(summary_of):
    assert verdict_of(summary_of, ["informational", "healthy", "complete"])["name"] == "informational"


def test_a_run_without_a_verdict_counts_as_what_became_of_it(summary_of):
    assert verdict_of(summary_of, ["healthy", None, None]) == {
        "name": "killed", "reason": "Seeds differ: 2 killed, 1 healthy.", "counts": {"healthy": 1, "killed": 2},
    }  # fmt: skip


def test_a_control_is_untrained_whatever_its_metrics_say(summary_of):
    summary = summary_of(by_seed("untrained", [0.4] * 3, verdict="chance-level"))
    assert arm_of(summary, "untrained")["verdict"]["name"] == "untrained"


def test_arms_stand_in_the_studys_order_with_the_control_last_and_a_command_each(summary_of):
    summary = summary_of(by_seed("base", [0.5] * 3))
    assert [arm["name"] for arm in summary["arms"]] == ["base", "other", "third", "untrained"]
    assert [arm["is_baseline"] for arm in summary["arms"]] == [True, False, False, False]
    assert [arm["is_control"] for arm in summary["arms"]] == [False, False, False, True]
    assert arm_of(summary, "other")["command"] == f"{COMMAND} --arm other --again"
    assert arm_of(summary, "other")["control"] == "untrained"


def test_arms_that_a_design_made_stand_after_the_studys_own_and_are_run_by_their_settings(plans):
    plan = plans.search([{"pretrain.expander": [64, 64]}])
    summary = plans.summary({}, of=plan)
    assert [(arm["name"], arm["role"]) for arm in summary["arms"]] == [
        ("base", "arm"), ("best", "arm"), ("trial-000", "trial"), ("untrained", "control"), ("untrained-64x64", "control"),
    ]  # fmt: skip
    assert arm_of(summary, "best")["command"] == f"{COMMAND} --arm 'pretrain.expander=[64, 64]' --again"
    trial = f"{COMMAND} --first-seed 1000 --seeds 1 --arm 'pretrain.expander=[64, 64]' --again"
    assert arm_of(summary, "trial-000")["command"] == trial
    roles = [arm["role"] for arm in plans.summary({}, of=plans.tuned({"base": 0.1, "other": 0.1}))["arms"]]
    assert roles == ["arm"] * 2 + ["tuning"] * 4 + ["control"]


def test_an_arms_reason_and_settings_are_those_of_its_file(summary_of):
    arms = (Arm(name="base", settings={}), Arm(name="other", settings={"pretrain.nu": 2}, reason="Twice as much."))
    other = arm_of(summary_of({}, asked=study(arms)), "other")
    assert (other["reason"], other["settings"], other["label"]) == ("Twice as much.", {"pretrain.nu": 2}, "ν 2")


def test_all_arms_go_by_their_names_where_the_settings_of_one_are_too_long_for_a_figure(summary_of):
    crop = {"pretrain.augmentation.crop_scale": [0.2, 1.0], "pretrain.expander": [2048, 2048]}
    arms = (Arm(name="base", settings={"pretrain.nu": 1}), Arm(name="paper", settings=crop))
    assert [arm["label"] for arm in summary_of({}, asked=study(arms[:1]))["arms"]] == ["ν 1", "untrained"]
    labels = [arm["label"] for arm in summary_of({}, asked=study(arms))["arms"]]
    assert labels[:2] == ["base", "paper"] and labels[2] == "untrained"


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


def test_a_parameter_is_scientific_nuisance_or_fixed(plans):
    fixed = {"pretrain.gamma": 2}
    assert plans.summary({}, asked=study(settings=fixed, nuisance=RATES))["parameters"] == {
        "scientific": ["pretrain.nu"], "nuisance": {"pretrain.base_lr": [0.01, 0.1]}, "fixed": fixed,
    }  # fmt: skip
    searched = plans.summary({}, of=plans.search([{"pretrain.lambda": 5}]))["parameters"]["scientific"]
    assert searched == ["pretrain.lambda", "pretrain.mu", "pretrain.nu", "pretrain.optimizer"]


def test_numbers_of_a_protocol_stand_beside_the_arms_that_follow_it_and_beside_no_other(plans, monkeypatch):
    asked = study(ARMS, source=None, published_protocol="solo-online")
    results = plans.results(by_seed("base", [0.5] * 3), asked=asked)
    assert {arm.published for arm in results.arms} == {None} and results.published_source is None

    def outcome(config, protocol):
        assert protocol == "solo-online"
        return {"online linear": 92.07} if config.pretrain.method_settings.nu == 1 else None

    monkeypatch.setattr("study.analysis.summary.published_outcome", outcome)
    results = plans.results(by_seed("base", [0.5] * 3), asked=asked)
    found = {arm.name: arm.published for arm in results.arms if arm.published}
    assert found == {"base": {"online linear": 92.07}}, "and the control, whose nu is 1 too, has none"
    assert results.published_source.startswith("solo-learn's README")


def test_the_summary_says_what_data_and_which_recipe(summary_of, digits, tiny_config):
    summary = summary_of(by_seed("base", [0.5] * 3))
    assert summary["data"] == {
        "dataset": "digits", "digest": digits.digest, "classes": [str(d) for d in range(10)], "train": 160, "validation": 40,
        "test": 40, "shape": [1, 8, 8], "note": None, "chance": pytest.approx(0.1),
    }  # fmt: skip
    assert summary["recipe"]["pretrain.nu"] == tiny_config({"pretrain.nu": 1}).recipe["pretrain.nu"] == 1
    assert "pretrain.seed" not in summary["recipe"] and "prepare.dataset" in summary["recipe"]
    assert summary["environment"]["threads"] == 1 and summary["commits"] == ["abc"]


def test_the_summary_is_plain_json_and_the_same_bytes_every_time(plans):
    plan = plans.plan(study())
    results = lifelike_results(plan, lambda arm, seed: {"linear": {"other": 0.9}.get(arm, 0.8)})
    once = to_json(plans.summary(results, of=plan))
    assert to_json(plans.summary(dict(reversed(results.items())), of=plan)) == once
    assert json.loads(once) == plans.summary(results, of=plan)


def test_the_results_describe_the_terms_that_their_method_logs(summary_of):
    terms = summary_of(by_seed("base", [0.5] * 3))["terms"]
    assert set(terms) == {"invariance", "variance", "covariance"} and terms["invariance"]["log_axis"]
