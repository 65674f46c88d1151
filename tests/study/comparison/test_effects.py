"""What difference a change made, arm by arm and over the healthy arms together."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from study.analysis.multiple_testing import holm
from study.analysis.unpaired import unpaired_difference
from study.comparison.alignment import Pair, align
from study.comparison.effects import EQUIVALENT, UNDECIDED, effects, overall, rank_change
from tests.study.comparison.sides import DATA, PROBE, arm, results, run, seeds


def effects_of(a, b):
    return effects(align(a, b), a, b, probe=PROBE, margin=0.01)


def test_p_values_are_adjusted_over_the_arms_that_are_tested():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(0.8, 0.02, 4).tolist(), rng.normal(0.8, 0.02, 4).tolist()) for _ in range(3)]
    same = arm("same", {"pretrain.nu": 9}, seeds([0.5, 0.6, 0.7]))
    a, b = (
        results(*(arm(f"x{i}", {"pretrain.nu": i}, seeds(pair[side])) for i, pair in enumerate(pairs)), same)
        for side in (0, 1)
    )
    found = effects_of(a, b)
    raw = [stats.ttest_rel(other, one).pvalue for one, other in pairs]
    assert [effect.p_holm for effect in found[:3]] == pytest.approx(holm(raw)) and found[3].p_holm is None


def test_healthy_arms_together_show_a_change_that_no_arm_shows():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.004, (8, 3))
    a = results(*(arm(f"x{i}", {"pretrain.nu": i}, seeds([0.9, 0.9, 0.9])) for i in range(8)))
    b = results(*(arm(f"x{i}", {"pretrain.nu": i}, seeds((0.905 + own).tolist())) for i, own in enumerate(noise)))
    found = effects_of(a, b)
    told = overall(list(zip(align(a, b), found)), margin=0.01)
    expected = stats.ttest_1samp(0.005 + noise.mean(axis=0), 0)
    assert told.arms == 8 and told.interval.p == pytest.approx(expected.pvalue)
    assert all(effect.p_holm > 0.05 for effect in found)
    complete = dataclasses.replace(b.arms[0].collapse_type, name="complete")
    collapsed = results(*(dataclasses.replace(one, collapse_type=complete) for one in b.arms))
    assert overall(list(zip(align(a, collapsed), found)), margin=0.01) is None


def test_seeds_are_not_paired_on_different_data():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])))
    b = results(arm("x", {}, seeds([0.52, 0.62, 0.73, 0.7])), data=dataclasses.replace(DATA, digest="sha256:2"))
    (effect,) = effects_of(a, b)
    assert not effect.paired and (len(effect.a), len(effect.b)) == (3, 4)
    assert effect.interval.mean == pytest.approx(0.6425 - 0.6)


def test_on_different_data_each_side_has_the_error_of_its_own_images_and_the_margin_decides():
    of_a, of_b = [0.5, 0.51, 0.52], [0.9, 0.905, 0.91]
    a = results(arm("x", {}, seeds(of_a)))
    few = dataclasses.replace(DATA, digest="sha256:2", test=40)
    b = results(arm("x", {}, seeds(of_b)), data=few)
    expected, close = unpaired_difference(of_b, of_a, images=(40, 400), margin=0.01)
    swapped, _ = unpaired_difference(of_b, of_a, images=(400, 40), margin=0.01)
    (effect,) = effects_of(a, b)
    assert effect.interval == expected != swapped and effect.equivalence == close
    near = results(arm("x", {}, seeds([0.501, 0.512, 0.519])), data=few)
    (effect,) = effects_of(a, near)
    bound = max(-effect.equivalence.low, effect.equivalence.high)
    for margin, conclusion in ((1.001 * bound, EQUIVALENT), (0.999 * bound, UNDECIDED)):
        (effect,) = effects(align(a, near), a, near, probe=PROBE, margin=margin)
        assert effect.conclusion == conclusion and effect.equivalence.margin == margin


def test_a_rank_is_compared_over_the_seeds_that_both_have():
    a = arm("x", {}, [run(0, 0.5, rank=10.0), run(1, 0.5, rank=12.0), run(2, 0.5, rank=99.0)])
    b = arm("x", {}, [run(0, 0.5, rank=11.0), run(1, 0.5, rank=15.0)])
    before, after, interval = rank_change(Pair(a=a, b=b), "embeddings", seeds=[0, 1])
    assert (before, after, interval.mean, interval.n) == (11.0, 13.0, 2.0, 2)
    assert rank_change(Pair(a=a, b=b), "embeddings", seeds=[]) is None
    assert rank_change(Pair(a=a, b=b), "embeddings", seeds=[0, 2]) is None
