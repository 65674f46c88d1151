"""Analysis of variance of a grid: which factors explain an outcome.

A study runs the same seeds in every cell, so seeds are the blocks of a randomised complete block design (Fisher, The Design
of Experiments, 1935). What a seed does alike in all cells is taken out of the error, and interactions with it are the error.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vicreg.errors import InputError

MOST_FACTORS = 3  # the interaction of four has no reading, and as many degrees of freedom as the grid has cells
NO_ERROR = 1e-20  # share of the total sum of squares: rounding leaves some (1e-16)^2 where the model fits exactly

Term = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of the table; `term` joins the names of an interaction's factors with " x ".

    Sums of squares are of type II: what a term explains beyond all terms that do not contain it. MSE is the mean square of
    the error, SST the total sum of squares. Partial eta^2 = SS / (SS + SSE) is never below 0 and too large in small
    samples. omega^2 = (SS - df MSE) / (SST + MSE) may be below 0: that reads as none (Olejnik and Algina, Psychological
    Methods 8, 2003).
    """

    term: str
    df: int
    sum_of_squares: float
    f: float
    p: float
    partial_eta_squared: float
    omega_squared: float


@dataclass(frozen=True, kw_only=True)
class Anova:
    """The effects of factors and interactions, and the blocks' own (None without blocks).

    `residual_df` and `residual_mean_square` are the error's. `dropped` are interactions that missing cells leave unknown,
    and n is the number of runs.
    """

    effects: tuple[Effect, ...]
    block: Effect | None
    residual_df: int
    residual_mean_square: float
    dropped: tuple[str, ...]
    n: int


def anova(cells: Sequence[Mapping[str, Any]], *, factors: Sequence[str], response: str, block: str | None = "seed") -> Anova:
    """Return the analysis of variance of up to three factors, all their interactions and additive blocks.

    An interaction of which some combination of levels has no run cannot be separated from others. It is dropped and named,
    those that contain it too, and what there is of it counts as error. p-values are of F tests, not corrected for their
    number. They assume errors of one spread, which does not hold where some cells collapse and others do not.

    Args:
        cells: the runs, each with its level of every factor, its block and its response.
        factors: names of one to three of their keys; levels are categories, numbers too.
        response: the key of the number that is explained, which must be finite.
        block: the key of the blocks, the seeds; None, or one block for all, leaves them out.

    Raises:
        InputError: for no factor, more than three, one of a single level, or two that cannot be separated. Also for a
            response that is not finite or does not vary, and where nothing is left to estimate an error from.
    """
    # Takes a quarter of a second to import, which factors alone need.
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    frame, names = _frame(cells, factors, response, block)
    blocks = _dummies(frame["block"]) if "block" in frame and frame["block"].nunique() > 1 else np.empty((len(frame), 0))
    kept, dropped = _estimable(frame, blocks, names)
    _need_error(frame, blocks, kept, names)
    formula = "y ~ " + " + ".join([*(["C(block)"] if blocks.size else []), *(_formula(term) for term in kept)])
    table = anova_lm(ols(formula, frame).fit(), typ=2)
    residual, total = table.loc["Residual"], float(((frame["y"] - frame["y"].mean()) ** 2).sum())
    if residual["sum_sq"] <= NO_ERROR * total:
        raise InputError("an error must be left over by the model, but it fits every run exactly; add seeds.")

    def effect(row: str, term: str) -> Effect:
        return _effect(table.loc[row], residual, total, term)

    return Anova(
        effects=tuple(effect(_formula(term), _name(term, names)) for term in kept),
        block=effect("C(block)", block) if blocks.size and block else None,
        residual_df=round(residual["df"]),
        residual_mean_square=float(residual["sum_sq"] / residual["df"]),
        dropped=tuple(_name(term, names) for term in dropped),
        n=len(frame),
    )


def _frame(
    cells: Sequence[Mapping[str, Any]], factors: Sequence[str], response: str, block: str | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return runs as rows (y, block, and factors under names without meaning in a formula), and the factors' names."""
    if not 1 <= len(factors) <= MOST_FACTORS:
        raise InputError(
            f"factors must be 1 to {MOST_FACTORS}, but got {len(factors)}; fix some of them to analyse the rest."
        )
    names = {f"factor{place}": factor for place, factor in enumerate(factors)}
    keys = {"y": response, **names, **({"block": block} if block else {})}
    for cell in cells:
        if missing := [key for key in keys.values() if key not in cell]:
            raise InputError(f"every run must have {', '.join(keys.values())}, but one has no {missing[0]}.")
    columns = {column: [cell[key] for cell in cells] for column, key in keys.items()}
    frame = pd.DataFrame({column: values if column == "y" else _levels(values) for column, values in columns.items()})
    if not all(math.isfinite(value) for value in columns["y"]):
        raise InputError(f"{response} must be finite in every run, but is not; leave such runs out and say so.")
    if len(set(columns["y"])) < 2:
        raise InputError(f"{response} must vary to be explained, but is the same in all {len(cells)} runs.")
    for column, factor in names.items():
        if frame[column].nunique() < 2:
            raise InputError(f"a factor must have at least 2 levels, but {factor} has one; leave it out.")
    return frame.astype({"y": float}), names


def _levels(values: Sequence[Any]) -> list[str]:
    """Return values as categories: 25 and 25.0 are one level, 1 and "1" two."""
    return [repr(float(value) if type(value) is int else value) for value in values]


def _dummies(column: pd.Series) -> NDArray[np.float64]:
    """Return indicators of all levels but the first, (runs, levels - 1)."""
    return pd.get_dummies(column, drop_first=True, dtype=float).to_numpy()


def _columns(frame: pd.DataFrame, term: Term) -> NDArray[np.float64]:
    """Return the columns of the model matrix that belong to a term alone, (runs, df)."""
    columns = np.ones((len(frame), 1))
    for factor in term:
        columns = (columns[:, :, None] * _dummies(frame[factor])[:, None, :]).reshape(len(frame), -1)
    return columns


def _rank(frame: pd.DataFrame, blocks: NDArray[np.float64], terms: Sequence[Term]) -> int:
    """Return the rank of the model matrix of these blocks and terms."""
    matrix = np.hstack([np.ones((len(frame), 1)), blocks, *(_columns(frame, term) for term in terms)])
    return int(np.linalg.matrix_rank(matrix))


def _estimable(frame: pd.DataFrame, blocks: NDArray[np.float64], names: Mapping[str, str]) -> tuple[list[Term], list[Term]]:
    """Return the terms that can be estimated, and the interactions that cannot.

    A term can be where all others of the same and lower orders leave it its full degrees of freedom.

    Raises:
        InputError: where a factor itself cannot be.
    """
    kept: list[Term] = []
    dropped: list[Term] = []
    for order in range(1, len(names) + 1):
        possible = list(itertools.combinations(names, order))
        candidates = [term for term in possible if not any(set(gone) <= set(term) for gone in dropped)]
        full = _rank(frame, blocks, [*kept, *candidates])
        unknown = [
            term
            for term in candidates
            if full - _rank(frame, blocks, [*kept, *(other for other in candidates if other != term)])
            < _columns(frame, term).shape[1]
        ]
        if order == 1 and unknown:
            told = ", ".join(names[term[0]] for term in unknown)
            raise InputError(
                f"factors must vary apart from one another and from the seeds, but {told} cannot be told apart."
            )
        kept += [term for term in candidates if term not in unknown]
        dropped += [term for term in possible if term not in kept]
    return kept, dropped


def _need_error(frame: pd.DataFrame, blocks: NDArray[np.float64], kept: Sequence[Term], names: Mapping[str, str]) -> None:
    """Check that the terms leave degrees of freedom for an error.

    Raises:
        InputError: where they leave none.
    """
    left = len(frame) - _rank(frame, blocks, kept)
    if left < 1:
        last = _name(kept[-1], names)
        raise InputError(
            f"an error must be left over by the terms up to {last}, but {len(frame)} runs leave none; add seeds."
        )


def _effect(row: pd.Series, residual: pd.Series, total: float, term: str) -> Effect:
    """Return a term's row of the table, with its effect sizes."""
    squares, error = float(row["sum_sq"]), float(residual["sum_sq"])
    mean_square_error = error / float(residual["df"])
    return Effect(
        term=term,
        df=round(row["df"]),
        sum_of_squares=squares,
        f=float(row["F"]),
        p=float(row["PR(>F)"]),
        partial_eta_squared=squares / (squares + error),
        omega_squared=(squares - float(row["df"]) * mean_square_error) / (total + mean_square_error),
    )


def _formula(term: Term) -> str:
    """Return a term as a formula names it."""
    return ":".join(f"C({factor})" for factor in term)


def _name(term: Term, names: Mapping[str, str]) -> str:
    """Return a term as a reader names it."""
    return " x ".join(names[factor] for factor in term)
