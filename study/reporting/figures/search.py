"""Figures of a search: its trials and the importance of parameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import as_svg, draw_key, label_width, legend_of_types, name_rows, new_figure, shorten
from study.reporting.figures.marks import name_mark
from study.reporting.figures.points import Point, draw_points
from study.reporting.format import finite, is_finite
from study.reporting.palette import BLUE, INK, ORANGE

# key, name, colour, dash of its noise floor
EVALUATORS: tuple[tuple[str, str, str, Literal["--", ":"]], ...] = (
    ("fanova", "fANOVA", BLUE, "--"),
    ("ped_anova", "PED-ANOVA", ORANGE, ":"),
)


class ImportanceRow(TypedDict):
    """A parameter's share of importance by each evaluator, None where one gives none."""

    label: str
    fanova: float | None
    ped_anova: float | None


@as_svg
def search_history(trials: Sequence[Point], *, objective: str, lowest: bool = False) -> Figure:
    """Draw trials by their number, and the best so far.

    Args:
        trials: in the order they were proposed.
        objective: names the values with their unit.
        lowest: the lowest value is the best, as of a cost.
    """
    import seaborn

    figure, axes = new_figure(250, 42, 14, bottom=54)
    best, line = math.inf if lowest else -math.inf, []
    for trial in trials:
        best = (min if lowest else max)([best, *finite([trial["y"]])])
        if math.isfinite(best):
            line.append((trial["x"], best))
    if line:
        numbers, values = zip(*line)
        seaborn.lineplot(x=list(numbers), y=list(values), estimator=None, color=INK, linewidth=1.2, drawstyle="steps-post",
                         zorder=1.5, ax=axes)  # fmt: skip
        name_mark(axes.lines[-1], "best so far", series="best so far")
        every = [*finite([trial["y"] for trial in trials]), *values]
        low, high = min(every), max(every)
        room = (high - low) or 1
        axes.set_ylim(low - 0.1 * room, high + 0.06 * room)  # crosses stand below all that has a value
    draw_points(axes, trials)
    axes.set_xlabel("trial, as proposed", fontsize=8.5)
    axes.set_ylabel(objective, fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    valued = [trial["type"] for trial in trials if is_finite(trial["y"])]
    so_far = [(Line2D([], [], color=INK, linewidth=1.2), "  best so far")] if line else []
    legend_of_types(figure, valued, no_value=len(valued) < len(trials), others=so_far)
    return figure


@as_svg
def importance_bars(rows: Sequence[ImportanceRow], *, floor: Mapping[str, float | None]) -> Figure:
    """Draw importances by two evaluators side by side, the controls among them.

    `floor` is by evaluator the largest share that noise had, a line each.
    """
    labels = [shorten(row["label"]) for row in rows]
    figure, axes = new_figure(64 + 30 * len(rows), label_width(labels) + 6, 18, bottom=54)
    _bars(axes, rows)
    entries: list[tuple[Artist, str]] = []
    for key, name, colour, dash in EVALUATORS:
        entries.append((Line2D([], [], linestyle="", marker="s", markersize=6, color=colour), name))
        noise = floor.get(key)
        if is_finite(noise):
            line = axes.axvline(noise, color=colour, linestyle=dash, linewidth=1.3)
            name_mark(line, f"noise, {name}: {noise:.2f}", series=f"noise, {name}")
            entries.append((Line2D([], [], color=colour, linestyle=dash), f"  noise, {name}"))
    axes.set_xlim(0, None)
    name_rows(axes, labels)
    axes.set_xlabel("share of importance", fontsize=8.5)
    draw_key(figure, entries)
    return figure


def _bars(axes: Axes, rows: Sequence[ImportanceRow]) -> None:
    """Draw a bar for each share that is known, each named."""
    import seaborn

    shares = [(y, {"fanova": row["fanova"], "ped_anova": row["ped_anova"]}) for y, row in enumerate(rows)]
    known = [(y, key, share) for y, of_row in shares for key, share in of_row.items() if is_finite(share)]
    if not known:
        return
    seaborn.barplot(
        x=[share for _, _, share in known], y=[str(y) for y, _, _ in known], hue=[key for _, key, _ in known],
        order=[str(y) for y in range(len(rows))], hue_order=[key for key, *_ in EVALUATORS],
        palette=[colour for _, _, colour, _ in EVALUATORS], saturation=1, errorbar=None, orient="h", width=0.7, legend=False,
        ax=axes,
    )  # fmt: skip
    for (_, name, _, _), bars in zip(EVALUATORS, axes.containers):
        for bar in bars:
            assert isinstance(bar, Rectangle)
            if not is_finite(float(bar.get_width())):  # seaborn's place for a share that is not there
                bar.remove()
                continue
            row = rows[round(bar.get_y() + bar.get_height() / 2)]
            name_mark(bar, f"{row['label']}, {name}: {bar.get_width():.2f}", series=name)
