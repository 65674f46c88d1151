"""Predictions: parts of a study's hypothesis that its results judge."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A sentence of the hypothesis, the arms it speaks of, and what is expected of each.

    One of three is given: `ends`, names of collapse types; `decided`, decisions of the comparison with the baseline; or
    `least` and `most`, bounds of the difference from the baseline as shares, one of which may be None.
    """

    says: str
    arms: tuple[str, ...]
    ends: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def beside(hypothesis: str, predictions: Sequence[Prediction]) -> str:
    """Return the sentences and clauses of a hypothesis (they end at . or ;) that no prediction has words of."""
    parts = re.split(r"(?<=[.;]) ", hypothesis)
    left = [part for part in parts if not any(one.says in part or part.rstrip(".;") in one.says for one in predictions)]
    return " ".join(left).rstrip(";")
