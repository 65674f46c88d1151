"""Analyses of variance that numpy's sums of squares give by hand, and grids with holes."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.anova import anova
from study.analysis.intervals import paired_difference
from vicreg.errors import InputError

LEVELS = {"lambda_": (1, 5, 25), "mu": (0.0, 25.0)}


def runs(table, factors):
    """One run an entry of a table (levels of each factor ..., seeds)."""
    levels = [LEVELS[factor] for factor in factors]
    return [
        {**dict(zip(factors, chosen, strict=True)), "seed": seed, "accuracy": float(table[place][seed])}
        for place, chosen in zip(np.ndindex(table.shape[:-1]), itertools.product(*levels), strict=True)
        for seed in range(table.shape[-1])
    ]


def analyse(cells, factors, **options):
    found = anova(cells, factors=factors, response="accuracy", **options)
    return found, {effect.term: effect for effect in found.effects}


def test_true_and_the_word_are_two_levels_and_25_and_25_point_0_are_one():
    values = [0.5, 0.7, 0.6, 0.9, 0.55, 0.72]
    cells = [
        {"kind": kind, "weight": weight, "seed": seed, "accuracy": values[2 * seed + place]}
        for seed in range(3) for place, (kind, weight) in enumerate(((True, 25), ("True", 25.0)))
    ]  # fmt: skip
    _, effects = analyse(cells, ["kind"])
    assert effects["kind"].df == 1
    with pytest.raises(InputError, match="a factor must have at least 2 levels, but weight has one"):
        analyse(cells, ["weight"])


@pytest.fixture
def table():
    """(3, 2, 4): two factors and four seeds, with an effect of each, of both, and of the seed."""
    rng = np.random.default_rng(0)
    own = np.array([0.0, 1.0, 3.0])[:, None, None] + np.array([0.0, 2.0])[:, None] + np.array([0.0, 5.0, -5.0, 1.0])
    own[2, 1] += 2
    return own + rng.normal(0, 1, (3, 2, 4))


def test_a_balanced_two_way_table_is_the_one_computed_by_hand(table):
    (a, b, seeds), mean = table.shape, table.mean()
    by_a, by_b, by_seed, by_cell = table.mean((1, 2)), table.mean((0, 2)), table.mean((0, 1)), table.mean(2)
    squares = {
        "lambda_": b * seeds * ((by_a - mean) ** 2).sum(),
        "mu": a * seeds * ((by_b - mean) ** 2).sum(),
        "lambda_ x mu": seeds * ((by_cell - by_a[:, None] - by_b + mean) ** 2).sum(),
    }
    block, total = a * b * ((by_seed - mean) ** 2).sum(), ((table - mean) ** 2).sum()
    error = total - block - sum(squares.values())
    left = (a * b - 1) * (seeds - 1)
    found, effects = analyse(runs(table, ["lambda_", "mu"]), ["lambda_", "mu"])
    assert (found.n, found.residual_df, found.dropped) == (24, left, ())
    assert found.residual_mean_square == pytest.approx(error / left)
    assert {term: effect.sum_of_squares for term, effect in effects.items()} == pytest.approx(squares)
    assert {term: effect.df for term, effect in effects.items()} == {"lambda_": 2, "mu": 1, "lambda_ x mu": 2}
    assert (found.block.term, found.block.df, found.block.sum_of_squares) == ("seed", 3, pytest.approx(block))
    for effect in effects.values():
        f = effect.sum_of_squares / effect.df / (error / left)
        assert (effect.f, effect.p) == pytest.approx((f, stats.f.sf(f, effect.df, left)))
        assert effect.partial_eta_squared == pytest.approx(effect.sum_of_squares / (effect.sum_of_squares + error))
        omega = (effect.sum_of_squares - effect.df * error / left) / (total + error / left)
        assert effect.omega_squared == pytest.approx(omega)


def test_a_three_way_interaction_is_the_contrast_of_contrasts():
    rng = np.random.default_rng(1)
    table = rng.normal(0, 1, (2, 2, 2, 3))
    signs = np.array([-1, 1])
    contrast = np.einsum("ijks,i,j,k->", table, signs, signs, signs)
    cells = [
        {**dict(zip("abc", place[:3])), "seed": place[3], "accuracy": table[place]} for place in np.ndindex(table.shape)
    ]
    found, effects = analyse(cells, ["a", "b", "c"])
    assert list(effects) == ["a", "b", "c", "a x b", "a x c", "b x c", "a x b x c"]
    assert effects["a x b x c"].sum_of_squares == pytest.approx(contrast**2 / table.size)
    assert effects["a x c"].sum_of_squares == pytest.approx(np.einsum("ijks,i,k->", table, signs, signs) ** 2 / table.size)
    assert found.residual_df == 7 * 2


def test_one_factor_of_two_levels_is_the_paired_t_test():
    rng = np.random.default_rng(2)
    table = rng.normal(0, 1, (2, 6)) + rng.normal(0, 5, 6)
    _, effects = analyse(runs(table, ["mu"]), ["mu"])
    interval = paired_difference(table[1].tolist(), table[0].tolist())
    t = interval.mean / (np.std(table[1] - table[0], ddof=1) / math.sqrt(6))
    assert (effects["mu"].f, effects["mu"].p) == pytest.approx((t**2, interval.p))


def test_what_a_seed_does_alike_everywhere_changes_no_effect(table):
    shifted = table + np.array([100.0, -50.0, 7.0, 0.0])
    there, here = (analyse(runs(values, ["lambda_", "mu"]), ["lambda_", "mu"])[0] for values in (table, shifted))
    for one, other in zip(there.effects, here.effects, strict=True):
        assert (one.sum_of_squares, one.f, one.p) == pytest.approx((other.sum_of_squares, other.f, other.p))


def test_without_blocks_the_seeds_spread_is_error(table):
    cells = runs(table, ["lambda_", "mu"])
    blocked, plain = analyse(cells, ["lambda_", "mu"])[0], analyse(cells, ["lambda_", "mu"], block=None)[0]
    assert plain.block is None and plain.residual_df == blocked.residual_df + 3
    error = blocked.residual_mean_square * blocked.residual_df + blocked.block.sum_of_squares
    assert plain.residual_mean_square * plain.residual_df == pytest.approx(error)


def test_levels_are_categories_whatever_their_numbers_are(table):
    cells = runs(table, ["lambda_", "mu"])
    renamed = [{**cell, "lambda_": {1: "x", 5: -3.5, 25: True}[cell["lambda_"]]} for cell in cells]
    as_floats = [{**cell, "lambda_": float(cell["lambda_"]) if cell["seed"] else cell["lambda_"]} for cell in cells]
    expected = analyse(cells, ["lambda_", "mu"])[0]
    for others in (renamed, as_floats):
        for one, other in zip(expected.effects, analyse(others, ["lambda_", "mu"])[0].effects, strict=True):
            assert (one.term, one.df, one.f) == (other.term, other.df, pytest.approx(other.f))


def left_over(columns, y):
    """The sum of squares that a least-squares fit of some columns leaves."""
    matrix = np.column_stack([np.ones(len(y)), *columns])
    return float(((y - matrix @ np.linalg.lstsq(matrix, y)[0]) ** 2).sum())


def test_with_runs_missing_a_sum_of_squares_is_what_a_term_adds_to_all_that_do_not_contain_it(table):
    cells = [cell for place, cell in enumerate(runs(table, ["lambda_", "mu"])) if place not in (0, 9, 10)]
    y = np.array([cell["accuracy"] for cell in cells])
    a = [np.array([cell["lambda_"] == level for cell in cells], float) for level in (5, 25)]
    b = [np.array([cell["mu"] == 25 for cell in cells], float)]
    seeds = [np.array([cell["seed"] == seed for cell in cells], float) for seed in (1, 2, 3)]
    both = [one * b[0] for one in a]
    found, effects = analyse(cells, ["lambda_", "mu"])
    assert effects["lambda_"].sum_of_squares == pytest.approx(left_over([*seeds, *b], y) - left_over([*seeds, *a, *b], y))
    whole = left_over([*seeds, *a, *b, *both], y)
    assert effects["lambda_ x mu"].sum_of_squares == pytest.approx(left_over([*seeds, *a, *b], y) - whole)
    assert (found.n, found.residual_df) == (21, 21 - 1 - 3 - 5)
    assert found.residual_mean_square == pytest.approx(whole / found.residual_df)


def test_a_missing_cell_drops_the_interaction_it_belongs_to_and_says_so(table):
    cells = [cell for cell in runs(table, ["lambda_", "mu"]) if (cell["lambda_"], cell["mu"]) != (1, 0.0)]
    found, effects = analyse(cells, ["lambda_", "mu"])
    assert found.dropped == ("lambda_ x mu",)
    assert list(effects) == ["lambda_", "mu"]
    assert found.residual_df == 20 - 1 - 3 - 3


def test_half_of_a_design_leaves_no_interaction_that_could_be_told_from_a_factor():
    rng = np.random.default_rng(3)
    half = [(i, j, k) for i, j, k in np.ndindex(2, 2, 2) if (i + j + k) % 2 == 0]  # every pair of levels is there
    cells = [{"a": i, "b": j, "c": k, "seed": s, "accuracy": rng.normal()} for i, j, k in half for s in range(3)]
    found, effects = analyse(cells, ["a", "b", "c"])
    assert list(effects) == ["a", "b", "c"]
    assert found.dropped == ("a x b", "a x c", "b x c", "a x b x c")


@pytest.mark.slow
def test_a_factor_without_effect_is_significant_as_often_as_five_percent_says():
    rng = np.random.default_rng(4)
    cells = [{"a": i, "b": j, "seed": s} for i, j, s in np.ndindex(2, 2, 3)]
    repeats = 200
    found = 0
    for _ in range(repeats):
        drawn = [{**cell, "accuracy": value} for cell, value in zip(cells, rng.normal(size=12).tolist(), strict=True)]
        found += analyse(drawn, ["a", "b"])[1]["a x b"].p < 0.05
    assert found / repeats == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / repeats))


def test_one_seed_leaves_nothing_to_estimate_an_error_from(table):
    cells = [cell for cell in runs(table, ["lambda_", "mu"]) if cell["seed"] == 0]
    with pytest.raises(InputError, match="6 runs leave none; add seeds"):
        anova(cells, factors=["lambda_", "mu"], response="accuracy")


def test_a_table_that_is_fitted_exactly_is_no_proof_of_anything(table):
    exact = np.broadcast_to(table.mean(2, keepdims=True), table.shape)
    with pytest.raises(InputError, match="fits every run exactly"):
        anova(runs(exact, ["lambda_", "mu"]), factors=["lambda_", "mu"], response="accuracy")


def test_factors_that_always_change_together_are_refused(table):
    cells = [{**cell, "stem": "cifar" if cell["mu"] else "imagenet"} for cell in runs(table, ["lambda_", "mu"])]
    with pytest.raises(InputError, match="mu, stem cannot be told apart"):
        anova(cells, factors=["lambda_", "mu", "stem"], response="accuracy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 0.1}, "the same in all 24 runs"),
        ({"accuracy": math.nan}, "must be finite"),
        ({"mu": 1}, "mu has one"),
    ],
)
def test_what_cannot_be_analysed_is_refused(table, change, message):
    cells = [{**cell, **change} for cell in runs(table, ["lambda_", "mu"])]
    with pytest.raises(InputError, match=message):
        anova(cells, factors=["lambda_", "mu"], response="accuracy")


def test_keys_and_numbers_of_factors_are_checked(table):
    cells = runs(table, ["lambda_", "mu"])
    with pytest.raises(InputError, match="one has no nu"):
        anova(cells, factors=["lambda_", "nu"], response="accuracy")
    for factors in ([], ["lambda_", "mu", "a", "b"]):
        with pytest.raises(InputError, match=f"1 to 3, but got {len(factors)}"):
            anova(cells, factors=factors, response="accuracy")
    with pytest.raises(InputError):
        anova([], factors=["mu"], response="accuracy")
