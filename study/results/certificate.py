"""Certificates of `study.verify`: what running some runs again showed."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.results.json_values import from_values, parse_json, readable_if_there, to_values
from study.results.schema import StudyResults
from study.runs.outcomes import REPEATABLE
from vicreg.files import to_json, write_atomically

IDENTICAL, TOLERATED, NOT_REPRODUCED = "bit-identical", "within tolerance", "not reproduced"
_REMEDY = "run python -m study.verify again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifiedRun:
    """One run that was run again.

    `status_again` is how it ended this time. `largest_difference` is of any accuracy, as a share; None where there is none
    to compare. `differing` names some of the keys whose values differ, of `differing_count`. `weights` are `identical`,
    `differ` or `not kept`.
    """

    arm: str
    label: str
    seed: int
    digest: str
    outcome: str
    status: str
    status_again: str
    largest_difference: float | None
    differing: tuple[str, ...]
    differing_count: int
    weights: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificate:
    """What running some runs of a study again showed.

    `tolerance` is the difference of an accuracy, a share, that was allowed. `counts` maps outcomes to runs, `ended` is the
    number of runs that could have been chosen. `same_machinery` is whether the results were made on the same one,
    `code` the root of the code that trained; earlier certificates name a `commit` in its place.
    """

    study: str
    runs: tuple[VerifiedRun, ...]
    tolerance: float
    environment: Mapping[str, Any]
    sentence: str
    profile: str | None = None
    same_machinery: bool | None = None
    commit: str | None = None
    code: str | None = None
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ended: int = 0


def read_certificate(path: Path) -> Certificate | None:
    """Read a certificate; None where there is no such file.

    Raises:
        InputError: if the file does not hold a certificate.
    """
    content = readable_if_there(path, remedy=_REMEDY)
    if content is None:
        return None
    return certificate_from_values(parse_json(content, where=str(path), remedy=_REMEDY), where=str(path))


def certificate_from_values(values: Any, *, where: str) -> Certificate:
    """Return the certificate that JSON values hold; `where` names them in errors.

    Raises:
        InputError: if they lack a key, or have a value of another kind.
    """
    return from_values(Certificate, values, where=where, remedy=_REMEDY)


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write a certificate; equal certificates give equal bytes.

    Raises:
        InputError: where the disk is full or may not be written.
    """
    write_atomically(path, to_json(to_values(certificate)))


def certified(certificate: Certificate | None, results: StudyResults) -> Certificate | None:
    """Return the part of a certificate that is of these results, with counts and a sentence of that part.

    None without a certificate, for one of another study, and where none of its runs is reported any more.
    """
    if certificate is None or certificate.study != results.study:
        return None
    digests = results.digests()
    runs = [run for run in certificate.runs if run.digest in digests]
    if not runs:
        return None
    return with_runs(certificate, runs, results)


def with_runs(certificate: Certificate, runs: Sequence[VerifiedRun], results: StudyResults) -> Certificate:
    """Return a certificate with these runs of the results, and the counts and the sentence that follow from them."""
    counts = Counter(run.outcome for run in runs)
    ended = sum(run.status in REPEATABLE for arm in results.arms for run in arm.runs)
    return dataclasses.replace(
        certificate,
        runs=tuple(runs),
        counts={outcome: counts[outcome] for outcome in (IDENTICAL, TOLERATED, NOT_REPRODUCED)},
        ended=ended,
        sentence=_sentence(runs, counts, ended, certificate.tolerance, certificate.environment),
    )


def describe_run(run: VerifiedRun) -> str:
    """Return what became of one run: `not reproduced: differs in the weights alone, accuracies at most 0 points apart`."""
    if run.outcome == IDENTICAL:
        return f"{IDENTICAL} (weights {run.weights})"
    return f"{run.outcome}: {_difference(run)}"


def _difference(run: VerifiedRun) -> str:
    if run.status != run.status_again:
        return f"it was {run.status}, and is now {run.status_again}"
    named = run.differing[:3]
    apart = ""
    if run.largest_difference is not None:
        apart = f", accuracies at most {100 * run.largest_difference:.3g} points apart"
    if not named:
        return f"differs in the weights alone{apart}"
    more = run.differing_count - len(named)
    weights = ", and in the weights" if run.weights == "differ" else ""
    return f"differs in {', '.join(named)}{f' and {more} more' if more else ''}{weights}{apart}"


def _sentence(
    runs: Sequence[VerifiedRun], counts: Mapping[str, int], ended: int, tolerance: float, environment: Mapping[str, Any]
) -> str:
    """Return how many runs were run again, how many came out the same, and in what the first did not."""
    said = f"{len(runs)} of {ended} ended runs {'was' if len(runs) == 1 else 'were'} run again from nothing"
    where = f" on {environment['device']}, torch {environment['torch']}"
    if counts[IDENTICAL] == len(runs):
        return f"{said}{where}: bit-identical."
    parts = [f"{counts[IDENTICAL]} bit-identical"] if counts[IDENTICAL] else []
    if counts[TOLERATED]:
        largest = max(run.largest_difference or 0.0 for run in runs if run.outcome == TOLERATED)
        apart = f"accuracies at most {100 * largest:.3g} points apart, {100 * tolerance:.3g} allowed"
        parts.append(f"{counts[TOLERATED]} within tolerance ({apart})")
    for run in [run for run in runs if run.outcome == NOT_REPRODUCED][:1]:
        which = f"{run.label}, seed {run.seed}: " if len(runs) > 1 else ""
        parts.append(f"{counts[NOT_REPRODUCED]} not reproduced ({which}{_difference(run)})")
    return f"{said}{where}: {', '.join(parts)}."
