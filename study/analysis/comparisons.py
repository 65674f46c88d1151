"""What the runs of a study say of its arms: means, paired differences and how sure they are, what the study could have
seen, and which collapse metric goes with accuracy. Runs in, plain numbers out; the formulas are `study.analysis.statistics`'.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study.analysis.statistics import (
    LEAST_SEEDS,
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
from study.runs.outcomes import FINISHED, PRUNED

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
        for key in dict.fromkeys(key for row in own.values() for key in row):
            values = [row[key] for row in own.values() if key in row]
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
    seeds = _shared(own, reference, key)
    if not seeds:
        return None
    return dataclasses.asdict(paired_difference(*_pairs(own, reference, seeds, key)))


def _shared(own: Mapping[int, Any], reference: Mapping[int, Any], key: str) -> list[int]:
    """The seeds at which both have the column."""
    return sorted(seed for seed in set(own) & set(reference) if key in own[seed] and key in reference[seed])


def _pairs(own: Mapping[int, Any], reference: Mapping[int, Any], seeds: Sequence[int], key: str) -> tuple[list, list]:
    return [own[seed][key] for seed in seeds], [reference[seed][key] for seed in seeds]


def _in_detail(own: Mapping[int, Any], reference: Mapping[int, Any], key: str) -> dict[str, Any]:
    """What a difference of the primary column says beside its interval."""
    seeds = _shared(own, reference, key)
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
    """Holm's adjustment within the study, the differences from the baseline as one family and the gains as another. A
    search's trials and what tunes a nuisance are no tests, the control's difference is no arm's, two arms of the same runs
    (a path's last step and the arm it walks to) are one test, and the baseline by another name is none."""
    family: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for arm in compared(arms):
        entry = arm["summary"].get(primary, {}).get(name)
        if entry is not None:
            family.setdefault(_digests(arm), []).append(entry)
    for entries, adjusted in zip(family.values(), holm([one[0]["p"] for one in family.values()]), strict=True):
        for entry in entries:
            entry["p_holm"] = adjusted


def compared(arms: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The arms that a study compares, the baseline among them: no trials, tuning or controls, and no second name of the
    baseline's runs."""
    baseline = [_digests(arm) for arm in arms if arm["is_baseline"]]
    ours = [arm for arm in arms if arm["role"] in ("arm", "step")]
    return [arm for arm in ours if arm["is_baseline"] or _digests(arm) not in baseline]


def _digests(arm: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(run["digest"] for run in arm["runs"]))


def _columns(run: Mapping[str, Any]) -> dict[str, float]:
    """One run's numbers by column: test top-1 of each probe, and collapse metrics of both spaces. A metric that is not a
    number in this run (a spread of nothing) is left out of its columns."""
    row = {probe: measured["top1"] for probe, measured in run["test"].items()}
    row |= {f"validation_{probe}": measured["top1"] for probe, measured in run["validation"].items()}
    for space in SPACES:
        row |= {f"{name}_{space}": run["collapse"][space].get(name) for name in COLLAPSE_COLUMNS}
    return {name: value for name, value in row.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def outcomes(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the runs asked for ended, by verdict or, without one, by status; and the share that collapsed, of all of them,
    with Wilson's interval."""
    counts = Counter(run["verdict"]["name"] if run["verdict"] else run["status"] for run in runs)
    collapsed = sum(counts[name] for name in (*COLLAPSES, PRUNED))  # a run is pruned for complete collapse alone
    low, high = wilson(collapsed, len(runs))
    return {"asked": len(runs), "counts": dict(sorted(counts.items())), "collapsed": collapsed, "low": low, "high": high}


def power(
    arms: Sequence[Mapping[str, Any]], *, primary: str, margin: float, configured: int, command: str
) -> dict[str, Any] | None:
    """What the study could have seen, from the spread of its healthy arms' differences: the smallest difference it would
    have found four times in five, and the seeds it takes for `margin`. Below three seeds the spread says nothing, and
    three are what it takes first. `configured` is the number of seeds that `--add-seeds` adds to."""
    tested = [arm for arm in compared(arms) if not arm["is_baseline"] and _values(arm, primary)]
    tested = list({_digests(arm): arm for arm in tested}.values())  # of the same runs one is enough
    if not tested:
        return None
    n = Counter(len(_values(arm, primary)) for arm in tested).most_common(1)[0][0]
    asked = max(arm["outcomes"]["asked"] for arm in tested)
    healthy = [arm for arm in tested if arm["verdict"]["name"] == "healthy"] or tested
    healthy = [arm for arm in healthy if len(_values(arm, primary)) >= LEAST_SEEDS]
    spread = pooled_spread([_values(arm, primary) for arm in healthy])
    alpha = ALPHA / len(tested)  # Holm rejects at least what Bonferroni does: what is found at this level is found
    found: dict[str, Any] = {"n": n, "asked": asked, "family": len(tested), "alpha": ALPHA, "power": POWER, "margin": margin}
    if spread is None or n < LEAST_SEEDS:
        found |= {"spread": None, "arms": 0, "detectable": None, "needed": LEAST_SEEDS}
    else:
        found |= {
            "spread": spread, "arms": len(healthy), "detectable": smallest_detectable(spread, n, alpha=alpha, power=POWER),
            "needed": seeds_needed(spread, margin, alpha=alpha, power=POWER) if spread > 0 else n,
        }  # fmt: skip
    more = None if found["needed"] is None or found["needed"] <= n else max(0, found["needed"] - configured)
    return found | {"command": None if more is None else f"{command} --add-seeds {more}" if more else command}


def _values(arm: Mapping[str, Any], primary: str) -> list[float]:
    difference = (arm["summary"].get(primary) or {}).get("difference")
    return difference["values"] if difference else []


def predictors(arms: Sequence[Mapping[str, Any]], primary: str) -> list[dict[str, Any]]:
    """Which collapse metric goes with accuracy: for each of both spaces Spearman's and Kendall's correlation with test
    accuracy over all trained and measured runs, the strongest first. A run counts once, whatever arms it belongs to.
    Intervals count settings, not runs: seeds of one setting are no independent evidence."""
    rows = [(setting, run) for setting, run in _different_runs(arms) if primary in run["test"]]
    accuracies = [run["test"][primary]["top1"] for _, run in rows]
    found = []
    for space in SPACES:
        for metric in PREDICTORS:
            pairs = [(setting, run["collapse"][space].get(metric), y) for (setting, run), y in zip(rows, accuracies)]
            pairs = [pair for pair in pairs if _is_number(pair[1])]
            if len(pairs) < 3:
                continue
            settings, values, ours = zip(*pairs, strict=True)
            independent = len(set(settings))
            spearman, kendall = rank_correlations(values, ours, independent=independent)
            if spearman.value is None:
                continue
            found.append({
                "metric": metric, "space": space, "runs": len(values), "settings": independent,
                "spearman": dataclasses.asdict(spearman), "kendall": dataclasses.asdict(kendall),
            })  # fmt: skip
    return sorted(found, key=lambda row: (-abs(row["spearman"]["value"]), row["metric"], row["space"]))


def _different_runs(arms: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every trained run once, with its setting."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for arm in arms:
        for run in [] if arm["is_control"] else arm["runs"]:
            found.setdefault(run["digest"], (json.dumps(arm["settings"], sort_keys=True), run))
    return list(found.values())


def scale_claim(arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The source paper's remark on its loss curves (invariance and covariance "converge to the same scale", which "can be
    indicative of a collapse") as numbers: the ratio of the two terms at the end of the baseline's runs, unweighted and
    weighted, and how many runs collapsed among those whose terms are of one scale, and among the others."""
    ends = [run["history"][-1] for arm in arms if arm["is_baseline"] for run in _finished(arm)]
    if not ends or not all(end["invariance"] > 0 and end["covariance"] > 0 for end in ends):
        return None
    ratio = ratio_interval([end["invariance"] for end in ends], [end["covariance"] for end in ends])
    tally = {"same": [0, 0], "other": [0, 0]}  # collapsed, all
    for _, run in _different_runs(arms):
        if run["status"] not in (FINISHED, PRUNED) or not run["history"]:
            continue
        end = run["history"][-1]
        first, second = end["invariance"], end["covariance"]
        same = second > 0 and 1 / SAME_SCALE <= first / second <= SAME_SCALE
        count = tally["same" if same else "other"]
        count[0] += run["status"] == PRUNED or bool(run["verdict"]) and run["verdict"]["name"] in COLLAPSES
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
    return [run for run in arm["runs"] if run["status"] == FINISHED and run["history"]]
