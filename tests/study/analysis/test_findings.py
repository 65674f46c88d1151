"""What a design was made to find: numbers that can be computed by hand from made-up runs."""

import math

import pytest

from study.analysis import importances
from study.analysis.findings import changes_of, describe_path
from study.spec.study_file import Arm
from tests.study.made_up import GRID, arm_of, by_seed, finished, log_record, study, unfinished

# ---- grids

NOISE = (0.01, -0.01, 0.0)  # of three seeds, turned round from cell to cell


def grid_results():
    """λ adds 0.1, μ 0.02 and both together 0.04 more."""
    results = {}
    for place, arm in enumerate(GRID):
        lambda_, mu = place // 2, place % 2
        mean = 0.5 + 0.1 * lambda_ + 0.02 * mu + 0.04 * lambda_ * mu
        sign = 1 if place in (0, 3) else -1
        results |= by_seed(arm.name, [mean + 0.05 * seed + sign * NOISE[seed] for seed in range(3)])
    return results


def test_a_grids_analysis_of_variance_is_the_one_computed_by_hand(plans):
    grid = plans.summary(grid_results(), asked=study(GRID, mode="grid"))["grid"]
    assert grid["factors"] == {"pretrain.lambda": [1, 25], "pretrain.mu": [1, 25]} and grid["reason"] is None
    table = grid["anova"]
    assert (table["n"], table["missing"], table["dropped"]) == (12, 0, [])
    assert table["residual_df"] == 12 - 1 - 2 - 3  # the mean, two blocks, three effects
    effects = {effect["term"]: effect for effect in table["effects"]}
    assert {name: effect["df"] for name, effect in effects.items()} == {"λ": 1, "μ": 1, "λ x μ": 1}
    # 12 runs, 6 at each level: SS = 3 (difference of both levels' means)^2, and of the interaction 3/4 (its contrast)^2
    assert effects["λ"]["sum_of_squares"] == pytest.approx(3 * 0.12**2)
    assert effects["μ"]["sum_of_squares"] == pytest.approx(3 * 0.04**2)
    assert effects["λ x μ"]["sum_of_squares"] == pytest.approx(3 / 4 * 0.04**2)
    # NOISE is orthogonal to all effects and to the seeds, for two cells have it with a minus sign
    error = 4 * sum(value**2 for value in NOISE)
    assert effects["λ"]["f"] == pytest.approx(3 * 0.12**2 / (error / 6))
    assert effects["λ"]["partial_eta_squared"] == pytest.approx(3 * 0.12**2 / (3 * 0.12**2 + error))


def test_runs_without_an_accuracy_are_counted_as_missing(plans):
    results = grid_results()
    results[GRID[1].name, 1] = unfinished("killed")
    results[GRID[2].name, 0] = unfinished("diverged")
    table = plans.summary(results, asked=study(GRID, mode="grid"))["grid"]["anova"]
    assert (table["n"], table["missing"], table["residual_df"]) == (10, 2, 4)


def test_an_interaction_that_a_lost_cell_leaves_unknown_is_named(plans):
    results = {key: run for key, run in grid_results().items() if key[0] != GRID[3].name}
    table = plans.summary(results, asked=study(GRID, mode="grid"))["grid"]["anova"]
    assert (table["dropped"], table["missing"]) == (["λ x μ"], 3)
    assert [effect["term"] for effect in table["effects"]] == ["λ", "μ"]


def test_where_there_is_no_analysis_a_sentence_says_why(plans):
    grid = plans.summary(grid_results(), asked=study(GRID, mode="grid"), seeds=(0,))["grid"]
    assert grid["anova"] is None and grid["reason"].startswith("an error must be left over")
    assert plans.summary({}, asked=study(GRID, mode="grid"))["grid"]["reason"]
    assert plans.summary({})["grid"] is None


# ---- tuning


def test_what_was_tried_for_each_arm_stands_beside_what_was_chosen(plans):
    plan = plans.tuned({"base": 0.01, "other": 0.1})
    results = {
        ("base@baselr0.01", 2000): finished(0.8), ("base@baselr0.1", 2000): finished(0.7),
        ("other@baselr0.01", 2000): unfinished("diverged"), ("other@baselr0.1", 2000): finished(0.6, verdict="dimensional"),
    }  # fmt: skip
    summary = plans.summary(results, of=plan)
    assert summary["tuning"] == [
        {"arm": "base", "settings": {"pretrain.base_lr": 0.01}, "value": 0.8, "outcome": "healthy", "chosen": True},
        {"arm": "base", "settings": {"pretrain.base_lr": 0.1}, "value": 0.7, "outcome": "healthy", "chosen": False},
        {"arm": "other", "settings": {"pretrain.base_lr": 0.01}, "value": None, "outcome": "diverged", "chosen": False},
        {"arm": "other", "settings": {"pretrain.base_lr": 0.1}, "value": 0.6, "outcome": "dimensional", "chosen": True},
    ]
    assert arm_of(summary, "other")["tuned"] == {"pretrain.base_lr": 0.1}
    assert "base lr" not in arm_of(summary, "other")["label"]
    assert plans.summary({})["tuning"] is None


# ---- searches


def some_trials(count):
    optimizers = ("sgd", "lars")
    return [
        {
            "pretrain.lambda": 1 + 7 * number % 100,
            "pretrain.mu": 1 + 13 * number % 100,
            "pretrain.optimizer": optimizers[number % 2],
        }
        for number in range(count)
    ]


def test_trials_stand_in_the_order_they_were_proposed_with_what_became_of_each(plans):
    trials = some_trials(3)
    plan = plans.search(trials, best=1)
    history = [log_record(epoch) for epoch in (1, 2)]
    results = {
        ("trial-000", 1000): finished(0.6), ("trial-001", 1001): finished(0.8),
        ("trial-002", 1002): unfinished("pruned", "complete collapse", history=history),
    }  # fmt: skip
    search = plans.summary(results, of=plan)["search"]
    shown = [
        (one["name"], one["number"], one["seed"], one["outcome"], one["values"], one["epochs"]) for one in search["trials"]
    ]
    assert shown == [
        ("trial-000", 0, 1000, "healthy", {"linear_cached": 0.6}, 0),
        ("trial-001", 1, 1001, "healthy", {"linear_cached": 0.8}, 0),
        ("trial-002", 2, 1002, "pruned", {}, 2),
    ]
    assert [one["settings"] for one in search["trials"]] == trials
    assert (search["front"], search["objectives"], search["sampler"]) == (["trial-001"], ["linear_cached"], "tpe")
    assert search["numeric"] == {"pretrain.lambda": True, "pretrain.mu": True}  # is the range logarithmic?


def test_the_share_that_pruning_saved_is_of_all_epochs_that_were_planned(plans):
    plan = plans.search(some_trials(4))
    history = [log_record(epoch) for epoch in (1, 2, 3)]
    results = {
        ("trial-001", 1001): unfinished("pruned", history=history[:1]),
        ("trial-002", 1002): unfinished("pruned", history=history),
        ("trial-003", 1000): unfinished("diverged", history=history[:1]),
    }  # fmt: skip
    planned = 4 * 4  # trials x epochs; what diverged early was not spared
    pruned = plans.summary(results, of=plan)["search"]["pruned"]
    assert pruned == {"trials": 2, "epochs": 3 + 1, "planned": planned, "saved": 4 / planned}


def test_trials_are_measured_by_every_objective_and_cost_is_counted_from_their_settings(plans):
    asked = study(mode="search").search
    several = {"search": type(asked)(**{**vars(asked), "objective": ("linear_cached", "rankme_embeddings", "cost")})}
    plan = plans.search([{"pretrain.epochs": 2}, {"pretrain.epochs": 4}], **several)
    results = {("trial-000", 1000): finished(0.6, rankme=7.0), ("trial-001", 1001): finished(0.7)}
    short, long = plans.summary(results, of=plan)["search"]["trials"]
    assert short["values"]["linear_cached"] == 0.6 and short["values"]["rankme_embeddings"] == 7
    assert long["values"]["cost"] == 2 * short["values"]["cost"] > 0


def test_importances_need_more_trials_and_say_so(plans):
    search = plans.summary({("trial-000", 1000): finished(0.6)}, of=plans.search(some_trials(1)))["search"]
    assert search["importances"] is None
    assert search["importances_reason"] == "importances need at least 20 finished trials, but got 1; search on."


def test_importances_of_parameters_stand_beside_those_of_the_seed_and_of_noise(plans, monkeypatch):
    monkeypatch.setattr(importances, "MOST_FITS", 3)
    monkeypatch.setattr(importances, "MOST_TREES", 16)
    trials = some_trials(24)
    results = {
        (f"trial-{number:03d}", 1000 + number % 3): finished(0.5 + 0.004 * settings["pretrain.lambda"])
        for number, settings in enumerate(trials)
    }
    found = plans.summary(results, of=plans.search(trials))["search"]["importances"]
    assert found["n"] == 24
    rows = {row["label"]: row for row in found["rows"]}
    assert set(rows) == {"pretrain.lambda", "pretrain.mu", "pretrain.optimizer", "seed", "noise"}
    assert found["rows"][0]["label"] == "pretrain.lambda"  # the one that decides stands first
    for evaluator in ("fanova", "ped_anova"):
        assert math.fsum(row[evaluator] for row in found["rows"]) == pytest.approx(1)
        assert rows["pretrain.lambda"][evaluator] > found["floor"][evaluator] >= rows["noise"][evaluator]


def test_other_designs_have_no_search(plans):
    assert plans.summary({})["search"] is None and plans.summary({})["path"] is None


# ---- paths


def test_what_each_change_earned_adds_up_to_the_whole_way(plans):
    plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": None}, {"step-2-mu": 0.71}])
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("step-1-nu", [0.51, 0.62, 0.73]),
        **by_seed("step-2-mu", [0.6, 0.7, 0.83]),
    }  # fmt: skip
    path = plans.summary(results, of=plan)["path"]
    first, second = path["steps"]
    assert (first["arm"], first["change"]) == ("step-1-nu", "ν: 1 → 2")
    assert (second["arm"], second["change"]) == ("step-2-mu", "μ: 25 → 5")
    assert first["gain"]["mean"] == pytest.approx(0.02) and first["total"]["mean"] == first["gain"]["mean"]
    assert second["gain"]["mean"] == pytest.approx(0.09) and second["total"]["mean"] == pytest.approx(0.11)
    assert first["gain"]["mean"] + second["gain"]["mean"] == pytest.approx(second["total"]["mean"])
    assert second["gain"]["p_holm"] == min(1, 2 * second["gain"]["p"])  # the steps are a family
    assert first["alternatives"] == ["ν 1, μ 5: none"] and second["alternatives"] == []
    assert path["note"] == "The path walks to far." and path["to"] == "ν 2, μ 5"


def test_steps_of_a_path_pay_for_looks_as_every_test_does(plans):
    plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": None}, {"step-2-mu": 0.71}])
    results = plans.results({
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("step-1-nu", [0.51, 0.62, 0.73]),
        **by_seed("step-2-mu", [0.6, 0.7, 0.83]),
    }, of=plan)  # fmt: skip
    once, twice = (
        describe_path(changes_of(plan, results.arms), results.arms, results.primary, baseline="base", note="", price=price)
        for price in (1, 2)
    )
    for one, other in zip(once.steps, twice.steps, strict=True):
        assert other.gain.p == one.gain.p and other.gain.p_holm == pytest.approx(min(1, 2 * one.gain.p_holm))
        assert other.gain.high > one.gain.high


def test_a_path_ends_where_its_runs_came_to_no_accuracy(plans):
    plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.6}, {"step-2-mu": None}])
    path = plans.summary({**by_seed("base", [0.5] * 3), **by_seed("step-1-nu", [0.6] * 3)}, of=plan)["path"]
    assert [step["arm"] for step in path["steps"]] == ["step-1-nu"]
    assert path["steps"][0]["alternatives"] == ["ν 1, μ 5: 60.0 %"]
    nothing = plans.summary({}, of=plan)["path"]
    assert nothing["steps"] == [] and nothing["to"] == "ν 1, μ 25"


def test_a_step_of_which_no_seed_ended_on_both_sides_ends_the_path(plans):
    plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.6}, {"step-2-mu": 0.7}])
    results = {("base", 0): finished(0.5), ("base", 1): finished(0.52), ("step-1-nu", 2): finished(0.6)}
    assert plans.summary(results, of=plan)["path"]["steps"] == []


def test_a_grid_may_cross_lists_and_null(plans):
    crossed = [
        Arm(name=f"{len(expander)}-{size}", settings={"pretrain.expander": expander, "pretrain.lr_batch_size": size})
        for expander in ([16], [16, 16])
        for size in (None, 32, 64)
    ]
    results = {}
    for place, arm in enumerate(crossed):
        results |= by_seed(
            arm.name,
            [0.5 + 0.01 * place + 0.01 * seed + 0.002 * (place * seed % 3) for seed in range(3)],
            verdict="complete",
        )
    grid = plans.results(results, asked=study(crossed, mode="grid")).grid
    assert grid.factors == {"pretrain.expander": ([16], [16, 16]), "pretrain.lr_batch_size": (None, 32, 64)}
    assert {effect.term for effect in grid.anova.effects} == {"expander", "lr batch size", "expander x lr batch size"}
