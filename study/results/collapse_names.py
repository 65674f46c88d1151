"""Gives collapse types of earlier files the names of today."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from study.results.runs import CollapseType, RunResults
from study.results.schema import ArmResults, StudyResults
from vicreg.evaluation.collapse_criteria import CHANCE_LEVEL, VIEW_DEPENDENT

# Named two findings by one word: of the embeddings' views, or of the representations' accuracy. The reason tells which.
RETIRED = "uninformative"
_Named = TypeVar("_Named", bound=CollapseType)


def with_todays_names(results: StudyResults) -> StudyResults:
    """Return results whose collapse types have the names of today; the same results where all have."""
    if not any(RETIRED in (arm.collapse_type.name, *(run.outcome for run in arm.runs)) for arm in results.arms):
        return results
    arms = tuple(_arm(arm) for arm in results.arms)
    by_seed = {(arm.name, run.seed): run.outcome for arm in arms for run in arm.runs}
    found = dict.fromkeys(name for name in by_seed.values() if name in (VIEW_DEPENDENT, CHANCE_LEVEL))
    said = " or ".join(found)
    search = results.search and dataclasses.replace(
        results.search,
        trials=tuple(
            dataclasses.replace(
                trial,
                outcome=by_seed.get((trial.name, trial.seed), said) if trial.outcome == RETIRED else trial.outcome,
                collapse_type=by_seed.get((trial.name, trial.seed), said) if trial.collapse_type == RETIRED
                else trial.collapse_type,
            )
            for trial in results.search.trials
        ),
    )  # fmt: skip
    tuning = results.tuning and tuple(
        dataclasses.replace(one, outcome=said) if one.outcome == RETIRED else one for one in results.tuning
    )
    return dataclasses.replace(
        results,
        arms=arms,
        search=search,
        tuning=tuning,
        answer=results.answer.replace(RETIRED, said),
        alerts=_in_sentences(results.alerts, said),
        notes=_in_sentences(results.notes, said),
    )


def _arm(arm: ArmResults) -> ArmResults:
    runs = tuple(_run(run) for run in arm.runs)
    outcomes = arm.outcomes and dataclasses.replace(arm.outcomes, counts=_recounted(arm.outcomes.counts, runs))
    named = dataclasses.replace(_named(arm.collapse_type), counts=_recounted(arm.collapse_type.counts, runs))
    return dataclasses.replace(arm, runs=runs, outcomes=outcomes, collapse_type=named)


def _run(run: RunResults) -> RunResults:
    return run if run.collapse_type is None else dataclasses.replace(run, collapse_type=_named(run.collapse_type))


def _named(collapse_type: _Named) -> _Named:
    """Return a collapse type with the name that its reason supports."""
    if collapse_type.name != RETIRED:
        return collapse_type
    name = VIEW_DEPENDENT if "view discrepancy" in collapse_type.reason else CHANCE_LEVEL
    return dataclasses.replace(collapse_type, name=name)


def _recounted(counts: Mapping[str, int], runs: Iterable[RunResults]) -> Mapping[str, int]:
    return dict(sorted(Counter(run.outcome for run in runs).items())) if RETIRED in counts else counts


def _in_sentences(sentences: Iterable[str], said: str) -> tuple[str, ...]:
    return tuple(sentence.replace(RETIRED, said) for sentence in sentences)
