"""Figures of a search: its trials and the importance of parameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import (
    as_svg,
    label_width,
    legend_of_types,
    name_rows,
    new_figure,
    shorten,
)
from study.reporting.figures.marks import name_mark
from study.reporting.format import finite, is_finite
from study.reporting.palette import BLUE, INK, ORANGE, PAPER, collapse_style

# key, name, colour, place beside the row's middle, dash of its noise floor
EVALUATORS: tuple[tuple[str, str, str, float, Literal["--", ":"]], ...] = (
    ("fanova", "fANOVA", BLUE, -0.19, "--"),
    ("ped_anova", "PED-ANOVA", ORANGE, 0.19, ":"),
)


class Trial(TypedDict):
    """A trial by its number; `value` is None where it came to none."""

    number: int
    value: float | None
    type: str | None  # of collapse
    tip: str


class ImportanceRow(TypedDict):
    """A parameter's share of importance by each evaluator, None where one gives none."""

    label: str
    fanova: float | None
    ped_anova: float | None


@as_svg
def search_history(trials: Sequence[Trial], *, objective: str) -> Figure:
    """Draw trials in the order they were proposed, and the best so far; `objective` names the values with their unit."""
    figure, axes = new_figure(250, 42, 14, bottom=54)
    values = finite([trial["value"] for trial in trials])
    floor = min(values, default=0) - 0.06 * ((max(values, default=1) - min(values, default=0)) or 1)
    best, line = -math.inf, []
    for trial in trials:
        name_mark(_trial(axes, trial, floor=floor), trial["tip"])
        best = max([best, *finite([trial["value"]])])
        if math.isfinite(best):
            line.append((trial["number"], best))
    if line:
        axes.plot(*zip(*line), color=INK, linewidth=1.2, drawstyle="steps-post", zorder=1.5)
    axes.set_xlabel("trial, as proposed", fontsize=8.5)
    axes.set_ylabel(objective, fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    valued = [trial["type"] for trial in trials if is_finite(trial["value"])]
    legend_of_types(figure, valued, no_value=len(valued) < len(trials))
    return figure


def _trial(axes: Axes, trial: Trial, *, floor: float) -> Line2D:
    """Draw one trial, or the cross of one without a value at `floor`."""
    colour, marker, _ = collapse_style(trial["type"])
    number, value = trial["number"], trial["value"]
    if is_finite(value):
        (dot,) = axes.plot(number, value, color=colour, markersize=5, linestyle="", marker=marker, markeredgecolor=PAPER,
                           markeredgewidth=0.5)  # fmt: skip
    else:
        (dot,) = axes.plot(number, floor, color=colour, markersize=5, linestyle="", marker="x", markeredgewidth=1.2)
    return dot


@as_svg
def importance_bars(rows: Sequence[ImportanceRow], *, floor: Mapping[str, float | None]) -> Figure:
    """Draw importances by two evaluators side by side, the controls among them.

    `floor` is by evaluator the largest share that noise had, a line each.
    """
    labels = [shorten(row["label"]) for row in rows]
    figure, axes = new_figure(64 + 30 * len(rows), label_width(labels) + 6, 18, bottom=54)
    handles: list[Patch | Line2D] = []
    for key, name, colour, offset, dash in EVALUATORS:
        for y, row in enumerate(rows):
            share = {"fanova": row["fanova"], "ped_anova": row["ped_anova"]}[key]
            if is_finite(share):
                (bar,) = axes.barh(y + offset, share, height=0.34, color=colour, linewidth=0)
                name_mark(bar, f"{row['label']}, {name}: {share:.2f}")
        handles.append(Patch(facecolor=colour, label=name))
        noise = floor.get(key)
        if is_finite(noise):
            axes.axvline(noise, color=colour, linestyle=dash, linewidth=1.3)
            handles.append(Line2D([], [], color=colour, linestyle=dash, label="its noise floor"))
    axes.set_xlim(0, None)
    name_rows(axes, labels)
    axes.set_xlabel("share of importance", fontsize=8.5)
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=7.5, handlelength=1.4,
                  columnspacing=0.9, borderpad=0, borderaxespad=0.2, labelcolor=INK)  # fmt: skip
    return figure
