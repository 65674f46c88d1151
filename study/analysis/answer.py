"""A study's numbers in sentences: its answer, what must be known before reading on, and notes.

Every sentence follows from the summary's numbers; none is written for a study.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from study.analysis.statistics import mean
from study.runs.outcomes import DIVERGED, FAILED, FINISHED, KILLED, MISSING, OUT_OF_MEMORY, PARTIAL, PRUNED
from study.spec.plan import Plan
from vicreg.data.dataset import Dataset
from vicreg.models.live_taps import parameters_without_gradient
from vicreg.training.loop import new_model, view_size

SAYS_NOTHING = (MISSING, PARTIAL, KILLED, FAILED, OUT_OF_MEMORY)  # of the settings, where a run ended or stands so
ALPHA = 0.05
_ENDINGS = {  # status -> what became of one run, and of several
    DIVERGED: ("diverged", "diverged"), KILLED: ("was killed", "were killed"), FAILED: ("failed", "failed"),
    OUT_OF_MEMORY: ("ran out of memory", "ran out of memory"), MISSING: ("is missing", "are missing"),
    PARTIAL: ("is unfinished", "are unfinished"), PRUNED: ("was pruned", "were pruned"),
}  # fmt: skip


def answer(summary: Mapping[str, Any]) -> str:
    """A few sentences: what was best, by how much and how sure that is, what else is told apart from the baseline, and how
    many collapsed, by what name."""
    arms, primary = summary["arms"], summary["primary"]
    # What a search or a tuning tried was compared on validation, one seed each; test must not choose among it once more.
    measured = [arm for arm in arms if arm["role"] in ("arm", "step") and primary in arm["summary"]]
    if not measured:
        return "No run has finished yet, so there is no answer yet."
    sentences = [_best(measured, primary), _told_apart(measured, primary), _collapsed(arms), _of_design(summary)]
    if summary["mode"] == "grid":  # which asks for a region before it asks for a best cell
        sentences = [sentences[2], sentences[3], *sentences[:2]]
    return ". ".join(one for one in sentences if one) + "."


def _best(measured: Sequence[Mapping[str, Any]], primary: str) -> str:
    """The arm that is best on validation among those that finished at every seed: a mean over seeds that survived would
    speak for settings that let some diverge."""
    whole = [arm for arm in measured if arm["summary"][primary]["n"] == arm["outcomes"]["asked"]]
    partly = [arm["label"] for arm in measured if arm not in whole]
    passed_over = f" ({_many(partly)} lost seeds and {_is(partly)} not considered)" if partly else ""
    if not whole:
        return f"No arm has finished at every seed, so none is called best{passed_over}"
    best = max(whole, key=lambda arm: arm["summary"][f"validation_{primary}"]["mean"])
    main = best["summary"][primary]
    sentence = f"Best on validation is {best['label']}{passed_over}; on test it has {percent(main)} {probe(primary)} top-1"
    if best["is_baseline"]:
        return f"{sentence}. It is the baseline"
    return f"{sentence}, {against(main['difference'], 'the baseline')}"


def _told_apart(measured: Sequence[Mapping[str, Any]], primary: str) -> str:
    """How many of all arms are above the baseline, below it and not told apart from it, by Holm's p-values."""
    tested = [(arm["label"], arm["summary"][primary]["difference"]) for arm in measured if not arm["is_baseline"]]
    tested = [(label, one) for label, one in tested if one is not None and one.get("p_holm") is not None]
    if len(tested) < 2:
        return ""
    above = [label for label, one in tested if one["p_holm"] < ALPHA and one["mean"] > 0]
    below = [label for label, one in tested if one["p_holm"] < ALPHA and one["mean"] < 0]
    if not above and not below:
        return f"By Holm's adjusted p-values none of {len(tested)} arms is told apart from the baseline"
    parts = [f"{_many(names)} {_is(names)} {where} it" for names, where in ((above, "above"), (below, "below")) if names]
    rest = len(tested) - len(above) - len(below)
    others = f" and {rest} of {len(tested)} arms {'is' if rest == 1 else 'are'} not told apart from it" if rest else ""
    return f"Against the baseline, by Holm's adjusted p-values, {', '.join(parts)}{others}"


def _collapsed(arms: Sequence[Mapping[str, Any]]) -> str:
    """How many of all settings collapsed, each counted once, whatever arms and trials it is the setting of."""
    verdicts: dict[str, str] = {}
    for arm in arms:
        if arm["role"] in ("arm", "step", "trial"):
            verdicts.setdefault(json.dumps(arm["settings"], sort_keys=True), arm["verdict"]["name"])
    noun = "settings" if any(arm["role"] == "trial" for arm in arms) else "arms"
    counts = Counter(verdicts.values())
    if PRUNED in counts:  # which is done for complete collapse alone
        counts["complete and pruned"] = counts.pop(PRUNED)
    other = {_ENDINGS[name]: counts.pop(name) for name in (DIVERGED, *SAYS_NOTHING) if name in counts}
    counts.pop("healthy", None)
    if len(verdicts) < 2 and not counts and not other:
        return ""
    names = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    collapsed = f"{counts.total()} collapsed ({names})" if counts else "none collapsed"
    endings = [f"{count} {ending[count != 1]}" for ending, count in other.items()]
    return ", ".join([f"Of {len(verdicts)} {noun} {collapsed}", *endings])


def _of_design(summary: Mapping[str, Any]) -> str:
    """What the design adds: the terms that explain most of a grid, what pruning saved, the step that earned most."""
    if summary["grid"] and summary["grid"]["anova"]:
        effects = [effect for effect in summary["grid"]["anova"]["effects"] if effect["p"] < ALPHA]
        effects = sorted(effects, key=lambda effect: -effect["share"])[:2]
        named = [f"{effect['term']} explains {100 * effect['share']:.0f} %" for effect in effects]
        return f"Of the variance of accuracy over the grid's runs {' and '.join(named)}" if named else ""
    if summary["search"]:
        pruned = summary["search"]["pruned"]
        saved = f"Pruning of {pruned['trials']} collapsed trials saved {100 * pruned['saved']:.0f} % of the search's epochs"
        front = summary["search"]["front"]
        several = f"{len(front)} trials are on the Pareto front" if len(summary["search"]["objectives"]) > 1 else ""
        return ". ".join(one for one in (several, saved if pruned["trials"] else "") if one)
    if summary["path"] and summary["path"]["steps"]:
        most = max(summary["path"]["steps"], key=lambda step: step["gain"]["mean"])
        if most["gain"]["mean"] <= 0 or most["gain"]["n"] < 3:
            return ""
        return f"Of the changes on the way {most['change']} earned most: {against(most['gain'], 'the step before')}"
    return ""


def alerts(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know before any number: runs without a result, by name, and too few seeds to conclude from."""
    found = []
    runs = [(arm, run) for arm in summary["arms"] for run in arm["runs"]]
    lost = [
        (arm, run) for arm, run in runs if run["status"] != FINISHED and (arm["role"], run["status"]) != ("trial", PRUNED)
    ]
    if lost:
        named: dict[str, list[str]] = {}
        for arm, run in lost:
            name = arm["name"] if arm["role"] == "trial" else arm["label"]
            named.setdefault(run["status"], []).append(f"{name} seed {run['seed']}")
        what = "; ".join(f"{_many(names)} {_ENDINGS[status][len(names) > 1]}" for status, names in named.items())
        has = "has" if len(lost) == 1 else "have"
        found.append(f"{len(lost)} of {len(runs)} runs {has} no result: {what}. They count in every rate and in no mean.")
    seeds = _paired_seeds(summary)
    if 0 < seeds < 3:
        found.append(f"n = {seeds}: descriptive only. Below three seeds nothing is concluded from a difference.")
    return found


def _paired_seeds(summary: Mapping[str, Any]) -> int:
    """The most seeds that any arm shares with the baseline; of a baseline alone, its own."""
    primary = summary["primary"]
    measured = [
        arm["summary"][primary] for arm in summary["arms"] if arm["role"] in ("arm", "step") and primary in arm["summary"]
    ]
    paired = [entry["difference"]["n"] for entry in measured if entry["difference"] is not None]
    return max(paired or [entry["n"] for entry in measured], default=0)


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _many(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def against(interval: Mapping[str, Any] | None, reference: str) -> str:
    """A difference in words, with its interval, its number of seeds and what Holm's adjustment leaves of it."""
    if interval is None:
        return f"with no run of {reference} to compare with"
    points = f"{signed(interval['mean'])} points from {reference}"
    if interval["low"] is None:
        if interval["n"] > 2:
            return f"{points} (the same at each of {interval['n']} seeds, so there is no spread to tell by)"
        return f"{points} (n = {interval['n']}, too few for an interval: descriptive only)"
    adjusted = interval.get("p_holm")
    meaning = "" if adjusted is None or adjusted < ALPHA else ", so not told apart from it"
    p = "" if adjusted is None else f", Holm's p {'< 0.001' if adjusted < 0.001 else f'= {adjusted:.3f}'}"
    bounds = f"95 % interval {signed(interval['low'])} to {signed(interval['high'])}"
    return f"{points} ({bounds}, {interval['n']} paired seeds{p}{meaning})"


def signed(share: float) -> str:
    """A share as percentage points with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


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
