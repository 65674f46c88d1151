"""What a study decides of its arms: classes, one family of tests, and the price of looks."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from study.analysis.arms import compare_arms
from study.analysis.decisions import arm_class
from study.analysis.equivalence import equivalence
from study.analysis.intervals import paired_difference
from study.analysis.moderated import moderated_differences
from study.analysis.multiple_testing import holm
from study.results.comparisons import Outcomes
from study.results.runs import CollapseMetrics, CollapseType, ProbeAccuracy, RunResults
from study.results.schema import ArmCollapseType, ArmResults
from tests.study.made_up import SPACE, SPACES

PROBE = "linear_cached"


def run(seed, accuracy=None, *, kind="healthy", status="finished"):
    measured = {} if accuracy is None else {PROBE: ProbeAccuracy(top1=accuracy)}
    return RunResults(
        seed=seed, digest=f"{kind}-{status}-{accuracy}-{seed}", status=status, history=(), validation=measured,
        test=measured, collapse=dict.fromkeys(SPACES, CollapseMetrics(**SPACE)),
        collapse_type=CollapseType(name=kind, reason="") if accuracy is not None and kind else None,
    )  # fmt: skip


def arm(name, runs, *, role="arm", is_baseline=False, control=None):
    return ArmResults(
        name=name, label=name, role=role, is_baseline=is_baseline, is_control=role == "control", settings={}, command="",
        summary={}, collapse_type=ArmCollapseType(name="healthy", reason=""), runs=tuple(runs), control=control,
    )  # fmt: skip


def arms_of(accuracies, kinds=None, **named):
    """Arms of accuracies by seed, `base` first; `kinds` maps an arm to its collapse type."""
    return [
        arm(
            name,
            [run(seed, value, kind=(kinds or {}).get(name, "healthy")) for seed, value in enumerate(values)],
            is_baseline=name == "base",
            **named,
        )
        for name, values in accuracies.items()
    ]


def compared(arms, *, margin=0.01, price=1):
    found = compare_arms(arms, baseline="base", primary=PROBE, test_images=100, margin=margin, price=price)
    return {one.name: one.summary[PROBE] for one in found if PROBE in one.summary}


def drawn(seed=0, arms=6, n=4):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.9, 0.01, n).tolist() for name in ("base", *(f"arm-{place}" for place in range(1, arms)))}


# ---- classes


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(0, 0.9), run(1, 0.8)], "healthy"),
        ([run(0, 0.9, kind="dimensional"), run(1, 0.1, kind="complete")], "collapsed"),
        ([run(0, 0.9), run(1, 0.1, kind="complete")], "mixed"),
        ([run(0, 0.9), run(1, status="diverged")], "mixed"),
        ([run(0, 0.9, kind="undetermined")], "mixed"),
        ([run(0, 0.9), run(1, status="killed"), run(2, status="missing"), run(3, status="failed")], "healthy"),
        ([run(0, 0.1, kind="complete"), run(1, status="pruned")], "collapsed"),
        ([run(0, status="missing")], "mixed"),
    ],
)
def test_an_arm_is_of_the_class_that_all_of_its_runs_that_ended_are_of(runs, expected):
    assert arm_class(arm("one", runs)) == expected


# ---- the test of the primary accuracy


def test_primary_differences_are_moderated_over_the_compared_arms_and_one_family_of_holm():
    accuracies = drawn()
    kinds = {"arm-4": "complete", "arm-5": "dimensional"}
    columns = compared(arms_of(accuracies, kinds))
    classes = {name: "collapsed" if name in kinds else "healthy" for name in accuracies}
    expected = moderated_differences(
        {name: dict(enumerate(values)) for name, values in accuracies.items()}, classes, baseline="base"
    )
    assert columns["base"].difference is None
    p_holm = dict(zip(expected, holm([one.p for one in expected.values()]), strict=True))
    for name, one in expected.items():
        difference = columns[name].difference
        assert (difference.mean, difference.low, difference.high, difference.p) == (one.mean, one.low, one.high, one.p)
        assert (difference.detail.spread, difference.detail.freedom) == (one.sd, one.df)
        assert difference.detail.moderated is (name not in kinds)  # of collapsed arms there are but two
        assert difference.p_holm == p_holm[name]
        t = one.mean / (one.sd * np.sqrt(1 + 1 / 4))
        assert difference.detail.probability_better == pytest.approx(stats.t.cdf(t, one.df))


def test_trials_controls_and_the_baseline_by_another_name_are_no_tests_and_teach_nothing_of_spreads():
    arms = arms_of(drawn())
    noisy = [run(seed, value) for seed, value in enumerate((0.1, 0.9, 0.3, 0.5))]
    others = [
        arm("trial-000", noisy, role="trial"),
        arm("untrained", noisy, role="control"),
        dataclasses.replace(arms[0], name="again", is_baseline=False),
    ]
    alone, among = compared(arms), compared([*arms, *others])
    for name in alone:
        assert among[name].difference == alone[name].difference
    for name in ("trial-000", "untrained", "again"):
        assert among[name].difference.adjusted is None and among[name].difference.detail.moderated is not True


def test_two_arms_of_the_same_runs_are_one_test_and_teach_once():
    arms = arms_of(drawn())
    alone, both = compared(arms), compared([*arms, dataclasses.replace(arms[3], name="step", role="step")])
    assert both["step"].difference == both["arm-3"].difference == alone["arm-3"].difference
    assert both["arm-1"].difference == alone["arm-1"].difference


def test_the_baselines_gain_is_tested_first_and_the_other_gains_after_it_by_holm():
    arms = [dataclasses.replace(one, control="untrained") for one in arms_of(drawn(2))]
    control = [0.91, 0.89, 0.88, 0.9]
    arms.append(arm("untrained", [run(seed, value) for seed, value in enumerate(control)], role="control"))
    columns = compared(arms)
    expected = {name: paired_difference(values, control) for name, values in drawn(2).items()}
    gate = expected["base"].p
    others = dict(zip(expected, [gate, *holm([one.p for name, one in expected.items() if name != "base"])], strict=True))
    for name, one in expected.items():
        p = gate if name == "base" else max(gate, others[name])
        gain = columns[name].gain
        assert (gain.mean, gain.low, gain.high, gain.p, gain.p_holm) == (one.mean, one.low, one.high, one.p, p)
        assert gain.decision is None and gain.detail.moderated is False and gain.detail.freedom == 3


def test_looks_multiply_p_values_and_widen_every_interval_of_the_primary_accuracy():
    accuracies = drawn(4)
    arms = [dataclasses.replace(one, control="untrained") for one in arms_of(accuracies)]
    arms.append(arm("untrained", [run(seed, 0.5 + 0.01 * seed**2) for seed in range(4)], role="control"))
    once, thrice = compared(arms), compared(arms, price=3)
    for name in accuracies:
        for kind in ("difference", "gain"):
            one, other = getattr(once[name], kind), getattr(thrice[name], kind)
            if one is None:
                continue
            assert (other.mean, other.p, other.detail) == (one.mean, one.p, one.detail)
            assert other.p_holm == pytest.approx(min(1, 3 * one.p_holm))
            narrow, wide = (stats.t.ppf(1 - 0.025 / price, one.detail.freedom) for price in (1, 3))
            assert other.high - other.mean == pytest.approx((one.high - one.mean) * wide / narrow)


def test_an_arm_is_better_worse_equivalent_or_undecided():
    base = [0.900, 0.905, 0.895, 0.900]
    wobble = ([0.001, -0.001, 0.0005, -0.0005], [-0.001, 0.001, -0.0005, 0.0005], [0.0, 0.001, -0.001, 0.0])
    shifts = {"up": 0.05, "down": -0.05, "same": 0.0005}
    accuracies = {"base": base} | {
        name: [value + shift + own for value, own in zip(base, wobble[place], strict=True)]
        for place, (name, shift) in enumerate(shifts.items())
    }
    accuracies["vague"] = [0.93, 0.86, 0.91, 0.88]
    kinds = {"vague": "mixed"}
    decided = {
        name: column.difference.decision
        for name, column in compared(arms_of(accuracies, kinds)).items()
        if column.difference
    }
    assert decided == {"up": "better", "down": "worse", "same": "equivalent", "vague": "undecided"}
    # the price of looks is paid by equivalence as well
    margin = 1.001 * equivalence(accuracies["same"], base, margin=1).largest
    lonely = arms_of({name: accuracies[name] for name in ("base", "same")})
    assert compared(lonely, margin=margin)["same"].difference.decision == "equivalent"
    assert compared(lonely, margin=margin, price=2)["same"].difference.decision == "undecided"


def test_equivalence_is_tested_on_the_moderated_error():
    accuracies = drawn(7, arms=5)
    detail = {name: column.difference for name, column in compared(arms_of(accuracies)).items() if column.difference}
    name, one = next((name, one) for name, one in detail.items() if one.detail.moderated and one.p_holm > 0.05)
    half = stats.t.ppf(0.95, one.detail.freedom) * one.detail.spread / 2  # of four seeds
    for factor, expected in ((1.0001, "equivalent"), (0.9999, "undecided")):
        found = compared(arms_of(accuracies), margin=factor * (abs(one.mean) + half))
        assert found[name].difference.decision == expected


def test_an_arm_of_two_seeds_is_undecided_and_without_a_baseline_nothing_is_compared():
    arms = arms_of({"base": [0.5, 0.6, 0.7], "short": [0.5, 0.6]})
    short = compared(arms)["short"].difference
    assert (short.p_holm, short.decision, short.detail.spread) == (None, "undecided", None)
    lost = [dataclasses.replace(arms[0], runs=(run(0, status="missing"),)), arms[1]]
    assert compared(lost)["short"].difference is None
    found = compare_arms(lost, baseline="base", primary=PROBE, test_images=9, margin=0.01)
    assert [one.outcomes for one in found][1] == Outcomes(
        asked=2, counts={"healthy": 2}, collapsed=0, low=0.0, high=pytest.approx(0.6576, abs=1e-3)
    )
