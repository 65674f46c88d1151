"""Curves over epochs or eigenvalues, a line an arm."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.reporting.figures.drawing import as_svg, label_width, new_figure, shorten
from study.reporting.figures.marks import name_mark, name_marks
from study.reporting.figures.ticks import plain_number, tick_log_axis
from study.reporting.palette import MUTED, collapse_style

DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
HEIGHT = 250.0  # points, of a figure
MANY_ARMS = 14  # beyond this, line labels no longer fit beside a panel of this height
DECADES = 6  # of a logarithmic axis; a collapsed run's 1e-12 would flatten every other curve

Line = tuple[list[int], list[tuple[float, float, float]]]  # x; and at each x (mean, lowest, highest) over seeds


class LineStyle(TypedDict):
    """Whose line it is: the baseline's is thick, the control's is dotted and grey."""

    label: str
    is_baseline: bool
    is_control: bool
    type: str | None  # of collapse


class RunEnd(NamedTuple):
    """The last value of a run."""

    seed: int
    x: float
    y: float


class _End(NamedTuple):
    """Where a line ends and what is written there; `x` is None for one that spans the panel."""

    x: float | None
    y: float
    label: str
    colour: str
    bold: bool
    series: str


@as_svg
def curves(
    styles: Sequence[LineStyle], lines: Sequence[Line], *, log: bool = False, xlabel: str = "epoch",
    reference: tuple[str, float] | None = None, from_zero: bool = False, log_x: bool = False,
    ends: Sequence[Sequence[RunEnd]] = (), most_named: int = MANY_ARMS, what: str = "",
) -> Figure:  # fmt: skip
    """Draw one quantity, a line an arm (mean over seeds) with a band from lowest to highest, and where its runs end.

    Args:
        styles: one a line.
        lines: one an arm; an empty one is left out.
        log, log_x: whether the axis of y or x is logarithmic.
        reference: (label, value) of a dashed line.
        from_zero: whether a linear axis begins at zero.
        ends: where the runs of each line end; none where runs are not told apart.
        most_named: beyond so many lines the baseline's alone has a name; the figure is high enough for as many.
        what: a value of x, before its number; "" where the axis says it.
    """
    everyone = ends or [()] * len(lines)
    shown = [(style, x, y, runs) for style, (x, y), runs in zip(styles, lines, everyone) if x]
    names = [shorten(style["label"], 112) for style, *_ in shown]
    few = len(shown) <= most_named
    written = [name for (style, *_), name in zip(shown, names) if few or style["is_baseline"]]
    figure, axes = new_figure(
        max(HEIGHT, HEIGHT / MANY_ARMS * min(len(shown), most_named)), 38,
        22 + label_width([*written, reference[0] if reference else ""]),
    )  # fmt: skip
    values = [value for _, _, y, _ in shown for point in y for value in point] + ([reference[1]] if reference else [])
    floor = _set_scale(axes, values, log=log, from_zero=from_zero)
    labels: list[_End] = []
    used: dict[str | None, int] = {}
    for (style, x, y, runs), name in zip(shown, names):
        nth = used[style["type"]] = used.get(style["type"], -1) + (0 if style["is_baseline"] else 1)
        measured = [list(column) for column in zip(*y)]
        end = _line(axes, style, x, measured, nth=nth, few=few, what=what or xlabel, floor=floor)
        if few:
            _runs(axes, style, runs, colour=end.colour, floor=floor)
        if few or style["is_baseline"]:
            labels.append(end._replace(label=name))
    if reference:
        axes.axhline(reference[1], color=MUTED, linewidth=0.9, linestyle="--", zorder=1.5)
        labels.append(_End(None, reference[1], reference[0], MUTED, False, ""))
    _set_x(axes, [x for _, xs, *_ in shown for x in xs], xlabel, log_x)
    _name_lines(figure, axes, labels)
    return figure


def _line(
    axes: Axes, style: LineStyle, x: list[int], measured: list[list[float]], *, nth: int, few: bool, what: str, floor: float
) -> _End:  # fmt: skip
    """Draw one line from its (mean, lowest, highest) columns, with a band where there are few; return its end.

    What lies below the `floor` of the axis is drawn on it, and named by the value that was measured.
    """
    mean, low, high = [[max(value, floor) for value in column] for column in measured]
    last, least, most = (column[-1] for column in measured)
    label, is_baseline = style["label"], style["is_baseline"]
    colour = MUTED if style["is_control"] else collapse_style(style["type"])[0]
    dash = ":" if style["is_control"] else "-" if is_baseline else DASHES[nth % len(DASHES)]
    width, alpha, zorder = 2.6 if is_baseline else 1.3, 1 if few or is_baseline else 0.45, 3 if is_baseline else 2
    if few:
        import seaborn  # here: half of the time that a command takes to start

        seaborn.lineplot(x=x, y=mean, estimator=None, color=colour, linestyle=dash, linewidth=width, alpha=alpha,
                         zorder=zorder, legend=False, ax=axes, marker="o" if len(x) == 1 else None, markersize=3,
                         markeredgewidth=0)  # fmt: skip
    else:  # a thousand calls of seaborn take minutes
        axes.plot(x, mean, color=colour, linestyle=dash, linewidth=width, alpha=alpha, zorder=zorder,
                  marker="o" if len(x) == 1 else None, markersize=3)  # fmt: skip
    spread = f", {plain_number(least)} to {plain_number(most)} over seeds" if most > least else ""
    name_mark(axes.lines[-1], f"{label}: {plain_number(last)} at {what} {x[-1]}{spread}", series=label)
    if few:
        name_mark(axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0), "", series=label)
    return _End(x[-1], mean[-1], label, colour, is_baseline, label)


def _runs(axes: Axes, style: LineStyle, runs: Sequence[RunEnd], *, colour: str, floor: float) -> None:
    """Draw where the runs of a line end, not below the axis's floor, each named by its value."""
    if len(runs) < 2:  # the line itself ends there
        return
    drawn = axes.scatter([run.x for run in runs], [max(run.y, floor) for run in runs], s=7, color=colour, linewidths=0,
                         clip_on=False, zorder=3.5)  # fmt: skip
    texts = [f"{style['label']}, seed {run.seed}: {plain_number(run.y)}" for run in runs]
    name_marks(drawn, texts, series=style["label"])


def _set_x(axes: Axes, xs: Sequence[float], xlabel: str, log_x: bool) -> None:
    """Set the axis of x for the values `xs`."""
    axes.set_xlabel(xlabel, fontsize=8.5)
    if xs and max(xs) > min(xs):
        axes.set_xlim(min(xs), max(xs))
    if log_x:
        axes.set_xscale("log")
        tick_log_axis(axes.xaxis, min(xs, default=1), max(xs, default=10))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="x", visible=False)


def _set_scale(axes: Axes, values: Sequence[float], *, log: bool, from_zero: bool) -> float:
    """Set the axis of y for `values`; return the lowest value that is drawn, -inf on a linear axis."""
    positive = [value for value in values if value > 0]
    if log and positive:
        floor, top = max(min(positive), max(positive) * 10**-DECADES), max(positive)
        axes.set_yscale("log")
        axes.set_ylim(floor / 1.3, top * 1.3)
        tick_log_axis(axes.yaxis, floor / 1.3, top * 1.3)
        return floor
    low, high = (min(values), max(values)) if values else (0, 1)
    low = min(low, 0) if from_zero else low
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1
    axes.set_ylim(low - margin, high + margin)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.6g}".replace("-", "−")))
    return -math.inf


def _name_lines(figure: Figure, axes: Axes, ends: Sequence[_End]) -> None:
    """Write each line's name beside its right end, moved up or down until no two names touch."""
    height = axes.get_position().height * figure.get_figheight() * 72
    to_points = axes.transAxes.inverted()
    wanted = sorted((to_points.transform(axes.transData.transform((1, end.y)))[1] * height, i) for i, end in enumerate(ends))
    placed = spread_out([y for y, _ in wanted], gap=min(10, height / max(len(ends) - 1, 1)), top=height)
    for (y_line, i), y in zip(wanted, placed):
        end = ends[i]
        x_data = axes.get_xlim()[1] if end.x is None else end.x
        x_line = to_points.transform(axes.transData.transform((x_data, end.y)))[0]
        (joint,) = axes.plot([x_line, 1.02, 1.05], [y_line / height, y_line / height, y / height], color=end.colour,
                             linewidth=0.8, transform=axes.transAxes, clip_on=False)  # fmt: skip
        name = axes.text(1.06, y / height, end.label, transform=axes.transAxes, fontsize=8, va="center_baseline",
                         fontweight="bold" if end.bold else "normal")  # fmt: skip
        for artist in (joint, name):
            name_mark(artist, "", series=end.series)


def spread_out(wanted: Sequence[float], *, gap: float, top: float) -> list[float]:
    """Return positions at least `gap` apart and within [0, top], near the sorted `wanted`."""
    placed: list[float] = []
    for y in wanted:  # push up
        placed.append(max(y, placed[-1] + gap if placed else 0))
    ceiling = top
    for i in reversed(range(len(placed))):  # push back down
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed
