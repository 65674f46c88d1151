"""Prices seeds that were added to runs which git keeps: they are a second look, whatever store they were run in."""

import dataclasses

from study.analysis.reanalyse import reanalyse
from study.config.seeds import LEAST_AT_LOOK
from study.results.findings import Looks
from study.results.schema import StudyResults
from study.spec.looks import look_at


def with_kept_look(results: StudyResults, before: StudyResults) -> StudyResults:
    """Return results at the price of the look that was kept before, where they are its runs and more seeds of them.

    A store notes its own looks (`study.execution.looks`), but another store, or a new one, knows nothing of them. Results
    that have a look noted keep it. Other code, data or settings make other runs, and those are another study.

    Args:
        results: to be kept.
        before: of the same study and profile, kept until now.
    """
    old, new = _digests(before), _digests(results)
    if results.looks is not None or len(old) < LEAST_AT_LOOK or not old <= new:
        return results
    if old == new:  # the same look again
        return reanalyse(dataclasses.replace(results, looks=before.looks)) if before.looks else results
    earlier = {len(old), *(before.looks.planned[: before.looks.look] if before.looks else ())}
    look = look_at((len(new),), 1, earlier=sorted(earlier))
    assert look is not None, "a look that comes after another has a price"
    looks = Looks(look=look.number, planned=look.planned, declared=look.declared, price=look.price)
    return reanalyse(dataclasses.replace(results, looks=looks))


def _digests(results: StudyResults) -> set[str]:
    """Return the baseline's runs that have a result: their digests stand for code, data and settings."""
    return {run.digest for arm in results.arms if arm.is_baseline for run in arm.runs if run.test}
