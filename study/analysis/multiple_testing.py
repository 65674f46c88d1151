"""Holm's adjustment of p-values for being one of several."""

from collections.abc import Sequence

from vicreg.errors import InputError

ALPHA = 0.05  # of a family of tests; what is decided has an adjusted p-value below it


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted by Holm's step-down rule for being the smallest of several, in the order given.

    Of m p-values sorted upwards, the j-th is max over k <= j of (m - k + 1) p_k, at most 1. Rejecting those at or below
    alpha makes any false rejection in the family at most alpha likely, however the tests depend on one another. The source
    is Holm, Scandinavian Journal of Statistics 6, 1979. None stays None and is not of the family.

    Raises:
        InputError: for a p-value outside 0 to 1.
    """
    family = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(family):
        if not 0 <= p <= 1:
            raise InputError(f"a p-value must be between 0 and 1, but got {p}.")
        highest = max(highest, min(1.0, (len(family) - rank) * p))
        adjusted[place] = highest
    return adjusted
