"""The source paper's claims about two arms, about its loss curves and about its maps, each held against a study."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.comparisons import COLLAPSES, SAME_SCALE
from study.judged import (
    FAILS,
    HOLDS,
    OPEN,
    Judged,
    Results,
    accuracies,
    baseline_of,
    by_name,
    decide,
    digests,
    nearest,
    paired,
    probe_of,
)
from study.protocol import dataset_of, differences
from study.spread import last_epochs, spread_ratio, wander
from study.statistics import LEAST_SEEDS, Interval, ratio_interval

GAIN, MARGIN = 0.02, 0.01  # the paper's "+2 points"; and what is too small to be called an improvement
MAJORITY = 0.5  # of a point's neighbours: separated "for the most part"


# ---- two arms


def judge_epochs(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """100 epochs against 50, half-way through the same schedule and with a schedule of their own."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="epochs", dataset="cifar10", kind="points", paper=GAIN,
                       missing="the study epochs")]  # fmt: skip
    whole, rows = by_name(results, "epochs-100"), []
    for other in ("halfway", "epochs-50"):
        arm = by_name(results, other)
        gain = paired(whole, arm, probe_of(results))
        apart = differences(
            results, whole, paper, free=("pretrain.epochs", "pretrain.warmup_epochs"), probe=probe_of(results)
        )
        rows.append(decide(Judged(
            claim=name, says=says, study="epochs", dataset="cifar10", arm=f"epochs-100 over {other}", kind="points", paper=GAIN,
            ours=gain, apart=tuple(apart), results=results, runs=digests(whole) + digests(arm), **told_of_gain(gain),
        )))  # fmt: skip
    return rows


def told_of_gain(gain: Interval | None) -> dict[str, str]:
    """Two points are found where the interval takes them in and excludes none, and refuted where it does not take them in."""
    if gain is None or gain.low is None or gain.high is None:
        return {"told": OPEN, "missing": "three seeds of both arms"}
    if not gain.low <= GAIN <= gain.high:
        return {"told": FAILS, "reason": "the interval does not take in two points"}
    if gain.low > 0:
        return {"told": HOLDS, "reason": "the interval takes in two points and excludes none"}
    return {"told": OPEN, "reason": "the interval takes in two points and none alike", "missing": "more seeds"}


def judge_batch_accuracy(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """"Does not improve": the difference is below a point, with its whole interval."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="batch-size", dataset="cifar10", kind="points",
                       missing="the study batch-size")]  # fmt: skip
    small, large = by_name(results, "size-128"), by_name(results, "size-256")
    difference = paired(large, small, probe_of(results))
    if difference is None or difference.low is None or difference.high is None:
        told = {"told": OPEN, "missing": "three seeds of both arms"}
    elif difference.high < MARGIN:
        told = {"told": HOLDS, "reason": "an improvement of a point is ruled out"}
    elif difference.low > 0:
        told = {"told": FAILS, "reason": "the interval lies above none"}
    else:
        told = {"told": OPEN, "reason": "an improvement of a point is neither found nor ruled out", "missing": "more seeds"}
    return [decide(Judged(
        claim=name, says=says, study="batch-size", dataset="cifar10", arm="size-256 over size-128", kind="points",
        ours=difference, apart=tuple(apart_of_sizes(results, small, paper)), results=results,
        runs=digests(small) + digests(large), **told,
    ))]  # fmt: skip


def judge_batch_stability(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """"More stable", two ways: how far the loss wanders over the last epochs, paired by seed, which decides; and how far
    accuracy spreads over seeds, which takes many seeds."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [Judged(claim=name, says=says, study="batch-size", dataset="cifar10", kind="ratio",
                       missing="the study batch-size")]  # fmt: skip
    small, large = by_name(results, "size-128"), by_name(results, "size-256")
    apart = tuple(apart_of_sizes(results, small, paper, probe=None))
    about = {"claim": name, "says": says, "study": "batch-size", "dataset": "cifar10", "kind": "ratio", "apart": apart,
             "results": results, "runs": digests(small) + digests(large)}  # fmt: skip
    rows = []
    for what, key in (("loss", "total"), ("k-NN accuracy", "knn")):
        ratio = wander_ratio(large, small, key)
        if ratio is not None:
            rows.append(decide(Judged(
                **about, arm=f"wander of the {what} over the last epochs, 256 over 128", ours=ratio, **told_of_ratio(ratio)
            )))  # fmt: skip
    spread = spread_ratio(accuracies(large, probe_of(results)), accuracies(small, probe_of(results)))
    rows.append(decide(Judged(
        **about, arm="spread of accuracy over seeds, 256 over 128", ours=spread, **told_of_ratio(spread)
    )))  # fmt: skip
    return rows


def told_of_ratio(ratio: Interval | None) -> dict[str, str]:
    """Less than 1 is more stable."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return {"told": OPEN, "missing": "three seeds of both arms"}
    if ratio.high < 1:
        return {"told": HOLDS, "reason": "the interval lies below 1"}
    if ratio.low > 1:
        return {"told": FAILS, "reason": "the interval lies above 1"}
    return {"told": OPEN, "reason": "the interval takes in 1", "missing": "more seeds"}


def wander_ratio(arm: Mapping[str, Any], reference: Mapping[str, Any], key: str) -> Interval | None:
    """The ratio of two arms' wander of one logged quantity over the last epochs, paired by seed; None where it was not logged
    at two of these epochs, or did not move."""
    own, others = ({
        run["seed"]: last_epochs([record.get(key) for record in run["history"]])
        for run in one["runs"] if run["status"] == "finished"
    } for one in (arm, reference))  # fmt: skip
    seeds = [seed for seed in sorted(set(own) & set(others)) if min(len(own[seed]), len(others[seed])) >= 2]
    pairs = [(wander(own[seed]), wander(others[seed])) for seed in seeds]
    pairs = [pair for pair in pairs if min(pair) > 0]
    return ratio_interval(*zip(*pairs, strict=True)) if pairs else None


def apart_of_sizes(
    results: Results, arm: Mapping[str, Any], paper: Mapping[str, Any], *, probe: str | None = "own"
) -> list[str]:
    """The side study is of ResNet-18: the backbone is its own, and its width is not."""
    free = ("pretrain.backbone", "pretrain.batch_size")
    return differences(results, arm, paper, free=free, probe=probe_of(results) if probe else None)


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
        told = {"told": OPEN, "missing": "three seeds"}
        if ratio.low is not None and ratio.high is not None:
            inside = 1 / SAME_SCALE <= ratio.low and ratio.high <= SAME_SCALE
            outside = ratio.low > SAME_SCALE or ratio.high < 1 / SAME_SCALE
            reason = f"“the same scale” read as within a factor of {SAME_SCALE:.1f}"
            told = {"told": HOLDS if inside else FAILS if outside else OPEN, "reason": reason}
        kind = "unweighted" if what == "ratio" else "weighted by λ and ν"
        rows.append(decide(Judged(
            claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", arm=f"invariance over covariance, {kind}",
            kind="ratio", ours=ratio, apart=apart, results=results, runs=digests(arm), **told,
        )))  # fmt: skip
    return rows


def judge_collapse(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """Whether a common scale indicates a collapse: how often the baseline's runs collapsed, and among all runs of the study
    those of one scale beside the others."""
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None or not results.get("scale"):
        return [Judged(claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", kind="share",
                       missing="the study lambda-mu-nu")]  # fmt: skip
    arm, tally = baseline_of(results), results["scale"]
    named = [run["verdict"]["name"] for run in arm["runs"] if run["verdict"]]
    collapsed, outcomes = sum(one in COLLAPSES for one in named), arm["outcomes"]
    same, other = tally["same"], tally["other"]
    said = f"{same[0]} of {same[1]} runs whose two terms are of one scale collapsed, and {other[0]} of {other[1]} of the others"
    told = FAILS if named and not collapsed else HOLDS if collapsed == len(named) and named else OPEN
    if len(named) < LEAST_SEEDS:
        told = OPEN
    return [decide(Judged(
        claim=name, says=says, study="lambda-mu-nu", dataset="cifar10", arm="collapsed runs of the baseline", kind="share",
        ours=Interval(n=len(named), mean=collapsed / max(1, len(named)), low=outcomes["low"], high=outcomes["high"], p=None),
        told=told, reason=said, apart=tuple(differences(results, arm, paper, probe=None)), results=results, runs=digests(arm),
    ))]  # fmt: skip


# ---- maps


def judge_map(
    name: str, says: str, maps: Sequence[Results], paper: Mapping[str, Any], *, classes: bool
) -> list[Judged]:
    """Separated "for the most part": most neighbours on the plane are of the point's class. "Close to": of all pairs of
    classes, trucks and automobiles are among the three that are mixed most. One network, so no interval."""
    about = {"claim": name, "says": says, "study": "project", "dataset": "cifar10", "kind": "share"}
    maps = [one for one in maps if dataset_of(one["data"]) == "cifar10" and one.get("quality")]
    if not maps:
        return [Judged(**about, missing="the stage project on CIFAR-10")]
    shown = min(maps, key=lambda one: len(differences(one, {"settings": {}}, paper, probe=None)))
    apart = differences(shown, {"settings": {}}, paper, probe=None)
    quality = shown["quality"]
    if classes:
        purity = quality["2d"]["purity"]
        reason = (f"of {quality['neighbours']} neighbours on the plane {100 * purity:.0f} % are of the same class, among the "
                  f"{shown['features']} themselves {100 * quality['features']['purity']:.0f} %")  # fmt: skip
        told, ours = (HOLDS if purity > MAJORITY else FAILS), purity
    else:
        names = [{shown["classes"][pair["first"]], shown["classes"][pair["second"]]} for pair in shown["confused"]]
        mixed = [pair["share"] for pair, of in zip(shown["confused"], names) if of == {"automobile", "truck"}]
        listed = "; ".join(" and ".join(sorted(of)) for of in names)
        told, ours = (HOLDS if mixed else FAILS), (mixed[0] if mixed else None)
        reason = f"the pairs mixed most: {listed}"
    return [decide(Judged(
        **about, arm="map in two dimensions", told=told, reason=reason, apart=tuple(apart), results=shown,
        ours=None if ours is None else Interval(n=1, mean=ours, low=None, high=None, p=None), runs=(shown["digest"],),
    ))]  # fmt: skip
