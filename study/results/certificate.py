"""What running some runs again showed, as `study.verify` certifies it: the sentence, and whether it is of these results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

IDENTICAL, TOLERATED, NOT_REPRODUCED = "bit-identical", "within tolerance", "not reproduced"
OUTCOMES = ("finished", "pruned", "diverged")  # endings that a run would come to again
KEYS = ("study", "runs", "tolerance", "environment", "sentence")  # that a certificate has to have to be read


def certified(certificate: Mapping[str, Any] | None, results: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a certificate says of these results: itself, with those of its runs alone that they report, and with counts and a
    sentence that are of these. None without a certificate, for one of another study, and where no run is left.

    Args:
        certificate: of `study.verify`, with the `KEYS`.
        results: of a study, as in its `study.json`.
    """
    if certificate is None or certificate["study"] != results["study"]:
        return None
    digests = {run["digest"] for arm in results["arms"] for run in arm["runs"]}
    runs = [run for run in certificate["runs"] if run["digest"] in digests]
    return {**certificate, **verdict(runs, certificate, results)} if runs else None


def verdict(
    runs: Sequence[Mapping[str, Any]], certificate: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, Any]:
    """The entries of a certificate that follow from its runs: `runs`, `counts`, `ended` and `sentence`."""
    counts = Counter(run["outcome"] for run in runs)
    ended = sum(run["status"] in OUTCOMES for arm in results["arms"] for run in arm["runs"])
    return {
        "runs": list(runs),
        "counts": {outcome: counts[outcome] for outcome in (IDENTICAL, TOLERATED, NOT_REPRODUCED)},
        "ended": ended,
        "sentence": _sentence(runs, counts, ended, certificate["tolerance"], certificate["environment"]),
    }


def in_words(run: Mapping[str, Any]) -> str:
    """What became of one run: `not reproduced: differs in the weights alone, accuracies at most 0 points apart`."""
    if run["outcome"] == IDENTICAL:
        return f"{IDENTICAL} (weights {run['weights']})"
    return f"{run['outcome']}: {_difference(run)}"


def _difference(run: Mapping[str, Any]) -> str:
    if run["status"] != run["status_again"]:
        return f"it was {run['status']}, and is now {run['status_again']}"
    largest, named = run["largest_difference"], run["differing"][:3]
    apart = "" if largest is None else f", accuracies at most {100 * largest:.3g} points apart"
    if not named:
        return f"differs in the weights alone{apart}"
    more = run["differing_count"] - len(named)
    weights = ", and in the weights" if run["weights"] == "differ" else ""
    return f"differs in {', '.join(named)}{f' and {more} more' if more else ''}{weights}{apart}"


def _sentence(
    runs: Sequence[Mapping[str, Any]], counts: Mapping[str, int], ended: int, tolerance: float,
    environment: Mapping[str, str],
) -> str:  # fmt: skip
    """One sentence for a report: how many were run again, how many came out the same, and in what the first did not."""
    said = f"{len(runs)} of {ended} ended runs {'was' if len(runs) == 1 else 'were'} run again from nothing"
    where = f" on {environment['device']}, torch {environment['torch']}"
    if counts[IDENTICAL] == len(runs):
        return f"{said}{where}: bit-identical."
    largest = max((run["largest_difference"] for run in runs if run["outcome"] == TOLERATED), default=0.0)
    parts = [f"{counts[IDENTICAL]} bit-identical"] if counts[IDENTICAL] else []
    if counts[TOLERATED]:
        apart = f"accuracies at most {100 * largest:.3g} points apart, {100 * tolerance:.3g} allowed"
        parts.append(f"{counts[TOLERATED]} within tolerance ({apart})")
    for run in [run for run in runs if run["outcome"] == NOT_REPRODUCED][:1]:
        which = f"{run['label']}, seed {run['seed']}: " if len(runs) > 1 else ""
        parts.append(f"{counts[NOT_REPRODUCED]} not reproduced ({which}{_difference(run)})")
    return f"{said}{where}: {', '.join(parts)}."
