"""Everything a report prints, formatted once, so that its HTML and Markdown twins cannot disagree."""

from study.reporting import drawing, panels
from study.reporting.design_view import (
    anova_table,
    importance_table,
    path_table,
    predictor_table,
    scale_claim,
    trial_table,
    tuning_table,
)
from study.reporting.formatting import (
    MEASURES,
    certainty_of,
    duration,
    figure_of,
    key_name,
    mean_and_sd,
    measure_name,
    no_difference,
    outcome_lines,
    paired,
    plain,
    quantity,
    role,
    seeds_of,
    settings_lines,
    verdict_view,
    without_paths,
)
from study.reporting.glossary import GLOSSARY, VERDICT_GLOSSARY
from study.reporting.runs_view import certificate_of, evaluation_table, failures, provenance, run_rows

COLOURS = {"healthy": "green", "uninformative": "orange", "informational": "blue", "dimensional": "pink",
           "complete": "vermillion"}  # fmt: skip
SPACES = ("representations", "embeddings")


def build_view(study, project=None, evaluation=None, curves=None, certificate=None, timing=None):
    """The view of a study: a plain dict of strings, lists and dicts."""
    measures = list(dict.fromkeys(["knn_20", "linear_cached", study["primary"]]))
    everything = study["arms"]
    arms = [arm for arm in everything if role(arm) not in ("trial", "tuning")]
    units = any(_effective(arm) != _nominal(arm, study["recipe"]) for arm in arms if _effective(arm))
    verdicts = [name for name in drawing.VERDICTS if any((arm.get("verdict") or {}).get("name") == name for arm in arms)]
    return {
        "study": study["study"], "question": study["question"], "hypothesis": study["hypothesis"],
        "profile": study["profile"], "mode": study["mode"], "answer": study["answer"],
        "warnings": _warnings(study), "notes": [without_paths(note) for note in study.get("notes") or []],
        "scale": _scale(study), "cost": _cost(study, timing), "design": _design(study),
        "has_control": any(arm["is_control"] for arm in arms),
        "measures": [measure_name(name) for name in measures], "primary": measure_name(study["primary"]),
        "has_published": any(arm.get("published") for arm in arms), "published": _published_notes(study),
        "arms": [_arm_view(arm, measures, study["primary"], units=units) for arm in arms],
        "certainty": _certainty(study, arms), "power": _power(study), "every_measure": _every_measure(arms),
        "verdicts": _verdicts(arms), "colours": ", ".join(f"{COLOURS[name]} {name}" for name in verdicts),
        "figures": panels.figures_of(study, measures, curves), "map": panels.map_of(study, project),
        "phase": panels.phase_source(study), "anova": anova_table(study), "importances": importance_table(study),
        "trials": trial_table(study),
        "tuning": tuning_table(study), "path": path_table(study), "predictors": predictor_table(study),
        "claim": scale_claim(study),
        "evaluation": evaluation_table(study, evaluation), "failures": failures(everything),
        "runs": run_rows(everything, study, timing),
        "provenance": provenance(study), "certificate": certificate_of(certificate),
        "verdict_glossary": [(verdict_view({"name": name}), text) for name, text in VERDICT_GLOSSARY],
        "glossary": GLOSSARY,
    }  # fmt: skip


# ---- the head


def _warnings(study):
    warnings = [without_paths(alert) for alert in study.get("alerts") or []]
    if study["data"].get("note"):
        warnings.append(f"About the data: {without_paths(study['data']['note'])}")
    if study.get("overrides"):
        warnings.append(f"Run with changes to the profile: {', '.join(settings_lines(study['overrides']))}.")
    if any(commit.endswith("-dirty") for commit in study.get("commits") or []):
        warnings.append("Some runs were made from code with uncommitted changes (commits marked -dirty).")
    return warnings


def _scale(study):
    data, shape = study["data"], study["data"].get("shape") or []
    arms = [arm for arm in study["arms"] if role(arm) in ("arm", "step", "control")]
    seeds, controls = seeds_of(arms), sum(arm["is_control"] for arm in arms)
    untrained = ["", " and an untrained control"][controls] if controls < 2 else f" and {controls} untrained controls"
    size = f" of {' × '.join(map(str, shape))}" if shape else ""
    trials = sum(role(arm) == "trial" for arm in study["arms"])
    searched = f", {trials} trials of a search" if trials else ""
    return (f"{data.get('dataset')}: {data.get('train')} training, {data.get('validation')} validation and "
            f"{data.get('test')} test images{size}, {len(data.get('classes') or [])} classes; {len(arms) - controls} "
            f"arms{untrained}{searched}; {'seed' if len(seeds) == 1 else 'seeds'} "
            f"{', '.join(map(str, seeds))}.")  # fmt: skip


def _cost(study, timing):
    """What the runs took, in one sentence; empty for results that do not say."""
    cost = study.get("cost")
    if not cost:
        return ""
    runs = (timing or {"runs": {}})["runs"].values()
    took = f"; {duration(sum(run['seconds'] for run in runs))} of training, all runs added up" if runs else ""
    joules = sum(drawing.finite([run["joules"] for run in runs]))
    used = f", {joules / 3.6e6:.2g} kWh by the device's own counter" if joules else ""
    pruned = (study.get("search") or {}).get("pruned") or {}
    saved = f" Pruning saved {100 * pruned['saved']:.0f} % of the search's epochs." if pruned.get("trials") else ""
    return (f"Cost: {cost['runs']} runs, {quantity(cost['epochs'])} epochs, {quantity(cost['images'])} images, "
            f"{quantity(cost['operations'])} operations{took}{used} on "
            f"{study['environment'].get('device', 'an unnamed device')}.{saved}")  # fmt: skip


def _design(study):
    """(term, text) of what was varied, what was tuned alike in every arm, and what was held."""
    given = study.get("parameters")
    if not given:
        return []
    rows = [("Scientific, varied to learn of it", ", ".join(map(key_name, given["scientific"])) or "nothing")]
    tuned = [f"{key_name(key)} among {', '.join(map(plain, values))}" for key, values in given["nuisance"].items()]
    rows.append(("Nuisance, tuned alike in every arm", "; ".join(tuned) or "nothing"))
    held = "; ".join(settings_lines(given["fixed"]))
    rows.append(
        ("Fixed by the study", f"{held}; all else as the profile has it" if held else "all else, as the profile has it")
    )
    return rows


# ---- the arms


def _effective(arm):
    """(λ, μ, ν) in the official code's units, or None."""
    effective = arm.get("effective")
    return tuple(effective.get(key) for key in ("lambda_", "mu", "nu")) if effective else None


def _nominal(arm, recipe):
    """(λ, μ, ν) as the arm names them."""
    return tuple(arm["settings"].get(key, recipe.get(key)) for key in ("pretrain.lambda", "pretrain.mu", "pretrain.nu"))


def _arm_view(arm, measures, primary, *, units):
    summary = arm["summary"] or {}
    main = summary.get(primary) or {}
    unfinished = [run for run in arm["runs"] if run["status"] != "finished"]
    return {
        "name": arm["name"], "label": arm["label"], "is_baseline": arm["is_baseline"], "is_control": arm["is_control"],
        "reason": arm.get("reason") or "",
        "settings": [f"{line} (tuned)" if key in (arm.get("tuned") or {}) else line
                     for key, line in zip(arm["settings"], settings_lines(arm["settings"]))],
        "command": arm["command"],
        "effective": ", ".join(figure_of(v, ".5g") for v in _effective(arm)) if units and _effective(arm) else "",
        "validation": mean_and_sd(summary.get(f"validation_{primary}"), primary),
        "accuracies": [mean_and_sd(summary.get(name), name) for name in measures],
        "test_error": f"± {figure_of(main.get('test_error'), '.1f', 100)}" if main.get("test_error") is not None else "–",
        "difference": no_difference("baseline") if arm["is_baseline"] else paired(main.get("difference"), primary),
        "certainty": [] if arm["is_baseline"] or arm["is_control"] else certainty_of(main.get("difference")),
        "gain": no_difference("control") if arm["is_control"] else paired(main.get("gain"), primary),
        "rank": " / ".join(figure_of((summary.get(f"rankme_{space}") or {}).get("mean"), ".1f") for space in SPACES),
        "std": figure_of((summary.get("std_mean_embeddings") or {}).get("mean")),
        "verdict": verdict_view(arm.get("verdict")), "published": _published(arm),
        "collapsed": "" if arm["is_control"] else outcome_lines(arm.get("outcomes")),
        "unfinished": ", ".join(f"seed {run['seed']} {run['status']}" for run in unfinished),
    }  # fmt: skip


def _published(arm):
    """The published outcome and whether it came out alike: an accuracy there and healthy here, or a collapse in both."""
    published = arm.get("published")
    if not published:
        return {"text": "", "agreement": ""}
    collapsed = bool(published.get("collapse"))
    text = "collapse" if collapsed else ", ".join(f"{figure_of(v, '.1f')} % {k}" for k, v in published.items())
    agreement = {True: "agrees", False: "differs", None: ""}[arm.get("agrees")]
    return {"text": text, "agreement": agreement}


def _published_notes(study):
    source = study.get("published_source")
    if not source:
        return []
    differing = [arm["label"] for arm in study["arms"] if _published(arm)["agreement"] == "differs"]
    recipe = study["recipe"]
    ours = [study["data"].get("dataset"), recipe.get("pretrain.backbone"), f"width {recipe.get('pretrain.width')}",
            f"{recipe.get('pretrain.epochs')} epochs", f"batch {recipe.get('pretrain.batch_size')}",
            measure_name(study["primary"])]  # fmt: skip
    notes = [
        f"Published: {source}. Here: {', '.join(map(str, ours))}. The protocols differ, so compare outcomes, not numbers: "
        "“agrees” means an accuracy there and a healthy verdict here, or a collapse there and a verdict other than "
        "healthy here."
    ]
    if differing:
        notes.append(f"Here and there differ for: {'; '.join(differing)}.")
    return notes


def _verdicts(arms):
    """The verdict of each run, a row an arm and a column a seed: {columns, rows}."""
    trained = [arm for arm in arms if not arm["is_control"]]
    seeds = seeds_of(trained)
    rows = []
    for arm in trained:
        named = {run["seed"]: (run.get("verdict") or {}).get("name") or run["status"] for run in arm["runs"]}
        words = [f"{drawing.verdict_style(name)[2]} {name}" for name in (named.get(seed, "–") for seed in seeds)]
        rows.append([arm["label"], *words])
    return {"columns": ["Arm", *(f"Seed {seed}" for seed in seeds)], "rows": rows}


def _certainty(study, arms):
    trained = [arm for arm in arms if not arm["is_control"]]
    counts = {len([run for run in arm["runs"] if run["status"] == "finished"]) for arm in trained}
    most, seeds = max(counts, default=0), ", ".join(map(str, seeds_of(arms)))
    if most == 0:
        return ["No run has finished, so there is nothing to be sure of yet."]
    if most == 1:
        return ["n = 1: descriptive only. Each arm has one finished seed at most. There is no standard deviation and no "
                "interval: a difference between two arms may be chance. Run it with three seeds or more "
                "to tell."]  # fmt: skip
    told = ("± is the standard deviation over seeds. A difference pairs runs of the same seed and is the mean over seeds, "
            f"in percentage points of “{measure_name(study['primary'])}”; so is a gain over the untrained "
            "control.")  # fmt: skip
    if most == 2:
        return [f"n = 2: descriptive only. Each arm has two finished seeds at most ({seeds}). {told} With two seeds no "
                "interval is given, and a difference may be chance."]  # fmt: skip
    return [f"Seeds {seeds}. {told} Its 95 % interval is a paired t interval with n the number of pairs. * marks a "
            "difference from the baseline, or a gain, whose p-value adjusted by Holm is below 0.05; the study's "
            "differences are one family and its gains another. An interval that includes zero says that this study cannot "
            "tell, not that there is no effect.",
            "g is Hedges' effect size, in standard deviations over seeds; P(better) the probability, as the same t model "
            "has it, that the arm beats the baseline at a seed not run yet; with few seeds it is too sure where "
            "differences are small. Intervals cover the choice of seeds; what the choice of test images adds is the "
            "standard error under “test images”.",
            "Validation chooses (the best arm, a probe's regularisation, a search's settings); test decides nothing.",
            *(["Where n is 2 or less, no interval is given."] if min(counts) <= 2 else [])]  # fmt: skip


def _power(study):
    """What the study could have seen, and the command that adds the seeds it would take: {text, command} or None."""
    power = study.get("power")
    if not power:
        return None
    if power["spread"] is None:
        text = f"With n = {power['n']} nothing is concluded and no spread is known. What it takes first is three seeds:"
        return {"text": text, "command": power["command"]}
    many = f"{power['arms']} healthy {'arm' if power['arms'] == 1 else 'arms'}"
    text = f"The differences of {many} vary by {100 * power['spread']:.2f} points from seed to seed. "
    if power["detectable"] is not None:
        family = f"over all {power['family']} comparisons" if power["family"] > 1 else "for its one comparison"
        size = f"{100 * power['detectable']:.1f} points" if power["detectable"] < 1 else "beyond any there can be"
        text += (f"With n = {power['n']} the smallest difference this study would have found in {100 * power['power']:.0f} "
                 f"% of repetitions, at {100 * power['alpha']:.0f} % {family}, is {size}. ")  # fmt: skip
    margin = f"{100 * power['margin']:g} {'point' if power['margin'] == 0.01 else 'points'}"
    if power["needed"] is None:
        text += f"A difference of {margin} would take more than a thousand seeds."
    elif power["command"]:
        text += f"A difference of {margin} would take {power['needed']} seeds"
        text += ", which were asked for but have not all finished:" if power["needed"] <= power["asked"] else ":"
    else:
        text += f"That is enough for a difference of {margin}."
    return {"text": text, "command": power["command"]}


def _every_measure(arms):
    names = list(dict.fromkeys([*MEASURES, *(name for arm in arms for name in arm["summary"] or {})]))
    names = [name for name in names if any((arm["summary"] or {}).get(name) for arm in arms)]

    def cell(arm, name):
        entry = arm["summary"].get(name)
        if arm["is_baseline"]:
            return mean_and_sd(entry, name), ""
        return mean_and_sd(entry, name), paired((entry or {}).get("difference"), name, adjusted=False)

    return {"columns": [measure_name(name) for name in names],
            "rows": [(arm["label"], [cell(arm, name) for name in names]) for arm in arms if arm["summary"]]}  # fmt: skip
