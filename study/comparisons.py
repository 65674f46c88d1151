"""What the runs of a study say of its arms: means, paired differences and how sure they are, what the study could have
seen, and which collapse metric goes with accuracy. Runs in, plain numbers out; the formulas are `study.statistics`'.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study.statistics import (
    effect_size,
    holm,
    mean,
    paired_difference,
    paired_sampling_error,
    pooled_spread,
    probability_better,
    rank_correlations,
    ratio_interval,
    sampling_error,
    seeds_needed,
    smallest_detectable,
    standard_deviation,
    wilson,
)

SPACES = ("representations", "embeddings")
COLLAPSE_COLUMNS = ("rankme", "std_mean", "rms_correlation", "normalised_std", "view_discrepancy")
PREDICTORS = ("rankme", "participation_ratio", "std_mean", "normalised_std", "rms_correlation", "dead_share", "alignment",
              "uniformity", "view_discrepancy")  # fmt: skip
COLLAPSES = ("complete", "dimensional", "informational", "uninformative")
ALPHA, POWER = 0.05, 0.8
SAME_SCALE = 10**0.5  # two quantities within half a power of ten of one another are called of the same scale


def compare_arms(arms: Sequence[dict[str, Any]], *, baseline: str, primary: str, test_images: int) -> None:
    """Fills each arm's `summary` (column -> n, mean, sd, paired difference from the baseline and gain over its control)
    and `outcomes`. The primary column says more: each seed's difference, effect size, Holm's p and the rest."""
    columns = {arm["name"]: {run["seed"]: _columns(run) for run in arm["runs"] if run["test"]} for arm in arms}
    tested = {arm["name"]: {run["seed"]: run["test"] for run in arm["runs"] if run["test"]} for arm in arms}
    for arm in arms:
        own, control = columns[arm["name"]], arm["control"]
        arm["outcomes"] = outcomes(arm["runs"])
        for key in next(iter(own.values()), {}):
            values = [row[key] for row in own.values()]
            arm["summary"][key] = {
                "n": len(values),
                "mean": mean(values),
                "sd": standard_deviation(values),
                "difference": None if arm["is_baseline"] else _paired(own, columns.get(baseline, {}), key),
                "gain": None if arm["is_control"] else _paired(own, columns.get(control, {}), key),
            }
        main = arm["summary"].get(primary)
        if main is None:
            continue
        main["test_error"] = sampling_error(main["mean"], test_images)
        for name, other in (("difference", baseline), ("gain", control)):
            if main[name] is not None:
                main[name] |= _in_detail(own, columns[other], primary) | {
                    "test_error": _test_error(tested[arm["name"]], tested[other], primary, test_images)
                }
    for name in ("difference", "gain"):
        _adjust(arms, primary, name)


def _paired(own: Mapping[int, Any], reference: Mapping[int, Any], key: str) -> dict[str, Any] | None:
    seeds = sorted(set(own) & set(reference))
    if not seeds:
        return None
    return dataclasses.asdict(paired_difference(*_pairs(own, reference, seeds, key)))


def _pairs(own: Mapping[int, Any], reference: Mapping[int, Any], seeds: Sequence[int], key: str) -> tuple[list, list]:
    return [own[seed][key] for seed in seeds], [reference[seed][key] for seed in seeds]


def _in_detail(own: Mapping[int, Any], reference: Mapping[int, Any], key: str) -> dict[str, Any]:
    """What a difference of the primary column says beside its interval."""
    seeds = sorted(set(own) & set(reference))
    values, others = _pairs(own, reference, seeds, key)
    return {
        "seeds": seeds,
        "values": [value - other for value, other in zip(values, others, strict=True)],
        "effect_size": effect_size(values, others),
        "probability_better": probability_better(values, others),
    }


def _test_error(own: Mapping[int, Any], reference: Mapping[int, Any], probe: str, images: int) -> float | None:
    """The standard error of a difference that comes from the choice of test images; None where it was not kept which
    images were right."""
    seeds = sorted(set(own) & set(reference))
    rows = [[tests[seed].get(probe, {}).get("correct") for seed in seeds] for tests in (own, reference)]
    if not all(text is not None for row in rows for text in row):
        return None
    return paired_sampling_error(*([_bits(text, images) for text in row] for row in rows))


def _bits(text: str, images: int) -> np.ndarray:
    """`Accuracy.correct` -> (N,) zeros and ones."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))[:images]


def _adjust(arms: Sequence[dict[str, Any]], primary: str, name: str) -> None:
    """Holm's adjustment within the study: one family of the differences from the baseline, one of the gains. A search's
    trials and what tunes a nuisance are no tests, the control's difference is no arm's, and two arms of the same runs (a
    path's last step and the arm it walks to) are one test."""
    family: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for arm in arms:
        entry = arm["summary"].get(primary, {}).get(name) if arm["role"] in ("arm", "step") else None
        if entry is not None:
            family.setdefault(_digests(arm), []).append(entry)
    for entries, adjusted in zip(family.values(), holm([one[0]["p"] for one in family.values()]), strict=True):
        for entry in entries:
            entry["p_holm"] = adjusted


def _digests(arm: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(run["digest"] for run in arm["runs"]))


def _columns(run: Mapping[str, Any]) -> dict[str, float]:
    """One run's numbers by column: test top-1 of each probe, and collapse metrics of both spaces."""
    row = {probe: measured["top1"] for probe, measured in run["test"].items()}
    row |= {f"validation_{probe}": measured["top1"] for probe, measured in run["validation"].items()}
    for space in SPACES:
        row |= {f"{name}_{space}": run["collapse"][space][name] for name in COLLAPSE_COLUMNS}
    return row


def outcomes(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the runs asked for ended, by verdict or, without one, by status; and the share that collapsed, of all of them,
    with Wilson's interval."""
    counts = Counter(run["verdict"]["name"] if run["verdict"] else run["status"] for run in runs)
    collapsed = sum(counts[name] for name in COLLAPSES)
    low, high = wilson(collapsed, len(runs))
    return {"asked": len(runs), "counts": dict(sorted(counts.items())), "collapsed": collapsed, "low": low, "high": high}


def power(arms: Sequence[Mapping[str, Any]], *, primary: str, margin: float, command: str) -> dict[str, Any] | None:
    """What the study could have seen, from the spread of its healthy arms' differences: the smallest difference it would
    have found four times in five, and the seeds it takes for `margin`. None where no arm has two paired seeds."""
    compared = [arm for arm in arms if arm["role"] in ("arm", "step") and _values(arm, primary)]
    compared = list({_digests(arm): arm for arm in compared}.values())  # of the same runs one is enough
    family = len(compared)
    usable = [arm for arm in compared if len(_values(arm, primary)) >= 2]
    healthy = [arm for arm in usable if arm["verdict"]["name"] == "healthy"] or usable
    spread = pooled_spread([_values(arm, primary) for arm in healthy])
    if spread is None:
        return None
    alpha = ALPHA / family  # Holm rejects at least what Bonferroni does: what is found at this level is found
    n = Counter(len(_values(arm, primary)) for arm in usable).most_common(1)[0][0]
    asked = max(arm["outcomes"]["asked"] for arm in compared)
    needed = seeds_needed(spread, margin, alpha=alpha, power=POWER) if spread > 0 else n
    more = None if needed is None else max(0, needed - asked)
    return {
        "spread": spread, "arms": len(healthy), "family": family, "alpha": ALPHA, "power": POWER, "n": n,
        "detectable": smallest_detectable(spread, n, alpha=alpha, power=POWER), "margin": margin, "needed": needed,
        "command": f"{command} --add-seeds {more}" if more else None,
    }  # fmt: skip


def _values(arm: Mapping[str, Any], primary: str) -> list[float]:
    difference = (arm["summary"].get(primary) or {}).get("difference")
    return difference["values"] if difference else []


def predictors(arms: Sequence[Mapping[str, Any]], primary: str) -> list[dict[str, Any]]:
    """Which collapse metric goes with accuracy: for each of both spaces Spearman's and Kendall's correlation with test
    accuracy over all trained and measured runs, the strongest first. Intervals count arms, not runs: seeds of one arm are
    no independent evidence."""
    rows = [(arm["name"], run) for arm in arms if not arm["is_control"] for run in arm["runs"] if primary in run["test"]]
    independent = len({name for name, _ in rows})
    accuracies = [run["test"][primary]["top1"] for _, run in rows]
    found = []
    for space in SPACES:
        for metric in PREDICTORS:
            values = [run["collapse"][space].get(metric) for _, run in rows]
            if len(values) < 3 or any(value is None for value in values):
                continue
            spearman, kendall = rank_correlations(values, accuracies, independent=independent)
            if spearman.value is None:
                continue
            found.append({
                "metric": metric, "space": space, "runs": len(rows), "arms": independent,
                "spearman": dataclasses.asdict(spearman), "kendall": dataclasses.asdict(kendall),
            })  # fmt: skip
    return sorted(found, key=lambda row: (-abs(row["spearman"]["value"]), row["metric"], row["space"]))


def scale_claim(arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The source paper's remark on its loss curves (invariance and covariance "converge to the same scale", which "can be
    indicative of a collapse") as numbers: the ratio of the two terms at the end of the baseline's runs, unweighted and
    weighted, and how many runs collapsed among those whose terms are of one scale, and among the others."""
    ends = [run["history"][-1] for arm in arms if arm["is_baseline"] for run in _finished(arm)]
    if not ends or not all(end["invariance"] > 0 and end["covariance"] > 0 for end in ends):
        return None
    ratio = ratio_interval([end["invariance"] for end in ends], [end["covariance"] for end in ends])
    tally = {"same": [0, 0], "other": [0, 0]}  # collapsed, all
    for arm in arms:
        for run in [] if arm["is_control"] else _finished(arm):
            end = run["history"][-1]
            if not (end["invariance"] > 0 and end["covariance"] > 0) or not run["verdict"]:
                continue
            same = 1 / SAME_SCALE <= end["invariance"] / end["covariance"] <= SAME_SCALE
            count = tally["same" if same else "other"]
            count[0] += run["verdict"]["name"] in COLLAPSES
            count[1] += 1
    weighted = [(end["weighted_invariance"], end["weighted_covariance"]) for end in ends]
    positive = all(first > 0 and second > 0 for first, second in weighted)
    return {
        "ratio": dataclasses.asdict(ratio),
        "weighted": dataclasses.asdict(ratio_interval(*zip(*weighted, strict=True))) if positive else None,
        "factor": SAME_SCALE,
        **tally,
    }


def _finished(arm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [run for run in arm["runs"] if run["status"] == "finished" and run["history"]]
