"""The trials of a search, its parameters' importances and its Pareto front."""

from study.reporting.figures import scatter, trials
from study.reporting.figures import search as figures
from study.reporting.figures.points import Point
from study.reporting.figures.search import ImportanceRow
from study.reporting.figures.trials import Parameter, SearchPoint
from study.reporting.format import figure_of, is_finite, objective_text, plain
from study.reporting.names import is_accuracy, key_name, main_objective, objective_axis, objective_name
from study.reporting.panels.panel import Panel, Table, make_panel
from study.results.findings import ImportanceTable, SearchFindings, Trial
from study.results.schema import StudyResults
from study.spec.about import COST

MOST_AXES = 7  # parallel axes that the width has room for


def search_panels(study: StudyResults) -> list[Panel]:
    """Return the figures of a search; nothing where the study is none."""
    search = study.search
    if search is None:
        return []
    first = main_objective(search.objectives)
    drawn = [*_in_space(search, first), _history(search, first)]
    if search.importances:
        drawn.append(_importances(search.importances))
    drawn += [_slice(search, key, first) for key in search.numeric]
    if len(search.objectives) > 1:
        drawn.append(_front(search, first))
    return drawn


def _in_space(search: SearchFindings, objective: str) -> list[Panel]:
    """Return the trials in the plane of the two parameters that matter most, and on parallel axes."""
    best = best_trial(search, objective)
    points: list[SearchPoint] = [
        {"settings": {key_name(key): value for key, value in one.settings.items()}, "value": _shown(one, objective),
         "type": one.collapse_type, "is_best": one is best, "tip": _tip(one, objective)}
        for one in search.trials
    ]  # fmt: skip
    parameters = ranked_parameters(search)
    axis = objective_axis(objective)
    table = _trials_table(search, objective)
    drawn = []
    if len(plane := [one for one in parameters if one.is_numeric][:2]) == 2:
        x, y = plane
        title = f"All trials by {x.name} and {y.name}, coloured by {objective_name(objective)}"
        svg = trials.plane_of_trials(points, x, y, objective="%" if is_accuracy(objective) else objective_name(objective),
                                     lowest=objective == COST)  # fmt: skip
        drawn.append(make_panel("search-plane", title, svg, table))
    if len(parameters) > 1:
        title = f"All trials over every parameter, coloured by {objective_name(objective)}"
        svg = trials.parallel_trials(points, parameters[:MOST_AXES], objective=axis, lowest=objective == COST)
        drawn.append(make_panel("search-parallel", title, svg, table))
    return drawn


def best_trial(search: SearchFindings, objective: str) -> Trial | None:
    """Return the trial with the highest value, or the lowest cost; None where no trial has a value."""
    valued = [one for one in search.trials if is_finite(one.values.get(objective))]
    sign = -1 if objective == COST else 1
    return max(valued, key=lambda one: sign * one.values[objective], default=None)


def ranked_parameters(search: SearchFindings) -> list[Parameter]:
    """Return the searched parameters, those of the highest importance first where it is known."""
    names = list(dict.fromkeys(key for one in search.trials for key in one.settings))
    shares = {row.label: row.fanova or 0 for row in search.importances.rows} if search.importances else {}
    ordered = sorted(names, key=lambda name: -shares.get(name, 0))
    return [Parameter(key_name(name), name in search.numeric, search.numeric.get(name, False)) for name in ordered]


def _trials_table(search: SearchFindings, objective: str) -> Table:
    """Return the settings, value and outcome of each trial."""
    names = list(dict.fromkeys(key for one in search.trials for key in one.settings))
    rows = [
        [one.name, *(plain(one.settings[key]) if key in one.settings else "–" for key in names),
         objective_text(objective, one.values.get(objective)), one.outcome]
        for one in search.trials
    ]  # fmt: skip
    return ["Trial", *map(key_name, names), objective_axis(objective), "Outcome"], rows


def _history(search: SearchFindings, objective: str) -> Panel:
    """Return the trials in the order they were proposed."""
    proposed: list[Point] = [
        {"x": one.number, "y": _shown(one, objective), "type": one.collapse_type, "tip": _tip(one, objective)}
        for one in search.trials
    ]
    axis = objective_axis(objective)
    rows = [[one.name, objective_text(objective, one.values.get(objective)), one.outcome] for one in search.trials]
    return make_panel(
        "search-history", f"The search: {objective_name(objective)} on validation",
        figures.search_history(proposed, objective=axis, lowest=objective == COST), (["Trial", axis, "Outcome"], rows),
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
    mine = [one for one in search.trials if is_finite(one.settings.get(key))]
    points: list[Point] = [
        {"x": one.settings[key], "y": _shown(one, objective), "type": one.collapse_type, "tip": _tip(one, objective)}
        for one in mine
    ]
    rows = [[one.name, plain(one.settings[key]), objective_text(objective, one.values.get(objective))] for one in mine]
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
    svg = scatter.scatter_plot(points, xlabel=axes[0], ylabel=axes[1], log_x=second == COST, line=line)
    title = "Pareto front: no other trial is as good in every objective and better in one"
    return make_panel("search-front", title, svg, (["Trial", axes[1], axes[0], "On the front"], rows))
