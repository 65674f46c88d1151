"""What a design was made to find, as a report prints it: tables and sentences."""

from study.reporting import drawing
from study.reporting.formatting import (
    figure_of,
    key_name,
    mean_and_sd,
    measure_name,
    metric_name,
    objective_axis,
    objective_text,
    p_value,
    paired,
    plain,
    settings_lines,
    signed,
    without_paths,
)


def anova_table(study):
    """The analysis of variance of a grid: {columns, rows, notes} or None."""
    grid = study.get("grid")
    if not grid:
        return None
    table = grid["anova"]
    if table is None:
        return {"columns": [], "rows": [], "notes": [f"There is no analysis of variance: {without_paths(grid['reason'])}"]}
    rows = [[effect["term"], plain(effect["df"]), figure_of(effect["f"]), p_value(effect["p"]).removeprefix("= "),
             figure_of(effect["share"], ".2f"), figure_of(effect["partial_eta_squared"], ".2f"),
             figure_of(effect["omega_squared"], ".2f")]
            for effect in table["effects"]]  # fmt: skip
    notes = [f"Share of the variance and type II sums of squares, on {measure_name(study['primary'])} of {table['n']} "
             f"runs, the seed as a block; {table['residual_df']} degrees of freedom are left for the error. It takes the "
             "spread over seeds to be the same in every cell, which a collapsed cell need not keep: read the sizes of "
             "effects, not the last digit of a p-value."]  # fmt: skip
    if table["dropped"]:
        notes.append(f"Not estimable, for cells that have no result: {', '.join(table['dropped'])}.")
    if table["missing"]:
        notes.append(f"{table['missing']} runs have no accuracy and are left out.")
    return {"columns": ["Term", "df", "F", "p", "share", "partial η²", "ω²"], "rows": rows, "notes": notes}


def importance_table(study):
    """How much of a search's variation each parameter explains: {columns, rows, notes} or a note that says why not."""
    search = study.get("search")
    if not search:
        return None
    found = search["importances"]
    if found is None:
        return {"columns": [], "rows": [], "notes": [without_paths(search["importances_reason"])]}
    rows = [
        [key_name(row["label"]), figure_of(row["fanova"], ".2f"), figure_of(row["ped_anova"], ".2f")]
        for row in found["rows"]
    ]
    rows.append(["noise floor", *(figure_of(found["floor"].get(name), ".2f") for name in ("fanova", "ped_anova"))])
    notes = [f"From {found['n']} finished trials. fANOVA (Hutter et al., 2014) explains the variance over the whole space, "
             "PED-ANOVA (Watanabe et al., 2023) what sets the best quarter of trials apart, so they may disagree and both "
             "be right. The controls: trials took their seeds in turn, and a number drawn at random stood beside each, "
             "anew in every fit; the floor is the most that it ever got. A number not above the floor, or a choice not "
             "above the seed, is not told apart from noise. Pruned trials have no value and are no part of "
             "this."]  # fmt: skip
    return {"columns": ["Parameter", "fANOVA", "PED-ANOVA"], "rows": rows, "notes": notes}


def trial_table(study):
    """Every trial of a search: {columns, rows} or None."""
    search = study.get("search")
    if not search:
        return None
    keys = list(dict.fromkeys(key for trial in search["trials"] for key in trial["settings"]))
    rows = [[trial["name"], *(plain(trial["settings"].get(key)) for key in keys), plain(trial["seed"]),
             *(objective_text(name, trial["values"].get(name)) for name in search["objectives"]),
             trial["outcome"], f"{trial['epochs']} of {trial['planned']}", "yes" if trial["name"] in search["front"] else ""]
            for trial in search["trials"]]  # fmt: skip
    columns = ["Trial", *map(key_name, keys), "seed", *map(objective_axis, search["objectives"]), "Outcome", "Epochs",
               "Pareto-optimal"]  # fmt: skip
    return {"columns": columns, "rows": rows, "sampler": search["sampler"]}


def tuning_table(study):
    """What tuning of nuisance parameters found for each arm: {columns, rows} or None."""
    tuning = study.get("tuning")
    if not tuning:
        return None
    rows = [[row["arm"], ", ".join(settings_lines(row["settings"])), figure_of(row["value"], ".1f", 100), row["outcome"],
             "chosen" if row["chosen"] else ""] for row in tuning]  # fmt: skip
    return {"columns": ["Arm", "Tried", "Validation, %", "Outcome", ""], "rows": rows}


def path_table(study):
    """The walk from the baseline to the best arm: {columns, rows, notes} or None."""
    path = study.get("path")
    if not path:
        return None
    rows = [[step["change"], mean_and_sd(step["summary"], study["primary"]), *_two(paired(step["gain"], study["primary"])),
             *_two(paired(step["total"], study["primary"])), "; ".join(step["alternatives"]) or "none left"]
            for step in path["steps"]]  # fmt: skip
    columns = ["Change", "Test, %", "Earned by this change, points", "Interval", "From the baseline, points", "Interval",
               "Also tried here (validation)"]  # fmt: skip
    notes = ["From the baseline one difference at a time, each round the one that is best on validation of all that are "
             "left (ablation analysis, Fawcett & Hoos 2016); every step is real runs at every seed. What a change earns "
             "depends on those before it."]  # fmt: skip
    if path.get("note"):
        notes.append(path["note"])
    return {"to": path["to"], "columns": columns, "rows": rows, "notes": notes}


def _two(entry):
    return entry["text"], entry["interval"]


def predictor_table(study):
    """Rank correlations of collapse metrics with accuracy: {columns, rows, note} or None."""
    rows = study.get("predictors")
    if not rows:
        return None
    top = rows[0]
    surely = [
        row
        for row in rows
        if drawing.finite([row["spearman"]["low"]]) and not row["spearman"]["low"] <= 0 <= row["spearman"]["high"]
    ]
    note = (f"Over {top['runs']} trained runs of {top['settings']} settings, {metric_name(top)} goes with test accuracy "
            f"best (Spearman {signed(top['spearman']['value'], '.2f')}); {len(surely)} of {len(rows)} metrics have an "
            "interval that excludes zero. Intervals count settings, not runs, for seeds of one setting are no independent "
            "evidence; they are not adjusted for the number of metrics. Runs that did not finish have no accuracy and "
            "cannot be counted here.")  # fmt: skip
    return {"columns": ["Metric", "Spearman's ρ", "Kendall's τ"], "note": note,
            "rows": [[metric_name(row), *(_with_interval(row[name]) for name in ("spearman", "kendall"))]
                     for row in rows]}  # fmt: skip


def _with_interval(one):
    has_bounds = len(drawing.finite([one["low"], one["high"]])) == 2
    bounds = f" [{signed(one['low'], '.2f')}, {signed(one['high'], '.2f')}]" if has_bounds else ""
    return figure_of(one["value"], ".2f") + bounds


def scale_claim(study):
    """The source paper's remark on the scale of two terms, tested."""
    claim = study.get("scale")
    if not claim:
        return []
    factor = claim["factor"]
    said = [
        f"unweighted, invariance is {_ratio(claim['ratio'])} times covariance, and the first half "
        f"{_of_one_scale(claim['ratio'], factor)}"
    ]
    if claim["weighted"]:
        said.append(
            f"weighted by λ and ν, {_ratio(claim['weighted'])} times, and it {_of_one_scale(claim['weighted'], factor)}"
        )
    tally = [f"{claim[name][0]} of {claim[name][1]} runs whose {what} collapsed"
             for name, what in (("same", "two terms are of one scale"), ("other", "terms are not"))
             if claim[name][1]]  # fmt: skip
    return ["The source paper says that invariance and covariance “converge to the same scale”, which “can be indicative "
            f"of a collapse”. With “the same scale” read as within a factor of {factor:.1f}, at the end of the baseline's "
            f"{claim['ratio']['n']} runs: {'; '.join(said)}. As for the second half: "
            f"{'; '.join(tally) or 'no run to judge by'} (unweighted)."]  # fmt: skip


def _ratio(interval):
    bounds = (
        f" (95 % interval {figure_of(interval['low'])} to {figure_of(interval['high'])})"
        if drawing.finite([interval["low"]])
        else ""
    )
    return figure_of(interval["mean"]) + bounds


def _of_one_scale(interval, factor):
    """Whether a ratio is within a factor of 1, as far as its interval tells."""
    if not drawing.finite([interval["low"]]):
        return f"cannot be judged (n = {interval['n']})"
    if 1 / factor <= interval["low"] and interval["high"] <= factor:
        return "holds"
    return "does not hold" if interval["low"] > factor or interval["high"] < 1 / factor else "is undetermined"
