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
    """Return what of a hypothesis no prediction has, clause by clause: they end at . or ;."""
    left = []
    for part in re.split(r"(?<=[.;]) ", hypothesis):
        for one in predictions:
            part = part.replace(one.says, "").replace(one.says.rstrip(".;"), "")
        if rest := part.strip(" ,.;"):
            left.append(f"{rest[0].upper()}{rest[1:]}.")
    return " ".join(left)
