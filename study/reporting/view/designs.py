"""What a design was made to find, as tables and sentences."""

from collections.abc import Sequence
from typing import TypedDict

from study.analysis.predictors import ranked
from study.analysis.wording import agree, capitalised, count_of, first_of, listed
from study.reporting.format import (
    figure_of,
    finite_pair,
    is_finite,
    mean_and_sd,
    objective_text,
    p_value,
    paired,
    plain,
    settings_lines,
    signed,
    without_paths,
)
from study.reporting.names import key_name, measure_name, metric_name, objective_axis
from study.reporting.terms import SCALED
from study.results.comparisons import Correlation, Difference, Interval
from study.results.findings import AnovaEffect, AnovaTable, ImportanceTable, PathStep, Predictor, Trial
from study.results.schema import StudyResults


class Table(TypedDict):
    """A table as text, and sentences below it."""

    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


class PathTable(Table):
    """The walk along a path; `to` is the arm where it ends."""

    to: str


class TrialTable(Table):
    """The trials of a search, and how they were proposed."""

    sampler: str


class PredictorTable(TypedDict):
    """Rank correlations of metrics with accuracy, and what they say."""

    columns: list[str]
    rows: list[list[str]]
    note: str


def anova_table(study: StudyResults) -> Table | None:
    """Return the analysis of variance of a grid, or the reason why there is none; None for other designs."""
    grid = study.grid
    if grid is None:
        return None
    if grid.anova is None:
        reason = f"There is no analysis of variance: {without_paths(grid.reason)}"
        return {"columns": [], "rows": [], "notes": [reason]}
    columns = ["Term", "df", "F", "p", "share", "partial η²", "ω²"]
    rows = [_effect_row(effect) for effect in grid.anova.effects]
    return {"columns": columns, "rows": rows, "notes": _anova_notes(grid.anova, study.primary)}


def _effect_row(effect: AnovaEffect) -> list[str]:
    shares = (effect.share, effect.partial_eta_squared, effect.omega_squared)
    return [effect.term, plain(effect.df), figure_of(effect.f), p_value(effect.p),
            *(figure_of(share, ".2f") for share in shares)]  # fmt: skip


def _anova_notes(table: AnovaTable, primary: str) -> list[str]:
    notes = [f"Type II sums of squares of {measure_name(primary)} over {count_of(table.n, 'run')}; seeds are blocks, and "
             f"{count_of(table.residual_df, 'degree')} of freedom {agree(table.residual_df, 'is', 'are')} left for the "
             "error. "
             "The table takes every cell to spread alike over seeds, which a collapsed cell need not do. Read the sizes of "
             "effects, not the last digit of a p-value."]  # fmt: skip
    if table.dropped:
        notes.append(f"Cells without a result leave {agree(len(table.dropped), 'this interaction', 'these interactions')} "
                     f"unknown: {first_of(table.dropped)}.")  # fmt: skip
    if table.missing:
        notes.append(f"{count_of(table.missing, 'run')} "
                     f"{agree(table.missing, 'has no accuracy and is', 'have no accuracy and are')} "
                     "left out.")  # fmt: skip
    return notes


def importance_table(study: StudyResults) -> Table | None:
    """Return how much of a search's variation each parameter explains, or the reason why that is not known."""
    search = study.search
    if search is None:
        return None
    found = search.importances
    if found is None:
        return {
            "columns": [],
            "rows": [],
            "notes": [f"There are no importances: {without_paths(search.importances_reason)}"],
        }
    return {"columns": ["Parameter", "fANOVA", "PED-ANOVA"], "rows": _importance_rows(found), "notes": [
        f"From {count_of(found.n, 'finished trial')}. fANOVA (Hutter et al., 2014) explains the variance over the "
        "whole space. "
        "PED-ANOVA (Watanabe et al., 2023) explains what the best quarter of trials have in common. So they may "
        "disagree, and "
        "both be right.",
        "We added a random dummy parameter; the floor is the highest importance it received. A number at or below the "
        "floor, "
        "or a choice at or below the seed, is no more important than noise. Trials that were stopped early are not counted.",
    ]}  # fmt: skip


def _importance_rows(found: ImportanceTable) -> list[list[str]]:
    rows = [[key_name(row.label), figure_of(row.fanova, ".2f"), figure_of(row.ped_anova, ".2f")] for row in found.rows]
    return [*rows, ["noise floor", *(figure_of(found.floor.get(name), ".2f") for name in ("fanova", "ped_anova"))]]


def trial_table(study: StudyResults) -> TrialTable | None:
    """Return every trial of a search; None for other designs."""
    search = study.search
    if search is None:
        return None
    keys = list(dict.fromkeys(key for trial in search.trials for key in trial.settings))
    columns = ["Trial", *map(key_name, keys), "seed", *map(objective_axis, search.objectives), "Outcome", "Epochs",
               "Pareto-optimal"]  # fmt: skip
    rows = [[*_trial_row(trial, keys, search.objectives), "yes" if trial.name in search.front else ""]
            for trial in search.trials]  # fmt: skip
    return {"columns": columns, "rows": rows, "notes": [], "sampler": search.sampler}


def _trial_row(trial: Trial, keys: Sequence[str], objectives: Sequence[str]) -> list[str]:
    values = (objective_text(name, trial.values.get(name)) for name in objectives)
    settings = (plain(trial.settings.get(key)) for key in keys)
    return [trial.name, *settings, plain(trial.seed), *values, trial.outcome, f"{trial.epochs} of {trial.planned}"]


def tuning_table(study: StudyResults) -> Table | None:
    """Return what tuning of nuisance parameters found for each arm; None where nothing was tuned."""
    if not study.tuning:
        return None
    rows = [[row.arm, ", ".join(settings_lines(row.settings)), figure_of(row.value, ".1f", 100), row.outcome,
             "chosen" if row.chosen else ""] for row in study.tuning]  # fmt: skip
    return {"columns": ["Setting", "Tried", "Validation, %", "Outcome", ""], "rows": rows, "notes": []}


def path_table(study: StudyResults) -> PathTable | None:
    """Return the walk from the baseline to the best arm; None for other designs."""
    path = study.path
    if path is None:
        return None
    columns = ["Change", "Test, %", "Earned by this change, points", "Interval", "From the baseline, points", "Interval",
               "Also tried here (validation)"]  # fmt: skip
    notes = ["From the baseline one change at a time (ablation analysis, Fawcett & Hoos 2016). Each round takes the "
             "change that "
             "is best on validation of those left. Every step was run at every seed. What a change earns depends on those "
             "before it."]  # fmt: skip
    notes += [path.note] if path.note else []
    rows = [_step_row(step, study.primary) for step in path.steps]
    return {"to": path.to, "columns": columns, "rows": rows, "notes": notes}


def _step_row(step: PathStep, primary: str) -> list[str]:
    def cells(difference: Difference | None) -> list[str]:
        shown = paired(difference, primary)
        return [shown["text"], shown["interval"]]

    return [step.change, mean_and_sd(step.summary, primary), *cells(step.gain), *cells(step.total),
            "; ".join(step.alternatives) or "none left"]  # fmt: skip


def predictor_table(study: StudyResults) -> PredictorTable | None:
    """Return the rank correlations of collapse metrics with accuracy; None where fewer than ten settings rank none."""
    found = ranked(study.predictors)
    if not found:
        return None
    rows = [[metric_name(row.metric, row.space), _correlation(row.spearman), _correlation(row.kendall)] for row in found]
    return {"columns": ["Metric", "Spearman's ρ", "Kendall's τ"], "note": _predictor_note(found), "rows": rows}


def _predictor_note(found: Sequence[Predictor]) -> str:
    """Return which metric goes with accuracy best, how sure that is, and how many others may do so as well."""
    top, *others = found
    best, bounds = top.spearman.value or 0.0, finite_pair(top.spearman.low, top.spearman.high)
    sure = f", 95 % interval {signed(bounds[0], '.2f')} to {signed(bounds[1], '.2f')}" if bounds else ""
    # Where nothing is known of a metric's sign, what counts is how far its correlation may be from zero.
    nearest = min(map(abs, bounds)) if bounds and bounds[0] * bounds[1] > 0 else 0.0
    rivals = [row for row in others if _furthest(row.spearman) >= nearest]
    rival = ""
    if rivals:
        which = "All" if len(rivals) == len(others) else f"{len(rivals)} of the"
        rival = (f" {which} {count_of(len(others), 'other metric')} may do as well, for "
                 f"{agree(len(rivals), 'its interval overlaps', 'their intervals overlap')} with it.")  # fmt: skip
    return (f"{capitalised(metric_name(top.metric, top.space))} goes with test accuracy best (Spearman "
            f"{signed(best, '.2f')}{sure}).{rival} "
            f"That is over {count_of(top.runs, 'run')} of {count_of(top.settings, 'setting')}; runs without an accuracy are "
            "not counted. Intervals count settings, since seeds of one setting are no independent evidence. "
            "They are not adjusted for the number of metrics.")  # fmt: skip


def _furthest(one: Correlation) -> float:
    """Return how far from zero a correlation may be, as its interval has it."""
    bounds = finite_pair(one.low, one.high)
    return max(map(abs, bounds)) if bounds else 1.0


def _correlation(one: Correlation) -> str:
    """Return a correlation with its interval."""
    bounds = finite_pair(one.low, one.high)
    interval = f" [{signed(bounds[0], '.2f')}, {signed(bounds[1], '.2f')}]" if bounds else ""
    return figure_of(one.value, ".2f") + interval


def scale_texts(study: StudyResults) -> list[str]:
    """Return the source paper's remark on the scale of two terms, tested; nothing where it is not."""
    claim = study.scale
    if claim is None:
        return []
    factor, (first, second, weights) = claim.factor, SCALED
    tally = [f"{collapsed} of {count_of(runs, 'run')} with {what} collapsed"
             for (collapsed, runs), what in ((claim.same, "terms of one scale"), (claim.other, "terms of two scales"))
             if runs]  # fmt: skip
    said = [f"The source paper says that {first} and {second} “converge to the same scale”, which “can be indicative of a "
            f"collapse”. We call scales the same within a factor of {factor:.1f}.",
            f"At the end of {count_of(claim.ratio.n, 'baseline run')}, unweighted {first} is {_ratio(claim.ratio)} times "
            f"{second}: “the same scale” {_of_one_scale(claim.ratio, factor)}."]  # fmt: skip
    if claim.weighted:
        said.append(f"Weighted by {weights} it is {_ratio(claim.weighted)} times: “the same scale” "
                    f"{_of_one_scale(claim.weighted, factor)}.")  # fmt: skip
    counted = f"{listed(tally)} (unweighted)" if tally else "there is no run to judge it by"
    return [*said, f"“Indicative of a collapse”: {counted}."]


def _ratio(interval: Interval) -> str:
    """Return a ratio with its interval."""
    known = is_finite(interval.low)
    bounds = f" (95 % interval {figure_of(interval.low, '#.3g')} to {figure_of(interval.high, '#.3g')})" if known else ""
    return figure_of(interval.mean, "#.3g") + bounds


def _of_one_scale(interval: Interval, factor: float) -> str:
    """Return whether a ratio is within a factor of 1, as far as its interval tells."""
    bounds = finite_pair(interval.low, interval.high)
    if bounds is None:
        return f"cannot be judged (n = {interval.n})"
    low, high = bounds
    if 1 / factor <= low and high <= factor:
        return "holds"
    return "does not hold" if low > factor or high < 1 / factor else "is undetermined"
