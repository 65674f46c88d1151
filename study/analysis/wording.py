"""Numbers and names in words, for sentences that follow from results."""

from collections.abc import Sequence

from study.results.comparisons import ColumnSummary, Difference

ALPHA = 0.05


def against(difference: Difference | None, reference: str) -> str:
    """Return a difference in words: its interval, number of seeds and what Holm's adjustment leaves of it."""
    if difference is None:
        return f"with no run of {reference} to compare with"
    points = f"{signed(difference.mean)} points from {reference}"
    if difference.low is None or difference.high is None:
        if difference.n > 2:
            return f"{points} (the same at each of {difference.n} seeds, so there is no spread to tell by)"
        return f"{points} (n = {difference.n}, too few for an interval: descriptive only)"
    adjusted = difference.p_holm
    meaning = "" if adjusted is None or adjusted < ALPHA else ", so not told apart from it"
    p = "" if adjusted is None else f", Holm's p {'< 0.001' if adjusted < 0.001 else f'= {adjusted:.3f}'}"
    bounds = f"95 % interval {signed(difference.low)} to {signed(difference.high)}"
    return f"{points} ({bounds}, {difference.n} paired seeds{p}{meaning})"


def signed(share: float) -> str:
    """Return a share as percentage points with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def percent(column: ColumnSummary) -> str:
    """Return a mean share in percent, with its standard deviation over seeds where there is one."""
    spread = "" if column.sd is None else f" ± {100 * column.sd:.1f}"
    return f"{100 * column.mean:.1f}{spread} %"


def probe_name(probe: str) -> str:
    """Return what readers call a probe."""
    return "linear (cached features)" if probe == "linear_cached" else probe.replace("knn_", "k-NN ")


def is_or_are(names: Sequence[str]) -> str:
    """Return the verb that these names take."""
    return "is" if len(names) == 1 else "are"


def first_of(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list, those beyond `most` as a number."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
