"""Computes what results say of their runs: comparisons, findings, sentences."""

import dataclasses
from collections.abc import Sequence

from study.analysis.answer import alerts, answer
from study.analysis.arms import compare_arms
from study.analysis.collapse_types import type_arm
from study.analysis.commands import without_seeds
from study.analysis.findings import Change, describe_grid, describe_path, retell_search, retell_tuning
from study.analysis.notes import notes
from study.analysis.predictors import predictors
from study.analysis.sensitivity import describe_power
from study.analysis.vicreg_terms import published_coefficients, scale_claim
from study.results.schema import StudyResults


def analyse(
    results: StudyResults, *, margin: float, configured_seeds: int, changes: Sequence[Change] | None, path_note: str,
    network: Sequence[str],
) -> StudyResults:  # fmt: skip
    """Return results with everything that follows from their description and their runs, which stay as they are.

    It is a pure function, so results can be analysed when their runs end, and again whenever the analysis has changed.

    Args:
        results: the description of a study, and arms of which runs, names and settings count. A search or a tuning is
            described already.
        margin: the smallest difference of accuracy that would matter, a share.
        configured_seeds: the number of seeds that `--add-seeds` adds to.
        changes: that a path made, in their order; None for another design.
        path_note: what the path did otherwise than its file says.
        network: notes on the network.
    """
    primary = results.primary
    arms = compare_arms(
        [type_arm(arm) for arm in results.arms], baseline=results.baseline, primary=primary, test_images=results.data.test
    )
    compared = dataclasses.replace(
        results,
        arms=arms,
        published_coefficients=published_coefficients(),
        power=describe_power(
            arms, primary=primary, margin=margin, configured=configured_seeds, command=without_seeds(results.command or "")
        ),
        predictors=predictors(arms, primary),
        scale=scale_claim(arms),
        grid=describe_grid(results.mode, arms, primary),
        tuning=retell_tuning(results.tuning, arms),
        search=retell_search(results.search, arms),
        path=describe_path(changes, arms, primary, baseline=results.baseline, note=path_note),
    )
    return dataclasses.replace(
        compared, answer=answer(compared), alerts=tuple(alerts(compared)), notes=tuple(notes(compared, network=network))
    )
