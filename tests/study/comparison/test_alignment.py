"""Which arms of two results belong together, and which of their runs are the same."""

import dataclasses

import pytest

from study.comparison.alignment import Pair, align, canonical, has_equal_results
from study.results.runs import ProbeAccuracy
from tests.study.comparison.sides import PROBE, RECIPE, arm, results, run


def matches(a, b):
    return [(pair.a.name if pair.a else None, pair.b.name if pair.b else None, pair.by) for pair in align(a, b)]


def test_equal_settings_go_before_an_equal_name():
    a = results(arm("x", {"pretrain.mu": 1}, []), arm("y", {"pretrain.mu": 2}, []))
    b = results(arm("x", {"pretrain.mu": 2}, []), arm("z", {"pretrain.mu": 1}, []))
    assert matches(a, b) == [("y", "x", "settings"), ("x", "z", "settings")]


def test_a_setting_that_repeats_the_recipe_changes_no_arm():
    a, b = results(arm("x", {"pretrain.mu": 25.0}, [])), results(arm("y", {}, []))
    assert matches(a, b) == [("x", "y", "settings")]


def test_where_the_recipe_changed_arms_are_found_by_name_and_else_by_their_differences_from_it():
    arms = {"pretrain.nu": 2}, {"pretrain.nu": 3}
    a = results(arm("x", arms[0], []), arm("old", arms[1], []))
    b = results(arm("x", arms[0], []), arm("new", arms[1], []), recipe={**RECIPE, "pretrain.epochs": 9})
    assert matches(a, b) == [("x", "x", "name"), ("old", "new", "differences from the recipe")]


def test_controls_are_found_by_name_alone_since_their_settings_do_not_tell_architectures_apart():
    def control(name):
        return arm(name, {"pretrain.epochs": 0}, [], is_control=True)

    a = results(control("untrained"), control("untrained-resnet34"))
    b = results(control("untrained-resnet34"), control("untrained-resnet50"))
    assert matches(a, b) == [
        ("untrained-resnet34", "untrained-resnet34", "name and settings"),
        (None, "untrained-resnet50", None),
        ("untrained", None, None),
    ]


def test_an_arm_is_never_found_twice():
    a = results(arm("x", {}, []))
    b = results(arm("x", {}, []), arm("y", {}, []))
    assert matches(a, b) == [("x", "x", "name and settings"), (None, "y", None)]


def test_a_side_without_the_arm_has_no_runs():
    assert Pair(a=None, b=arm("x", {}, [run(0, 0.5)])).runs() == ({}, {0: run(0, 0.5)})


def test_results_are_equal_though_one_side_records_more_and_not_where_a_number_differs():
    one = run(0, 0.5)
    more = dataclasses.replace(one, digest="other", test={PROBE: ProbeAccuracy(top1=0.5, correct="ff")})
    assert has_equal_results(one, more) and has_equal_results(more, one)
    longer = dataclasses.replace(one, history=(*one.history, *one.history))
    for other in (run(0, 0.5 + 1e-12), run(0, 0.5, rank=10.1), run(0, 0.5, collapse_type="complete"), longer):
        assert not has_equal_results(one, other)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (float("nan"), float("nan")), ({"a": [1]}, {"a": (1.0,)})])
def test_equal_values_have_one_canonical_text(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (None, 0), ([1, 2], [2, 1])])
def test_other_values_have_another(one, other):
    assert canonical(one) != canonical(other)
