"""The figures of a report that show what a design was made for, each with the table of what it shows."""

from study import design_figures, drawing
from study.formatting import figure_of, key_name, measure_name, metric_name, objective_name, plain

COEFFICIENTS = ("pretrain.lambda", "pretrain.mu", "pretrain.nu")
MOST_ROWS = 60  # rows in the table behind a figure; the report's own tables have them all


def figure(name, title, svg, table=None):
    """A figure of the view; `table` is (columns, rows of text) of what it shows."""
    columns, rows = table or ([], [])
    left_out = max(0, len(rows) - MOST_ROWS)
    return {"name": name, "title": title, "svg": svg, "columns": columns, "rows": rows[:MOST_ROWS], "left_out": left_out}


def phase_diagram(study, trained):
    """The collapse phase diagram, for a grid of the coefficients."""
    grid = study.get("grid")
    if not grid or not set(grid["factors"]) <= set(COEFFICIENTS) or len(grid["factors"]) < 2:
        return []
    cells = [_phase_cell(arm, study["primary"]) for arm in trained]
    cells = [cell for cell in cells if cell["x"] > 0 and cell["y"] > 0]
    if len({(cell["x"], cell["y"]) for cell in cells}) < len(cells) or not cells:
        return []  # three factors: several cells of one ratio would lie on one another
    published = _published_points(study.get("published_coefficients"), study["arms"])
    columns = ["λ / ν", "μ / ν", "Verdicts", "RankMe, emb.", "Test, %"]
    rows = [[f"{c['x']:g}", f"{c['y']:g}", c["verdicts"], figure_of(c["rank"], ".3g"), figure_of(c["accuracy"], ".1f", 100)] for c in cells]
    return [
        figure("phase-verdict", "Collapse phase diagram: verdict and test accuracy", design_figures.phase(cells, colour="verdict", published=published), (columns, rows)),
        figure("phase-rank", "Collapse phase diagram: RankMe of the embeddings", design_figures.phase(cells, colour="rank", published=published), (columns, rows)),
    ]  # fmt: skip


def _phase_cell(arm, primary):
    effective, summary = arm["effective"], arm["summary"] or {}
    counts = (arm.get("outcomes") or {}).get("counts") or {}
    nu = effective["nu"]
    cell = {
        "x": effective["lambda_"] / nu if nu else 0, "y": effective["mu"] / nu if nu else 0,
        "label": arm["label"], "verdict": (arm.get("verdict") or {}).get("name"),
        "verdicts": ", ".join(f"{count} {name}" for name, count in counts.items()),
        "rank": (summary.get("rankme_embeddings") or {}).get("mean"), "accuracy": (summary.get(primary) or {}).get("mean"),
    }  # fmt: skip
    return cell | {"tip": f"{arm['label']}: {cell['verdicts']}; RankMe {figure_of(cell['rank'])}, {figure_of(cell['accuracy'], '.1f', 100)} %"}


def _published_points(published, arms):
    """Published coefficients that have a place on the plane: none of them zero."""
    points = []
    for row in (published or {}).get("rows") or []:
        if min(row["lambda"], row["mu"], row["nu"]) > 0:
            outcome = "collapse" if row.get("collapse") else f"{row['linear']} % linear"
            points.append({"x": row["lambda"] / row["nu"], "y": row["mu"] / row["nu"], "collapsed": bool(row.get("collapse")),
                           "text": f"published: λ {row['lambda']}, μ {row['mu']}, ν {row['nu']}: {outcome}"})  # fmt: skip
    return points


def search_figures(study):
    search = study.get("search")
    if not search:
        return []
    first = search["objectives"][0]
    name = objective_name(first)
    trials = [{"number": t["number"], "value": t["values"].get(first), "verdict": t["verdict"], "tip": _trial_text(t, first)} for t in search["trials"]]
    table = [[t["name"], figure_of(t["values"].get(first), ".1f", 100), t["outcome"]] for t in search["trials"]]
    drawn = [figure("search-history", f"The search: {name} on validation", design_figures.search_history(trials, objective=name),
                    (["Trial", f"{name}, validation", "Outcome"], table))]  # fmt: skip
    if search["importances"]:
        found = search["importances"]
        rows = [{**row, "label": key_name(row["label"])} for row in found["rows"]]
        table = [[row["label"], figure_of(row["fanova"], ".2f"), figure_of(row["ped_anova"], ".2f")] for row in rows]
        drawn.append(figure("search-importances", "Importance of each parameter, and the noise floor of each method",
                            design_figures.importance_bars(rows, floor=found["floor"]), (["Parameter", "fANOVA", "PED-ANOVA"], table)))  # fmt: skip
    drawn += [_slice(search, key, first, name) for key in search["numeric"]]
    if len(search["objectives"]) > 1:
        drawn.append(_front(search))
    return drawn


def _trial_text(trial, objective):
    settings = ", ".join(f"{key_name(key)} {plain(value)}" for key, value in trial["settings"].items())
    return f"{trial['name']}: {settings}; {trial['outcome']}; {figure_of(trial['values'].get(objective), '.3g', 100)} %"


def _slice(search, key, objective, name):
    trials = [t for t in search["trials"] if len(drawing.finite([t["values"].get(objective), t["settings"].get(key)])) == 2]
    points = [{"x": t["settings"][key], "y": t["values"][objective], "verdict": t["verdict"], "tip": _trial_text(t, objective)}
              for t in trials]  # fmt: skip
    table = [[t["name"], plain(t["settings"][key]), figure_of(t["values"][objective], ".1f", 100)] for t in trials]
    svg = design_figures.scatter(points, xlabel=key_name(key), ylabel=f"{name}, validation, %", log_x=search["numeric"][key])
    return figure(f"search-{key_name(key).replace('.', '-')}", f"Trials by {key_name(key)}", svg, (["Trial", key_name(key), name], table))


def _front(search):
    first, second = search["objectives"][:2]
    ours = [t for t in search["trials"] if drawing.finite([t["values"].get(first)]) and drawing.finite([t["values"].get(second)])]
    points = [{"x": t["values"][second], "y": t["values"][first], "verdict": t["verdict"], "tip": _trial_text(t, first),
               "front": t["name"] in search["front"]} for t in ours]  # fmt: skip
    label = objective_name(second)
    table = [[t["name"], figure_of(t["values"][first], ".1f", 100), figure_of(t["values"][second]), "yes" if t["name"] in search["front"] else ""] for t in ours]
    svg = design_figures.scatter(points, xlabel=label, ylabel=f"{measure_name(first)}, validation, %", log_x=second == "cost")
    return figure("search-front", "Pareto front: no other trial is better in both", svg, (["Trial", measure_name(first), label, "On the front"], table))


def predictor_figures(study, trained):
    rows = study.get("predictors") or []
    if not rows:
        return []
    drawn = [figure(
        "predictors", "Which collapse metric goes with accuracy",
        design_figures.correlations([{**row, "label": metric_name(row)} for row in rows]),
        (["Metric", "Spearman", "Kendall"],
         [[metric_name(row), figure_of(row["spearman"]["value"], ".2f"), figure_of(row["kendall"]["value"], ".2f")] for row in rows]),
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
        x, y = run["collapse"][space].get(metric), run["test"][study["primary"]]["top1"]
        if drawing.finite([x]):
            verdict = (run.get("verdict") or {}).get("name")
            points.append({"x": x, "y": y, "verdict": verdict,
                           "tip": f"{arm['label']}, seed {run['seed']}: {name} {figure_of(x)}, {100 * y:.1f} %, {verdict}"})  # fmt: skip
    svg = design_figures.scatter(points, xlabel=name, log_x=metric in ("rankme", "participation_ratio"))
    return figure(f"predictor-{metric.replace('_', '-')}-{space}", f"{name} against test accuracy, a point a run", svg)
