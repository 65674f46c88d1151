"""The source paper's claims about two arms, about its loss curves and about its maps, each held against a study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.arms import COLLAPSES
from study.analysis.intervals import ratio_interval, wilson
from study.analysis.moments import LEAST_SEEDS
from study.analysis.spread import last_epochs, spread_ratio, wander
from study.analysis.vicreg_terms import SAME_SCALE
from study.paper.judged import (
    FAILS,
    HOLDS,
    OPEN,
    Judged,
    Results,
    accuracies,
    baseline_of,
    by_name,
    decide,
    differences_of_map,
    digests,
    nearest,
    nearest_map,
    paired,
    probe_of,
    unsure,
)
from study.paper.protocol import differences
from study.results.comparisons import Interval

GAIN, MARGIN = 0.02, 0.01  # the paper's "+2 points"; and what is too small to be called an improvement
MAJORITY = 0.5  # of a point's neighbours: separated "for the most part"
SMALL, LARGE = "size-128", "size-256"  # arms of the study batch-size
# What a claim has in place of the paper's recipe, arm by arm.
EPOCHS = {
    "halfway": {"pretrain.stop_after": 50},
    "epochs-50": {"pretrain.epochs": 50, "pretrain.warmup_epochs": 5},
}
SIZES = {
    SMALL: {"pretrain.backbone": "resnet18"},
    LARGE: {"pretrain.backbone": "resnet18", "pretrain.batch_size": 256},
}


# ---- two arms


def judge_epochs(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """100 epochs against 50, half-way through the same schedule and with a schedule of their own."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="epochs", dataset="cifar10", kind="points", paper=GAIN,
                       missing="the study epochs")]  # fmt: skip
    probe, rows = probe_of(results), []
    for other in EPOCHS:
        arms = {"epochs-100": {}, other: EPOCHS[other]}
        gain = paired(by_name(results, "epochs-100"), by_name(results, other), probe)
        rows.append(decide(Judged(
            claim=name, says=says, study="epochs", dataset="cifar10", arm=f"epochs-100 over {other}", kind="points",
            paper=GAIN, ours=gain, apart=apart_of_arms(results, arms, paper, probe=probe), results=results,
            runs=digests(*(by_name(results, arm) for arm in arms)), **told_of_gain(gain),
        )))  # fmt: skip
    return rows


def told_of_gain(gain: Interval | None) -> dict[str, str]:
    """The paper's two points are the difference of one pair of runs. They are found where they lie among the gains that one
    more pair of ours would have (the prediction interval, sqrt(n + 1) times as wide as that of the mean), which reaches no
    more than two points to either side, and our mean gain is above none; refuted where they do not lie among them."""
    if gain is None or gain.low is None or gain.high is None:
        return unsure(gain)
    reach = (gain.high - gain.mean) * math.sqrt(gain.n + 1)
    said = f"one more pair of runs would gain {100 * (gain.mean - reach):.1f} to {100 * (gain.mean + reach):.1f} points"
    if abs(GAIN - gain.mean) > reach:
        return {"told": FAILS, "reason": f"{said}; two are not among them"}
    if gain.low > 0 and reach <= GAIN:
        return {"told": HOLDS, "reason": f"{said}; two are among them, and the mean gain is above none"}
    return {"told": OPEN, "reason": f"{said}, which is too wide to tell two from none", "missing": "more seeds"}


def apart_of_arms(
    results: Results, arms: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Any], *, probe: str | None
) -> tuple[str, ...]:
    """In what some arms differ from the paper's protocol; `arms` says of each what the claim has in place of the recipe."""
    found = [
        text for name, instead in arms.items() if (arm := by_name(results, name))["runs"]
        for text in differences(results, arm, paper, probe=probe, instead=instead)
    ]  # fmt: skip
    return tuple(dict.fromkeys(found))


def judge_batch_accuracy(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """"Does not improve": the difference is below a point, with its whole interval."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="batch-size", dataset="cifar10", kind="points",
                       missing="the study batch-size")]  # fmt: skip
    small, large, probe = by_name(results, SMALL), by_name(results, LARGE), probe_of(results)
    difference = paired(large, small, probe)
    if difference is None or difference.low is None or difference.high is None:
        told = unsure(difference)
    elif difference.high < MARGIN:
        told = {"told": HOLDS, "reason": "an improvement of a point is ruled out"}
    elif difference.low > MARGIN:
        told = {"told": FAILS, "reason": "an improvement of more than a point is found"}
    else:
        told = {"told": OPEN, "reason": "an improvement of a point is neither found nor ruled out", "missing": "more seeds"}
    return [decide(Judged(
        claim=name, says=says, study="batch-size", dataset="cifar10", arm="size-256 over size-128", kind="points",
        ours=difference, apart=apart_of_arms(results, SIZES, paper, probe=probe), results=results,
        runs=digests(small, large), **told,
    ))]  # fmt: skip


def judge_batch_stability(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """"More stable", two ways: how far the loss and the logged accuracy wander over the last epochs, paired by seed; and
    how far accuracy spreads over seeds, which takes many seeds."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="batch-size", dataset="cifar10", kind="ratio",
                       missing="the study batch-size")]  # fmt: skip
    small, large, probe = by_name(results, SMALL), by_name(results, LARGE), probe_of(results)
    about = {"claim": name, "says": says, "study": "batch-size", "dataset": "cifar10", "kind": "ratio"}
    about |= {"results": results, "runs": digests(small, large)}
    apart, rows = apart_of_arms(results, SIZES, paper, probe=None), []
    for what, key in (("loss", "total"), ("k-NN accuracy", "knn")):
        ratio = wander_ratio(large, small, key)
        if ratio is not None:
            rows.append(decide(Judged(
                **about, arm=f"wander of the {what} over the last epochs, 256 over 128", ours=ratio, apart=apart,
                **told_of_ratio(ratio),
            )))  # fmt: skip
    spread = spread_ratio(accuracies(large, probe), accuracies(small, probe))
    rows.append(decide(Judged(
        **about, arm="spread of accuracy over seeds, 256 over 128", ours=spread,
        apart=apart_of_arms(results, SIZES, paper, probe=probe), **told_of_ratio(spread),
    )))  # fmt: skip
    return rows


def told_of_ratio(ratio: Interval | None) -> dict[str, str]:
    """Less than 1 is more stable."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return unsure(ratio)
    if ratio.high < 1:
        return {"told": HOLDS, "reason": "the interval lies below 1"}
    if ratio.low > 1:
        return {"told": FAILS, "reason": "the interval lies above 1"}
    return {"told": OPEN, "reason": "the interval takes in 1", "missing": "more seeds"}


def wander_ratio(arm: Mapping[str, Any], reference: Mapping[str, Any], key: str) -> Interval | None:
    """The ratio of two arms' wander of one logged quantity over the last epochs, paired by seed; None where it was not
    logged at two of these epochs, or did not move."""
    own, others = ({
        run["seed"]: last_epochs([record.get(key) for record in run["history"]])
        for run in one["runs"] if run["status"] == "finished"
    } for one in (arm, reference))  # fmt: skip
    seeds = [seed for seed in sorted(set(own) & set(others)) if min(len(own[seed]), len(others[seed])) >= 2]
    pairs = [(wander(own[seed]), wander(others[seed])) for seed in seeds]
    pairs = [pair for pair in pairs if min(pair) > 0]
    return ratio_interval(*zip(*pairs, strict=True)) if pairs else None


# ---- loss curves


def judge_scale(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """Whether the two terms end within half a power of ten of one another, unweighted and weighted by lambda and nu."""
    results = nearest(candidates, paper, dataset="cifar10")
    claim = (results or {}).get("scale")
    if results is None or not claim:
        return [Judged(claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", kind="ratio",
                       missing="the study lambda-mu-nu")]  # fmt: skip
    arm, rows = baseline_of(results), []
    apart = tuple(differences(results, arm, paper, probe=None))
    for what in ("ratio", "weighted"):
        if not claim.get(what):
            continue
        ratio = Interval(**claim[what])
        told = unsure(ratio)
        if ratio.low is not None and ratio.high is not None:
            inside = 1 / SAME_SCALE <= ratio.low and ratio.high <= SAME_SCALE
            outside = ratio.low > SAME_SCALE or ratio.high < 1 / SAME_SCALE
            reason = f"“the same scale” read as within a factor of {SAME_SCALE:.1f}"
            told = {"told": HOLDS if inside else FAILS if outside else OPEN, "reason": reason, "missing": "more seeds"}
        kind = "unweighted" if what == "ratio" else "weighted by λ and ν"
        rows.append(decide(Judged(
            claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", arm=f"invariance over covariance, {kind}",
            kind="ratio", ours=ratio, apart=apart, results=results, runs=digests(arm), **told,
        )))  # fmt: skip
    return rows


def judge_collapse(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """Whether a common scale indicates a collapse: how often the baseline's runs collapsed, if their terms are of one scale
    as the claim supposes; and among all runs of the study those of one scale beside the others."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None or not results.get("scale"):
        return [Judged(claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", kind="share",
                       missing="the study lambda-mu-nu")]  # fmt: skip
    arm, tally = baseline_of(results), results["scale"]
    named = [run["verdict"]["name"] for run in arm["runs"] if run["verdict"]]
    collapsed, n = sum(one in COLLAPSES for one in named), len(named)
    low, high = wilson(collapsed, n) if n else (None, None)
    same, other = tally["same"], tally["other"]
    said = (f"of runs whose unweighted terms are of one scale {same[0]} of {same[1]} collapsed, of the others {other[0]} of "
            f"{other[1]}")  # fmt: skip
    told, missing = (HOLDS if collapsed else FAILS), ""
    if not any(1 / SAME_SCALE <= tally[what]["mean"] <= SAME_SCALE for what in ("ratio", "weighted") if tally[what]):
        told, missing, said = OPEN, "a baseline whose terms are of one scale", f"the baseline's terms are not; {said}"
    elif n < LEAST_SEEDS or 0 < collapsed < n:
        told, missing = OPEN, "three seeds" if n < LEAST_SEEDS else "more seeds"
    return [decide(Judged(
        claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", arm="collapsed runs of the baseline", kind="share",
        ours=Interval(n=n, mean=collapsed / n, low=low, high=high, p=None) if n else None, told=told, reason=said,
        missing=missing, apart=tuple(differences(results, arm, paper, probe=None)), results=results, runs=digests(arm),
    ))]  # fmt: skip


# ---- maps


def judge_map(
    name: str, says: str, maps: Sequence[Results], paper: Mapping[str, Any], *, classes: bool
) -> list[Judged]:
    """Separated "for the most part": most neighbours on the plane are of the point's class. "Close to": of all pairs of
    classes, trucks and automobiles are among the three that are mixed most. One network, so no interval."""
    about = {"claim": name, "says": says, "study": "project", "dataset": "cifar10", "kind": "share"}
    shown = nearest_map(maps, paper, dataset="cifar10")
    if shown is None:
        return [Judged(**about, missing="the stage project on CIFAR-10")]
    quality = shown["quality"]
    if classes:
        purity = quality["2d"]["purity"]
        before = quality["features"]["purity"]
        reason = (f"one network: of {quality['neighbours']} neighbours on the plane {100 * purity:.0f} % are of the same "
                  f"class, among the {shown['features']} themselves {100 * before:.0f} %")  # fmt: skip
        told, ours = (HOLDS if purity > MAJORITY else FAILS), purity
    else:
        names = [{shown["classes"][pair["first"]], shown["classes"][pair["second"]]} for pair in shown["confused"]]
        mixed = [pair["share"] for pair, of in zip(shown["confused"], names) if of == {"automobile", "truck"}]
        listed = "; ".join(" and ".join(sorted(of)) for of in names)
        told, ours = (HOLDS if mixed else FAILS), (mixed[0] if mixed else None)
        reason = f"one network: the pairs mixed most are {listed or 'none'}"
    return [decide(Judged(
        **about, arm="map in two dimensions", told=told, reason=reason, apart=tuple(differences_of_map(shown, paper)),
        results=shown,
        ours=None if ours is None else Interval(n=1, mean=ours, low=None, high=None, p=None), runs=(shown["digest"],),
    ))]  # fmt: skip
