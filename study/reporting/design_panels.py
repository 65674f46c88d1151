"""The figures of a report that show what a design was made for, each with the table of what it shows."""

import math
from collections import Counter

from study.reporting import design_figures, drawing
from study.reporting.formatting import (
    figure_of,
    is_accuracy,
    key_name,
    main_objective,
    metric_name,
    objective_axis,
    objective_name,
    objective_text,
    plain,
)

COEFFICIENTS = ("pretrain.lambda", "pretrain.mu", "pretrain.nu")
MOST_ROWS = 60  # rows in the table behind a figure; the report's own tables have them all


def figure(name, title, svg, table=None):
    """A figure of the view; `table` is (columns, rows of text) of what it shows."""
    columns, rows = table or ([], [])
    left_out = max(0, len(rows) - MOST_ROWS)
    return {"name": name, "title": title, "svg": svg, "columns": columns, "rows": rows[:MOST_ROWS], "left_out": left_out}


def has_phase_diagram(study):
    """Whether a study is a grid of two coefficients or all three."""
    grid = study.get("grid")
    return bool(grid) and set(grid["factors"]) <= set(COEFFICIENTS) and len(grid["factors"]) > 1


def phase_diagram(study, trained):
    """The collapse phase diagram, for a grid of the coefficients."""
    if not has_phase_diagram(study):
        return []
    places: dict[tuple[float, float], list] = {}
    for arm in trained:
        effective = arm["effective"]
        if min(effective["lambda_"], effective["mu"], effective["nu"]) > 0:
            ratios = (effective["lambda_"] / effective["nu"], effective["mu"] / effective["nu"])
            places.setdefault(ratios, []).append(arm)
    if not places:
        return []
    cells = [_phase_cell(x, y, arms, study["primary"]) for (x, y), arms in places.items()]
    published = _published_points(study.get("published_coefficients"))
    columns = ["λ / ν", "μ / ν", "Verdicts", "RankMe, emb.", "Test, %"]
    rows = [
        [f"{c['x']:g}", f"{c['y']:g}", c["verdicts"], figure_of(c["rank"], ".3g"), figure_of(c["accuracy"], ".1f", 100)]
        for c in cells
    ]
    titles = {"verdict": "verdict and test accuracy", "rank": "RankMe of the embeddings"}
    return [
        figure(f"phase-{colour}", f"Collapse phase diagram: {title}",
               design_figures.phase(cells, colour=colour, published=published), (columns, rows))
        for colour, title in titles.items()
    ]  # fmt: skip


def _phase_cell(x, y, arms, primary):
    """A tile: all runs of the arms at these ratios together. Where nu is a factor too, several arms share one."""
    runs = [run for arm in arms for run in arm["runs"]]
    counts = Counter((run.get("verdict") or {}).get("name") or run["status"] for run in runs)
    ranks = drawing.finite([((run.get("collapse") or {}).get("embeddings") or {}).get("rankme") for run in runs])
    accuracies = drawing.finite([((run.get("test") or {}).get(primary) or {}).get("top1") for run in runs])
    cell = {
        "x": x, "y": y, "verdict": counts.most_common(1)[0][0],
        "verdicts": ", ".join(f"{count} {name}" for name, count in sorted(counts.items())),
        "rank": math.fsum(ranks) / len(ranks) if ranks else None,
        "accuracy": math.fsum(accuracies) / len(accuracies) if accuracies else None,
    }  # fmt: skip
    numbers = f"RankMe {figure_of(cell['rank'])}, {figure_of(cell['accuracy'], '.1f', 100)} %"
    return cell | {"tip": f"{'; '.join(arm['label'] for arm in arms)}: {cell['verdicts']}; {numbers}"}


def _published_points(published):
    """Published coefficients that have a place on the plane: none of them zero."""
    points = []
    for row in (published or {}).get("rows") or []:
        if min(row["lambda"], row["mu"], row["nu"]) > 0:
            outcome = "collapse" if row.get("collapse") else f"{row['linear']} % linear"
            points.append({"x": row["lambda"] / row["nu"], "y": row["mu"] / row["nu"],
                           "collapsed": bool(row.get("collapse")),
                           "text": f"published: λ {row['lambda']}, μ {row['mu']}, ν {row['nu']}: {outcome}"})  # fmt: skip
    return points


def search_figures(study):
    search = study.get("search")
    if not search:
        return []
    first = main_objective(search["objectives"])
    trials = [{"number": t["number"], "value": _shown(t, first), "verdict": t["verdict"], "tip": _trial_text(t, first)}
              for t in search["trials"]]  # fmt: skip
    table = [[t["name"], objective_text(first, t["values"].get(first)), t["outcome"]] for t in search["trials"]]
    drawn = [figure("search-history", f"The search: {objective_name(first)} on validation",
                    design_figures.search_history(trials, objective=objective_axis(first)),
                    (["Trial", objective_axis(first), "Outcome"], table))]  # fmt: skip
    if search["importances"]:
        found = search["importances"]
        rows = [{**row, "label": key_name(row["label"])} for row in found["rows"]]
        table = [[row["label"], figure_of(row["fanova"], ".2f"), figure_of(row["ped_anova"], ".2f")] for row in rows]
        drawn.append(figure("search-importances", "Importance of each parameter, and the noise floor of each method",
                            design_figures.importance_bars(rows, floor=found["floor"]),
                            (["Parameter", "fANOVA", "PED-ANOVA"], table)))  # fmt: skip
    drawn += [_slice(search, key, first) for key in search["numeric"]]
    if len(search["objectives"]) > 1:
        drawn.append(_front(search))
    return drawn


def _trial_text(trial, objective):
    settings = ", ".join(f"{key_name(key)} {plain(value)}" for key, value in trial["settings"].items())
    return f"{trial['name']}: {settings}; {trial['outcome']}; {objective_text(objective, trial['values'].get(objective))}"


def _shown(trial, objective):
    """A trial's value in the unit it is shown in: an accuracy in percent."""
    value = trial["values"].get(objective)
    return 100 * value if is_accuracy(objective) and drawing.finite([value]) else value


def _slice(search, key, objective):
    trials = [t for t in search["trials"] if drawing.finite([t["settings"].get(key)])]
    points = [{"x": t["settings"][key], "y": _shown(t, objective), "verdict": t["verdict"], "tip": _trial_text(t, objective)}
              for t in trials]  # fmt: skip
    table = [[t["name"], plain(t["settings"][key]), objective_text(objective, t["values"].get(objective))] for t in trials]
    axis = objective_axis(objective)
    svg = design_figures.scatter(points, xlabel=key_name(key), ylabel=axis, log_x=search["numeric"][key])
    name = f"search-{key_name(key).replace('.', '-').replace('_', '-')}"
    return figure(name, f"Trials by {key_name(key)}", svg, (["Trial", key_name(key), axis], table))


def _front(search):
    """The first two objectives against one another, the better known one upwards, and the trials that none betters."""
    first = main_objective(search["objectives"])
    second = next(name for name in search["objectives"] if name != first)
    ours = [t for t in search["trials"] if len(drawing.finite([_shown(t, first), _shown(t, second)])) == 2]
    points = [
        {"x": _shown(t, second), "y": _shown(t, first), "verdict": t["verdict"], "tip": _trial_text(t, first)} for t in ours
    ]
    line = [(_shown(t, second), _shown(t, first)) for t in ours if t["name"] in search["front"]]
    table = [[t["name"], objective_text(first, t["values"][first]), objective_text(second, t["values"][second]),
              "yes" if t["name"] in search["front"] else ""] for t in ours]  # fmt: skip
    axes = objective_axis(second), objective_axis(first)
    svg = design_figures.scatter(points, xlabel=axes[0], ylabel=axes[1], log_x=second == "cost", line=line)
    title = "Pareto front: no other trial is as good in every objective and better in one"
    return figure("search-front", title, svg, (["Trial", axes[1], axes[0], "On the front"], table))


def predictor_figures(study, trained):
    rows = study.get("predictors") or []
    if not rows:
        return []
    drawn = [figure(
        "predictors", "Which collapse metric goes with accuracy",
        design_figures.correlations([{**row, "label": metric_name(row)} for row in rows]),
        (["Metric", "Spearman", "Kendall"],
         [[metric_name(row), *(figure_of(row[name]["value"], ".2f") for name in ("spearman", "kendall"))] for row in rows]),
    )]  # fmt: skip
    # The best of them, and RankMe of both spaces: the literature disagrees about RankMe, so it is always shown.
    shown = [(rows[0]["metric"], rows[0]["space"]), ("rankme", "embeddings"), ("rankme", "representations")]
    for metric, space in dict.fromkeys(shown):
        drawn.append(_against_accuracy(study, trained, metric, space))
    return drawn


def _against_accuracy(study, trained, metric, space):
    name = metric_name({"metric": metric, "space": space})
    runs = [(arm, run) for arm in trained for run in arm["runs"] if study["primary"] in (run["test"] or {})]
    points = []
    for arm, run in runs:
        x, y = run["collapse"][space].get(metric), 100 * run["test"][study["primary"]]["top1"]
        if drawing.finite([x]):
            verdict = (run.get("verdict") or {}).get("name")
            points.append({"x": x, "y": y, "verdict": verdict,
                           "tip": f"{arm['label']}, seed {run['seed']}: {name} {figure_of(x)}, {y:.1f} %, "
                                  f"{verdict}"})  # fmt: skip
    table = [[point["tip"].partition(": ")[0], figure_of(point["x"]), figure_of(point["y"], ".1f"), point["verdict"] or "–"]
             for point in points]  # fmt: skip
    svg = design_figures.scatter(points, xlabel=name, log_x=metric in ("rankme", "participation_ratio"))
    return figure(f"predictor-{metric.replace('_', '-')}-{space}", f"{name} against test accuracy, a point a run", svg,
                  (["Run", name, "Test, %", "Verdict"], table))  # fmt: skip
