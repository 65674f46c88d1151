"""Judge the claims about the network of VICReg's authors."""

from collections.abc import Sequence
from dataclasses import replace

from study.analysis.moments import LEAST_SEEDS
from study.analysis.spread import spread_ratio
from study.paper.claims.batch_size import weigh_ratio
from study.paper.evidence import accuracies, arms_of, baseline_of, digests, measured_elsewhere, nearest, probe_of, recipe_arm
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide, without_interval
from study.paper.protocol import SIZES, barring, deviations, settings_of
from study.paper.published import RECIPE, SourcePaper
from study.paper.wording import arm_name
from study.results.comparisons import Interval
from study.results.schema import ArmResults, StudyResults


def judge_generalises(
    name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper
) -> list[Judged]:  # fmt: skip
    """Judge accuracy above that of the same network before training, at the input size that is best on validation."""
    rows = []
    for dataset in ("cifar10", "cifar100"):
        row = Judged(claim=name, says=says, study="generalisation", dataset=dataset, kind="points")
        results = nearest(candidates, paper, dataset=dataset, trained=False)
        if results is None:
            rows.append(replace(row, missing=f"the study generalisation on {dataset}"))
            continue
        probe = probe_of(results)
        arm = _best_on_validation(results, probe)
        gain = arm.gain(probe)
        found = deviations(settings_of(results, arm), results.data, paper, probe=probe, free=SIZES, trained=False)
        ours = gain and Interval(n=gain.n, mean=gain.mean, low=gain.low, high=gain.high, p=gain.p)
        row = replace(
            row,
            arm=arm_name(arm),
            ours=ours,
            deviations=(*found, *measured_elsewhere(arm)),
            results=results,
            runs=digests(arm),
        )
        rows.append(decide(row, weigh_sign(ours)))
    return rows


def _best_on_validation(results: StudyResults, probe: str) -> ArmResults:
    """Return the arm of the highest validation accuracy."""

    def accuracy(arm: ArmResults) -> float:
        column = arm.summary.get(f"validation_{probe}")
        return column.mean if column else -1.0

    return max(arms_of(results), key=accuracy)


def weigh_sign(gain: Interval | None) -> Finding:
    """Return whether a gain is above zero with its whole interval."""
    if gain is None or gain.low is None or gain.high is None:
        return without_interval(gain, least=LEAST_SEEDS)
    decided = HOLDS if gain.low > 0 else FAILS if gain.high < 0 else OPEN
    return Finding(outcome=decided, reason="gain over the same network before training", missing="more seeds")


def judge_imagenet_stability(
    name: str, says: str, others: Sequence[StudyResults], own: Sequence[StudyResults], paper: SourcePaper
) -> list[Judged]:
    """Judge the spread over seeds of the linear evaluation of the authors' network, beside that of networks trained here.

    Args:
        name, says: of the claim.
        others: of the study on the authors' network.
        own: of the study whose networks are trained here.
        paper: the protocol.
    """
    given = nearest(others, paper, dataset="cifar10", trained=False)
    ours = nearest(own, paper, dataset="cifar10")
    if given is None or ours is None:
        lacking = [study for study, one in (("generalisation", given), (RECIPE, ours)) if one is None]
        missing = f"the {'study' if len(lacking) == 1 else 'studies'} {' and '.join(lacking)}"
        return [Judged(claim=name, says=says, study=lacking[0], dataset="cifar10", kind="ratio", missing=missing)]
    theirs, baseline = baseline_of(given), recipe_arm(ours)
    values, reference = accuracies(theirs, "linear"), accuracies(baseline, "linear")
    ratio = spread_ratio(values, reference)
    at_fault = deviations(settings_of(given, theirs), given.data, paper, free=SIZES, trained=False)
    found = [*at_fault, *deviations(settings_of(ours, baseline), ours.data, paper, free=("pretrain.stem",))]
    found += measured_elsewhere(theirs, baseline)
    first = bool(barring(at_fault)) or not (barring(found) or len(reference) < len(values))
    row = Judged(
        claim=name, says=says, study="generalisation" if first else RECIPE, dataset="cifar10", kind="ratio",
        arm="spread of accuracy over seeds, theirs over ours", ours=ratio, deviations=tuple(dict.fromkeys(found)),
        results=given if first else ours,  # whose runs a verdict would take first
        reference=ours if first else given, runs=digests(theirs, baseline),
    )  # fmt: skip
    return [decide(row, weigh_ratio(ratio, least=LEAST_SEEDS))]
