"""The table of settings: a row a setting, whatever studies share it, with its runs inside."""

import dataclasses

from study.overview.settings import group_by_setting, setting_table
from study.results.comparisons import ColumnSummary, Difference
from tests.study.comparison.sides import PROBE, RECIPE, arm, results, run, seeds

WEIGHTS = {"pretrain.lambda": 25, "pretrain.mu": 25, "pretrain.nu": 1}


def with_accuracy(one, *, gain=None):
    """An arm with the summary of its runs' accuracies."""
    tops = [run.test_top1(PROBE) for run in one.runs if run.status == "finished"]
    mean = sum(tops) / len(tops)
    column = ColumnSummary(n=len(tops), mean=mean, sd=0.01 if len(tops) > 1 else None, difference=None, gain=gain)
    return dataclasses.replace(one, summary={PROBE: column, f"validation_{PROBE}": column})


def measured(name, settings, accuracies, **named):
    return with_accuracy(arm(name, settings, seeds(accuracies, **named)))


def study(*arms, **changes):
    return results(*arms, recipe={**RECIPE, **WEIGHTS}, **changes)


def rows_of(*studies):
    return setting_table(studies)["rows"]


def test_a_setting_shared_by_studies_has_one_row_with_each_run_once():
    one = study(measured("x", WEIGHTS, [0.5, 0.6]))
    other = study(measured("baseline", {"pretrain.nu": 1.0}, [0.5, 0.6, 0.7]), study="other")
    (row,) = rows_of(one, other)
    assert (row["studies"], row["seeds"], row["test"]["text"]) == (["s", "other"], "3", "60.0 ± 1.0")
    assert [run["seed"] for run in row["runs"]] == ["0", "1", "2"]


def test_other_code_or_other_data_make_another_setting():
    one = study(measured("x", WEIGHTS, [0.5]))
    for changes in (
        {"data": dataclasses.replace(one.data, digest="sha256:2")},
        {"identity": dataclasses.replace(one.identity, code="2")},
    ):
        other = study(measured("x", WEIGHTS, [0.6]), study="other", **changes)
        assert len(group_by_setting([one, other])) == 2


def test_untrained_networks_of_several_recipes_that_share_their_runs_are_one_setting_without_weights():
    control = [run(0, 0.3)]
    one = study(arm("untrained", {"pretrain.epochs": 0}, control, is_control=True), measured("x", WEIGHTS, [0.5]))
    other = study(
        arm("untrained", {"pretrain.epochs": 0, "pretrain.nu": 2}, control, is_control=True), study="other",
    )  # fmt: skip
    rows = rows_of(one, other)
    (shown,) = [row for row in rows if row["is_control"]]
    assert shown["label"] == "untrained" and [one["text"] for one in shown["numbers"]] == ["0", "–", "–", "–"]
    assert shown["runs"][0]["badge"]["name"] == "untrained" and shown["gain"]["text"] == "control"


def test_untrained_networks_that_share_no_run_are_two_settings_whatever_their_settings_say():
    controls = [
        arm(name, {"pretrain.epochs": 0}, [run(0, accuracy)], is_control=True)
        for name, accuracy in (("untrained", 0.3), ("untrained 3x3", 0.2))
    ]
    assert [row["label"] for row in rows_of(study(*controls))] == ["untrained", "untrained 3x3"]


def test_groups_that_a_later_arm_connects_become_one():
    first, second = run(0, 0.3), run(1, 0.4)
    arms = [arm("a", {"pretrain.nu": 2}, [first]), arm("b", {"pretrain.nu": 3}, [second])]
    both = arm("c", {"pretrain.nu": 4}, [first, second])
    assert [len(group) for group in group_by_setting([study(*arms, both)])] == [3]
    assert [len(group) for group in group_by_setting([study(*arms, both, arms[1])])] == [4]


def test_epochs_and_weights_are_columns_with_numbers_to_sort_by():
    table = setting_table(
        [study(measured("x", {"pretrain.lambda": 100}, [0.5]), measured("y", {"pretrain.nu": 0.5}, [0.6]))]
    )
    assert table["columns"] == ["Epochs", "λ", "μ", "ν"]
    assert [[one["value"] for one in row["numbers"]] for row in table["rows"]] == [[3, 25, 25, 0.5], [3, 100, 25, 1]]
    assert [row["label"] for row in table["rows"]] == ["λ 25, μ 25, ν 0.5", "λ 100, μ 25, ν 1"]
    assert [row["test"]["value"] for row in table["rows"]] == [60.0, 50.0]


def test_a_method_without_these_weights_has_no_columns_of_them():
    recipe = {"pretrain.epochs": 3, "pretrain.temperature": 0.1}
    one = results(measured("x", {}, [0.5]), measured("y", {"pretrain.temperature": 0.2}, [0.6]), recipe=recipe)
    table = setting_table([one])
    assert table["columns"] == ["Epochs"]
    assert [row["label"] for row in table["rows"]] == ["τ 0.2", "as most settings"]


def test_what_differs_beside_the_weights_is_named_but_not_a_warm_up_that_goes_with_the_epochs():
    recipe = {**RECIPE, **WEIGHTS, "pretrain.warmup_epochs": 1}
    long = {"pretrain.epochs": 20, "pretrain.warmup_epochs": 2}
    arms = (
        measured("x", {}, [0.5]), measured("y", {"pretrain.nu": 2}, [0.6]), measured("long", long, [0.7]),
        measured("odd", {"pretrain.convention": "equation"}, [0.4]),
    )  # fmt: skip
    rows = setting_table([results(*arms, recipe={**recipe, "pretrain.convention": "official"})])["rows"]
    assert [(row["label"], row["others"]) for row in rows] == [
        ("λ 25, μ 25, ν 1", ""), ("λ 25, μ 25, ν 2", ""), ("λ 25, μ 25, ν 1", ""),
        ("λ 25, μ 25, ν 1", "convention equation"),
    ]  # fmt: skip


def test_a_trial_of_a_searchs_best_setting_is_listed_and_is_no_part_of_the_mean():
    trial = dataclasses.replace(measured("trial-000", {"pretrain.nu": 2}, [0.99], rank=3.0), role="trial")
    best = measured("best", {"pretrain.nu": 2}, [0.5, 0.6])
    (row,) = rows_of(study(trial, best))
    assert (row["seeds"], row["test"]["text"]) == ("2", "55.0 ± 1.0")
    assert [run["tried"] for run in row["runs"]] == [False, False, True]


def test_settings_that_were_only_tried_stand_last_and_those_without_accuracy_last_among_their_like():
    trial = dataclasses.replace(measured("trial-000", {"pretrain.nu": 3}, [0.99]), role="trial")
    pruned = arm("trial-001", {"pretrain.nu": 4}, [run(0, None, status="pruned")], collapse_type="pruned")
    killed = arm("k", {"pretrain.nu": 5}, [run(0, None, status="killed", rank=2.0)], collapse_type="killed")
    named = measured("x", {}, [0.5]), measured("y", {"pretrain.nu": 2}, [0.6])
    rows = rows_of(study(trial, dataclasses.replace(pruned, role="trial"), killed, *named))
    assert [row["label"][-3:] for row in rows] == ["ν 2", "ν 1", "ν 5", "ν 3", "ν 4"]
    assert rows[-1]["collapse_type"]["name"] == rows[-1]["runs"][0]["badge"]["name"] == "stopped early"
    assert rows[2]["test"] == {"text": "–", "value": None} and rows[2]["seeds"] == "0"


def test_the_collapse_types_of_seeds_that_differ_are_counted_and_a_borderline_is_said():
    one = measured("x", WEIGHTS, [0.5, 0.6])
    kind = dataclasses.replace(one.collapse_type, counts={"healthy": 1, "complete": 1}, borderline="std 0.098, near 0.1")
    (row,) = rows_of(study(dataclasses.replace(one, collapse_type=kind)))
    assert row["collapse_type"]["counts"] == "1 healthy, 1 complete" and row["borderline"] == "std 0.098, near 0.1"


def test_the_gain_over_the_untrained_network_is_that_of_the_study():
    gain = Difference(n=3, mean=0.055, low=0.01, high=0.1, p=0.03, detail=None, adjusted=None)
    (row,) = rows_of(study(with_accuracy(arm("x", WEIGHTS, seeds([0.5, 0.6, 0.7])), gain=gain)))
    assert row["gain"]["text"].startswith("+5.5") and row["gain_value"] == 100 * 0.055
    assert row["gain"]["interval"] == "[+1.0, +10.0]"


def test_three_hundred_runs_of_a_hundred_settings_have_a_row_a_setting():
    arms = [measured(f"arm-{i}", {"pretrain.nu": i}, [0.5 + i / 1000] * 3, rank=i) for i in range(100)]
    rows = rows_of(study(*arms))
    assert len(rows) == 100 and all(len(row["runs"]) == 3 for row in rows)
