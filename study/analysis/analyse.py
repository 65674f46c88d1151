"""Computes what results say of their runs: comparisons, findings, sentences."""

import dataclasses
import functools
from collections.abc import Sequence

from study.analysis.agreement import with_agreement
from study.analysis.alerts import alerts
from study.analysis.answer import answer
from study.analysis.arms import compare_arms
from study.analysis.commands import with_looks, without_seeds
from study.analysis.findings import Change, describe_grid, describe_path, retell_search, retell_tuning
from study.analysis.looks import Judged, judge, steps_of
from study.analysis.methods import with_front
from study.analysis.notes import notes
from study.analysis.predictors import predictors
from study.analysis.sensitivity import describe_power
from study.analysis.trust import trust
from study.analysis.vicreg_terms import published_coefficients, scale_claim, vicreg_arms
from study.results.findings import Looks
from study.results.schema import ArmResults, StudyResults


def analyse(
    results: StudyResults, *, margin: float, configured_seeds: int, changes: Sequence[Change] | None, path_note: str,
    network: Sequence[str],
) -> StudyResults:  # fmt: skip
    """Return results with everything that follows from their description and their runs, which stay as they are.

    It is a pure function, so results can be analysed when their runs end, and again whenever the analysis has changed.

    Args:
        results: the description of a study, and arms of which runs, collapse types, names and settings count. A search or a
            tuning is described already.
        margin: the smallest difference of accuracy that would matter, a share.
        configured_seeds: the number of seeds that `--add-seeds` adds to.
        changes: that a path made, in their order; None for another design.
        path_note: what the path did otherwise than its file says.
        network: notes on the network.
    """
    primary, baseline, command = results.primary, results.baseline, without_seeds(results.command or "")
    judged = judge_arms(
        results.arms, results.looks, baseline=baseline, primary=primary, test_images=results.data.test, margin=margin
    )
    arms = with_agreement(judged.arms, primary=primary, margin=margin)
    looks = results.looks and dataclasses.replace(results.looks, stopped=judged.stopped)
    price = looks.price if looks else 1
    power = describe_power(arms, primary=primary, margin=margin, configured=configured_seeds, command=command, price=price)
    of_vicreg = vicreg_arms(dataclasses.replace(results, arms=arms))
    compared = dataclasses.replace(
        results,
        arms=arms,
        looks=looks,
        methods=with_front(results.methods, arms, primary),
        published_coefficients=published_coefficients() if of_vicreg else None,
        power=with_looks(power, looks, command=command),
        predictors=predictors(arms, primary),
        scale=scale_claim(of_vicreg),
        grid=describe_grid(results.mode, arms, primary),
        tuning=retell_tuning(results.tuning, arms),
        search=retell_search(results.search, arms),
        path=describe_path(changes, arms, primary, baseline=baseline, note=path_note, price=price),
    )
    return dataclasses.replace(
        compared,
        answer=answer(compared),
        trust=tuple(trust(compared)),
        alerts=tuple(alerts(compared)),
        notes=tuple(notes(compared, network=network)),
    )


def judge_arms(
    arms: Sequence[ArmResults], looks: Looks | None, *, baseline: str, primary: str, test_images: int, margin: float
) -> Judged:
    """Return arms compared at the price of the looks at them; those that stopped as they were where they did.

    Args:
        arms: with their runs and collapse types.
        looks: at them; None for a single one.
        baseline: the arm that all others are compared with.
        primary: the probe whose accuracy is compared.
        test_images: number of test images.
        margin: the smallest difference of accuracy that would matter, a share.
    """
    compare = functools.partial(
        compare_arms,
        baseline=baseline, primary=primary, test_images=test_images, margin=margin, price=looks.price if looks else 1,
    )  # fmt: skip
    steps = steps_of(looks)
    return judge(arms, looks=steps, primary=primary, compare=compare) if steps else Judged(arms=compare(arms))
