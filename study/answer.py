"""A study's numbers in sentences: its answer, what must be known before reading on, and notes.

Every sentence follows from the summary's numbers; none is written for a study.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from study.plan import Plan
from study.runs import DIVERGED, FAILED, FINISHED, KILLED, MISSING, OUT_OF_MEMORY, PARTIAL, PRUNED
from study.statistics import mean
from vicreg.datasets import Dataset
from vicreg.live_taps import parameters_without_gradient
from vicreg.pretrain import new_model, view_size

SAYS_NOTHING = (MISSING, PARTIAL, KILLED, FAILED, OUT_OF_MEMORY)  # of the settings, where a run ended or stands so
ALPHA = 0.05
_ENDINGS = {DIVERGED: "diverged", KILLED: "was killed", OUT_OF_MEMORY: "ran out of memory", FAILED: "failed",
            MISSING: "is missing", PARTIAL: "is unfinished", PRUNED: "was pruned"}  # fmt: skip


def answer(summary: Mapping[str, Any]) -> str:
    """One or two sentences: what was best, by how much and how sure that is, and how many collapsed, by what name."""
    arms, primary = summary["arms"], summary["primary"]
    trained = [arm for arm in arms if not arm["is_control"]]
    # What a search or a tuning tried was compared on validation, one seed each; test must not choose among it once more.
    measured = [arm for arm in trained if arm["role"] in ("arm", "step") and primary in arm["summary"]]
    if not measured:
        return "No run has finished yet, so there is no answer yet."
    best = max(measured, key=lambda arm: arm["summary"][f"validation_{primary}"]["mean"])
    main = best["summary"][primary]
    sentence = f"Best on validation is {best['label']}; on test it has {percent(main)} {probe(primary)} top-1"
    if best["is_baseline"]:
        sentence += ". It is the baseline"
        sentence += _others(measured, primary)
    else:
        sentence += f", {against(main['difference'], 'the baseline')}"
    sentences = [sentence, _collapsed(trained), _of_design(summary)]
    if summary["mode"] == "grid":  # which asks for a region before it asks for a best cell
        sentences = [_collapsed(trained), _of_design(summary), sentence]
    return ". ".join(one for one in sentences if one) + "."


def _others(measured: Sequence[Mapping[str, Any]], primary: str) -> str:
    """How many other healthy arms are below the baseline beyond doubt, and how many are not told apart from it."""
    told = [
        arm["summary"][primary]["difference"] for arm in measured
        if arm["verdict"]["name"] == "healthy" and not arm["is_baseline"]
    ]  # fmt: skip
    told = [one for one in told if one is not None and one.get("p_holm") is not None]
    close = sum(one["p_holm"] >= ALPHA for one in told)
    if not close:
        return ""
    return f", and {close} other healthy {'arm is' if close == 1 else 'arms are'} not told apart from it"


def _collapsed(trained: Sequence[Mapping[str, Any]]) -> str:
    judged = [arm for arm in trained if arm["role"] != "tuning" and arm["verdict"]["name"] not in SAYS_NOTHING]
    counts = Counter(arm["verdict"]["name"] for arm in judged if arm["verdict"]["name"] != "healthy")
    if PRUNED in counts:  # which is done for complete collapse alone
        counts["complete and pruned"] = counts.pop(PRUNED)
    noun = "settings" if any(arm["role"] == "trial" for arm in judged) else "arms"
    diverged = counts.pop(DIVERGED, 0)  # which is no collapse
    if counts:
        names = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return f"Of {len(judged)} {noun}, {counts.total()} collapsed ({names})" + (
            f" and {diverged} diverged" if diverged else ""
        )
    if diverged:
        return f"Of {len(judged)} {noun}, {diverged} diverged and none collapsed"
    return f"None of {len(judged)} {noun} collapsed" if len(judged) > 1 else ""


def _of_design(summary: Mapping[str, Any]) -> str:
    """What the design adds: the strongest factor of a grid, what pruning saved, the step that earned most."""
    if summary["grid"] and summary["grid"]["anova"]:
        top = max(summary["grid"]["anova"]["effects"], key=lambda effect: effect["partial_eta_squared"])
        share = 100 * top["partial_eta_squared"]
        return f"Most of what varies is explained by {top['term']} (partial eta squared {share:.0f} %)"
    if summary["search"]:
        pruned = summary["search"]["pruned"]
        saved = 100 * pruned["saved"]
        return (
            f"Pruning of {pruned['trials']} collapsed trials saved {saved:.0f} % of the search's epochs"
            if pruned["trials"]
            else ""
        )
    if summary["path"] and summary["path"]["steps"]:
        most = max(summary["path"]["steps"], key=lambda step: step["gain"]["mean"])
        return f"Of the changes on the way, {most['change']} earned most ({signed(most['gain']['mean'])} points)"
    return ""


def alerts(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know before any number: runs without a result, by name, and too few seeds to conclude from."""
    found = []
    runs = [(arm, run) for arm in summary["arms"] if arm["role"] != "trial" for run in arm["runs"]]
    lost = [(arm, run) for arm, run in runs if run["status"] != FINISHED]
    if lost:
        named = {}
        for arm, run in lost:
            named.setdefault(_ENDINGS[run["status"]], []).append(f"{arm['label']} seed {run['seed']}")
        what = "; ".join(f"{_many(names)} {ending}" for ending, names in named.items())
        found.append(
            f"{len(lost)} of {len(runs)} runs {'has' if len(lost) == 1 else 'have'} no result: {what}. They count in every "
            "rate and in no mean."
        )
    trained = [arm for arm in summary["arms"] if arm["role"] in ("arm", "step")]
    seeds = max((len([run for run in arm["runs"] if run["status"] == FINISHED]) for arm in trained), default=0)
    if 0 < seeds < 3:
        found.append(f"n = {seeds}: descriptive only. Below three seeds nothing is concluded from a difference.")
    return found


def _many(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def against(interval: Mapping[str, Any] | None, reference: str) -> str:
    """A difference in words, with its interval, its number of seeds and what Holm's adjustment leaves of it."""
    if interval is None:
        return f"with no run of {reference} to compare with"
    points = f"{signed(interval['mean'])} points from {reference}"
    if interval["low"] is None:
        return f"{points} (n = {interval['n']}, too few for an interval: descriptive only)"
    adjusted = interval.get("p_holm")
    meaning = "" if adjusted is None or adjusted < ALPHA else ", so not told apart from it"
    p = "" if adjusted is None else f", Holm's p {'< 0.001' if adjusted < 0.001 else f'= {adjusted:.3f}'}"
    bounds = f"95 % interval {signed(interval['low'])} to {signed(interval['high'])}"
    return f"{points} ({bounds}, {interval['n']} paired seeds{p}{meaning})"


def signed(share: float) -> str:
    """A share as percentage points with its sign."""
    return f"{100 * share:+.1f}"


def percent(summary: Mapping[str, Any]) -> str:
    spread = "" if summary["sd"] is None else f" ± {100 * summary['sd']:.1f}"
    return f"{100 * summary['mean']:.1f}{spread} %"


def probe(name: str) -> str:
    return "linear (cached features)" if name == "linear_cached" else name.replace("knn_", "k-NN ")


def notes(plan: Plan, summary: Mapping[str, Any], dataset: Dataset) -> list[str]:
    """Sentences on where these results and published ones agree, and on what sets these runs apart."""
    arms = summary["arms"]
    chosen = []
    if plan.study.mode == "search":
        chosen = [
            "The settings were proposed and chosen on validation at seeds of their own; what was chosen was then run at the "
            "study's seeds and read on test, so that its lead is not the luck of the best of many."
        ]
    if plan.study.nuisance:
        keys = ", ".join(plan.study.nuisance)
        chosen.append(f"In every arm alike, {keys} was tuned on validation, at a seed that is none of the study's.")
    return [
        *_hinge_note(arms), *_published_note(arms, summary["published_source"]), *chosen, *_joint_note(plan),
        *_dead_taps_note(plan, dataset),
    ]  # fmt: skip


def _published_note(arms: Sequence[Mapping[str, Any]], source: str | None) -> list[str]:
    compared = [arm for arm in arms if arm["agrees"] is not None]
    if not compared or not source:
        return []
    differing = []
    for arm in compared:
        if arm["agrees"] is False:
            found = "collapse" if arm["published"].get("collapse") else "no collapse"
            differing.append(f"{arm['label']} ({found} there, {arm['verdict']['name']} here)")
    agree = len(compared) - len(differing)
    sentence = f"Of {len(compared)} arms with a published outcome ({source}), {agree} agree"
    return [sentence + (f"; not {'; '.join(differing)}." if differing else ".")]


def _joint_note(plan: Plan) -> list[str]:
    """Which arms normalised both views together, which is a training of another kind."""
    trained = [cell for cell in plan.cells if not cell.is_control]
    joint = sorted({cell.label for cell in trained if cell.run.config.pretrain.view_passes == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {', '.join(joint)}: not the "
        "published training, which normalises each view by itself."
    ]


def _dead_taps_note(plan: Plan, dataset: Dataset) -> list[str]:
    """How much of the baseline's backbone can never learn, where images are too small for its kernels."""
    settings = next(cell for cell in plan.cells if not cell.is_control).run.config.pretrain
    size = view_size(settings, dataset.train.images)
    image = torch.zeros(1, dataset.train.images.shape[1], size, size)
    dead, every = parameters_without_gradient(new_model(settings, dataset).backbone, image)
    if dead == 0:
        return []
    return [
        f"At {size} x {size} pixels with the {settings.stem} stem {100 * dead / every:.0f} % of the parameters of the "
        f"{settings.backbone} never receive a gradient: the last feature maps are smaller than the kernels, whose outer "
        "taps see only padding."
    ]


def _hinge_note(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the variance term got with the baseline: a std at gamma means that it is satisfied."""
    last = [run["history"][-1] for arm in arms if arm["is_baseline"] for run in arm["runs"] if run["history"]]
    if not last:
        return []
    std = mean([record["embedding_std_mean"] for record in last])
    below = mean([record["embedding_share_below_gamma"] for record in last])
    return [
        f"At the baseline's last epoch the embeddings' std within a batch is {std:.2f} on average, and {100 * below:.0f} % "
        "of dimensions are below gamma, where the variance term still pulls."
    ]
