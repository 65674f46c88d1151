"""The source paper's numbers and claims, each held against what was measured: a verdict, how sure it is, what is missing.

A number is one run of the paper's. It is reproduced where it lies among the values that one more run of ours would take
(the 95 % prediction interval over seeds), not reproduced where it lies outside, and undetermined where the protocol differs
or seeds are too few to say. A claim about two arms is judged by the 95 % interval of their paired difference; "+2 points",
which is one pair of runs, by that of one more pair. What was measured by a reduced recipe decides nothing about the paper's:
it is shown as what it is, with all in which it differs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study.analysis.intervals import mean_interval, prediction_interval
from study.analysis.moments import LEAST_SEEDS
from study.analysis.spread import spread_ratio
from study.paper.judged import (
    FAILS,
    HOLDS,
    OPEN,
    Judged,
    Results,
    accuracies,
    arms_of,
    baseline_of,
    decide,
    digests,
    nearest,
    probe_of,
    unsure,
)
from study.paper.protocol import differences
from study.paper.side_claims import (
    judge_batch_accuracy,
    judge_batch_stability,
    judge_collapse,
    judge_epochs,
    judge_map,
    judge_scale,
    told_of_ratio,
)
from study.results.comparisons import Interval

WIDEST = 0.05  # half a prediction interval: a wider one would take in almost any number, and agree with it


def judge(found: Mapping[str, Sequence[Results]], maps: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """Every number and claim of the paper, in its own order, beside the best measurement there is of it.

    Args:
        found: study -> results of it, from whatever profile.
        maps: t-SNE projections, as `tsne.json` holds them, each with `data` and `recipe` of its run.
        paper: `source_paper` of published.yaml.
    """
    rows = [row for number in paper["numbers"] for row in judge_number(number, found.get(number["study"], ()), paper)]
    judges: Mapping[str, Callable[[str, str], list[Judged]]] = {
        "epochs": lambda name, says: judge_epochs(name, says, found.get("epochs", ()), paper),
        "batch-size-accuracy": lambda name, says: judge_batch_accuracy(name, says, found.get("batch-size", ()), paper),
        "batch-size-stability": lambda name, says: judge_batch_stability(name, says, found.get("batch-size", ()), paper),
        "scale": lambda name, says: judge_scale(name, says, found.get("lambda-mu-nu", ()), paper),
        "collapse": lambda name, says: judge_collapse(name, says, found.get("lambda-mu-nu", ()), paper),
        "tsne-classes": lambda name, says: judge_map(name, says, maps, paper, classes=True),
        "tsne-trucks": lambda name, says: judge_map(name, says, maps, paper, classes=False),
        "generalises": lambda name, says: judge_generalises(name, says, found.get("generalisation", ()), paper),
        "imagenet-stability": lambda name, says: judge_imagenet_stability(
            name, says, found.get("generalisation", ()), found.get("stem", ()), paper
        ),
    }
    for name, says in paper["claims"].items():
        rows += judges[name](name, says)
    return rows


# ---- numbers


def judge_number(number: Mapping[str, Any], candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """A published accuracy beside every arm of the study that measures it: what the paper is silent about is an arm."""
    trained = number["study"] != "generalisation"
    about = {"claim": number["id"], "says": number["says"], "study": number["study"], "dataset": number["dataset"]}
    about["paper"] = number["linear"] / 100
    results = nearest(candidates, paper, dataset=number["dataset"], trained=trained)
    if results is None:
        return [Judged(**about, missing=f"the study {number['study']} on {number['dataset']}")]
    free = ("pretrain.stem",) if trained else ("prepare.image_size", "pretrain.image_size")
    rows = []
    for arm in arms_of(results):
        values = accuracies(arm, "linear")
        apart = differences(results, arm, paper, free=free, trained=trained)
        rows.append(decide(Judged(
            **about, arm=arm["name"], results=results, runs=digests(arm), ours=mean_interval(values) if values else None,
            difference=beside(values, number["linear"] / 100), apart=tuple(apart), **told_of_number(values, about["paper"]),
        )))  # fmt: skip
    return rows


def told_of_number(values: Sequence[float], paper: float) -> dict[str, str]:
    """Whether a published single run is one of ours: `told`, `reason` and what is `missing`."""
    if not values:
        return {"told": OPEN, "reason": "not judged by the paper's linear evaluation", "missing": "the linear evaluation"}
    if len(values) < LEAST_SEEDS:
        seeds = "one seed says" if len(values) == 1 else f"{len(values)} seeds say"
        return {"told": OPEN, "reason": f"{seeds} nothing of the spread over seeds", "missing": "three seeds"}
    bounds = prediction_interval(values)
    if bounds is None:
        return {"told": OPEN, "reason": "all seeds came to the same number", "missing": "more seeds"}
    low, high = bounds
    said = f"one more run would lie in {100 * low:.1f} to {100 * high:.1f} %"
    if not low <= paper <= high:
        side = "above" if paper > high else "below"
        return {"told": FAILS, "reason": f"{said}; the paper's number lies {side}"}
    if (high - low) / 2 > WIDEST:
        return {"told": OPEN, "reason": f"{said}, which is too wide to agree with a number", "missing": "more seeds"}
    return {"told": HOLDS, "reason": f"{said}; the paper's number is among them"}


def beside(values: Sequence[float], paper: float) -> Interval | None:
    """Ours less the paper's number, with the interval of our mean: its own uncertainty a single run does not tell."""
    if not values:
        return None
    own = mean_interval(values)
    low, high = (None if bound is None else bound - paper for bound in (own.low, own.high))
    return Interval(n=own.n, mean=own.mean - paper, low=low, high=high, p=None)


# ---- the authors' network


def judge_generalises(name: str, says: str, candidates: Sequence[Results], paper: Mapping[str, Any]) -> list[Judged]:
    """Linear accuracy above that of the same network before any training, at the input size that does best on validation."""
    free = ("prepare.image_size", "pretrain.image_size")
    rows = []
    for dataset in ("cifar10", "cifar100"):
        about = {"claim": name, "says": says, "study": "generalisation", "dataset": dataset, "kind": "points"}
        results = nearest(candidates, paper, dataset=dataset, trained=False)
        if results is None:
            rows.append(Judged(**about, missing=f"the study generalisation on {dataset}"))
            continue
        probe = probe_of(results)
        arm = max(arms_of(results), key=lambda one: (one["summary"].get(f"validation_{probe}") or {"mean": -1.0})["mean"])
        gain = (arm["summary"].get(probe) or {}).get("gain")
        known = None if gain is None else Interval(**{key: gain[key] for key in ("n", "mean", "low", "high", "p")})
        told = unsure(known)
        if known is not None and known.low is not None and known.high is not None:
            decided = HOLDS if known.low > 0 else FAILS if known.high < 0 else OPEN
            told = {"told": decided, "reason": "gain over the same network before training", "missing": "more seeds"}
        apart = differences(results, arm, paper, probe=probe, free=free, trained=False)
        rows.append(decide(Judged(
            **about, arm=arm["name"], ours=known, apart=tuple(apart), results=results, runs=digests(arm), **told
        )))  # fmt: skip
    return rows


def judge_imagenet_stability(
    name: str, says: str, others: Sequence[Results], own: Sequence[Results], paper: Mapping[str, Any]
) -> list[Judged]:
    """The spread over seeds of the linear evaluation of the authors' network, beside that of networks trained here."""
    about = {"claim": name, "says": says, "dataset": "cifar10", "kind": "ratio"}
    given = nearest(others, paper, dataset="cifar10", trained=False)
    ours = nearest(own, paper, dataset="cifar10")
    if given is None or ours is None:
        lacking = [study for study, one in (("generalisation", given), ("stem", ours)) if one is None]
        missing = f"the {'study' if len(lacking) == 1 else 'studies'} {' and '.join(lacking)}"
        return [Judged(**about, study=lacking[0], missing=missing)]
    theirs, baseline = baseline_of(given), baseline_of(ours)
    values, reference = accuracies(theirs, "linear"), accuracies(baseline, "linear")
    ratio = spread_ratio(values, reference)
    at_fault = differences(given, theirs, paper, free=("prepare.image_size", "pretrain.image_size"), trained=False)
    apart = [*at_fault, *differences(ours, baseline, paper, free=("pretrain.stem",))]
    first = bool(at_fault) or not (apart or len(reference) < len(values))
    wanting, study = (given, "generalisation") if first else (ours, "stem")  # whose runs a verdict would take first
    return [decide(Judged(
        **about, study=study, arm="spread of accuracy over seeds, theirs over ours", ours=ratio, results=wanting,
        reference=ours if first else given, apart=tuple(dict.fromkeys(apart)), runs=digests(theirs, baseline),
        **told_of_ratio(ratio),
    ))]  # fmt: skip
