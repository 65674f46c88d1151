"""The trials of a search, its parameters' importances and its Pareto front."""

from study.reporting.figures import scatter
from study.reporting.figures import search as figures
from study.reporting.figures.scatter import Point
from study.reporting.figures.search import ImportanceRow
from study.reporting.format import figure_of, is_finite, objective_text, plain
from study.reporting.names import is_accuracy, key_name, main_objective, objective_axis, objective_name
from study.reporting.panels.panel import Panel, make_panel
from study.results.findings import ImportanceTable, SearchFindings, Trial
from study.results.schema import StudyResults


def search_panels(study: StudyResults) -> list[Panel]:
    """Return the figures of a search; nothing where the study is none."""
    search = study.search
    if search is None:
        return []
    first = main_objective(search.objectives)
    drawn = [_history(search, first)]
    if search.importances:
        drawn.append(_importances(search.importances))
    drawn += [_slice(search, key, first) for key in search.numeric]
    if len(search.objectives) > 1:
        drawn.append(_front(search, first))
    return drawn


def _history(search: SearchFindings, objective: str) -> Panel:
    """Return the trials in the order they were proposed."""
    trials: list[figures.Trial] = [
        {"number": one.number, "value": _shown(one, objective), "type": one.collapse_type, "tip": _tip(one, objective)}
        for one in search.trials
    ]
    axis = objective_axis(objective)
    rows = [[one.name, objective_text(objective, one.values.get(objective)), one.outcome] for one in search.trials]
    return make_panel(
        "search-history", f"The search: {objective_name(objective)} on validation",
        figures.search_history(trials, objective=axis), (["Trial", axis, "Outcome"], rows),
    )  # fmt: skip


def _importances(found: ImportanceTable) -> Panel:
    """Return the importance of each parameter by both evaluators."""
    rows: list[ImportanceRow] = [
        {"label": key_name(row.label), "fanova": row.fanova, "ped_anova": row.ped_anova} for row in found.rows
    ]
    table = [[row["label"], figure_of(row["fanova"], ".2f"), figure_of(row["ped_anova"], ".2f")] for row in rows]
    return make_panel(
        "search-importances", "Importance of each parameter, and the noise floor of each method",
        figures.importance_bars(rows, floor=found.floor), (["Parameter", "fANOVA", "PED-ANOVA"], table),
    )  # fmt: skip


def _tip(trial: Trial, objective: str) -> str:
    """Return what a pointer on a trial shows."""
    settings = ", ".join(f"{key_name(key)} {plain(value)}" for key, value in trial.settings.items())
    return f"{trial.name}: {settings}; {trial.outcome}; {objective_text(objective, trial.values.get(objective))}"


def _shown(trial: Trial, objective: str) -> float | None:
    """Return a trial's value in the unit it is shown in: an accuracy in percent."""
    value = trial.values.get(objective)
    return 100 * value if is_accuracy(objective) and is_finite(value) else value


def _slice(search: SearchFindings, key: str, objective: str) -> Panel:
    """Return the trials by one numeric parameter."""
    trials = [one for one in search.trials if is_finite(one.settings.get(key))]
    points: list[Point] = [
        {"x": one.settings[key], "y": _shown(one, objective), "type": one.collapse_type, "tip": _tip(one, objective)}
        for one in trials
    ]
    rows = [[one.name, plain(one.settings[key]), objective_text(objective, one.values.get(objective))] for one in trials]
    name, axis = key_name(key), objective_axis(objective)
    return make_panel(
        f"search-{name.replace('.', '-').replace('_', '-')}", f"Trials by {name}",
        scatter.scatter_plot(points, xlabel=name, ylabel=axis, log_x=search.numeric[key]), (["Trial", name, axis], rows),
    )  # fmt: skip


def _front(search: SearchFindings, first: str) -> Panel:
    """Return the first two objectives against one another, `first` upwards, and the trials that none betters."""
    second = next(name for name in search.objectives if name != first)
    points: list[Point] = []
    line, rows = [], []
    for one in search.trials:
        x, y = _shown(one, second), _shown(one, first)
        if not (is_finite(x) and is_finite(y)):
            continue
        on_front = one.name in search.front
        points.append({"x": x, "y": y, "type": one.collapse_type, "tip": _tip(one, first)})
        line += [(x, y)] if on_front else []
        rows.append([one.name, objective_text(first, one.values[first]), objective_text(second, one.values[second]),
                     "yes" if on_front else ""])  # fmt: skip
    axes = objective_axis(second), objective_axis(first)
    svg = scatter.scatter_plot(points, xlabel=axes[0], ylabel=axes[1], log_x=second == "cost", line=line)
    title = "Pareto front: no other trial is as good in every objective and better in one"
    return make_panel("search-front", title, svg, (["Trial", axes[1], axes[0], "On the front"], rows))
