"""The trials of a search in the space that it searched: in a plane, and on parallel axes."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from study.reporting.figures.drawing import WIDTH, as_svg, draw_key, new_figure, shorten
from study.reporting.figures.marks import name_mark, name_marks
from study.reporting.figures.points import NO_VALUE
from study.reporting.figures.scale import ROOM, draw_scale
from study.reporting.figures.ticks import plain_number, tick_log_axis
from study.reporting.format import finite, is_finite
from study.reporting.palette import COLLAPSE_TYPES, GRID, INK, MUTED, NO_NAME, NO_TYPE, PAPER, collapse_style, type_label

COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.1, 0.8, 64)))  # seen on white and on black
POOR = 4.0  # times as far below the best as the median is: all that is worse has one colour


class SearchPoint(TypedDict):
    """A trial: its settings by name, and its value; `value` is None where it came to none."""

    settings: Mapping[str, Any]
    value: float | None
    type: str | None  # of collapse
    is_best: bool
    tip: str


class Parameter(NamedTuple):
    """A searched setting: its name in `settings`, and the kind of its axis."""

    name: str
    is_numeric: bool
    is_log: bool


@as_svg
def plane_of_trials(
    trials: Sequence[SearchPoint], x: Parameter, y: Parameter, *, objective: str, lowest: bool = False
) -> Figure:
    """Draw the trials by two numeric parameters, coloured by their value; a cross has none, and a ring is the best.

    Where the `lowest` value is the best, the scale of colours has all values; else the poor ones share a colour.
    """
    figure, axes = new_figure(300, 46, ROOM, bottom=64)
    shown = [one for one in trials if all(is_finite(one["settings"].get(axis.name)) for axis in (x, y))]
    scale, at_most = _scale_of([one["value"] for one in shown], lowest=lowest)
    valued = [one for one in shown if is_finite(one["value"])]
    _valued_points(axes, valued, x, y, scale)
    for one in shown:
        place = one["settings"][x.name], one["settings"][y.name]
        if not is_finite(one["value"]):
            (mark,) = axes.plot(*place, "x", color=MUTED, markersize=6, markeredgewidth=1.4)
            name_mark(mark, one["tip"], series=NO_VALUE)
        if one["is_best"]:
            (ring,) = axes.plot(*place, "o", color=INK, markersize=12, markerfacecolor="none", markeredgewidth=1.5)
            name_mark(ring, one["tip"], series=type_label(one["type"]))
    for axis, parameter, values in (
        ("x", x, [one["settings"][x.name] for one in shown]),
        ("y", y, [one["settings"][y.name] for one in shown]),
    ):
        _numeric_axis(axes, axis, parameter, values)
    draw_scale(figure, COLOURS, scale, shorten(objective, 60, size=8), at_most=at_most)
    draw_key(figure, _key_of_points(shown))
    return figure


def _valued_points(
    axes: Axes, valued: Sequence[SearchPoint], x: Parameter, y: Parameter, scale: Normalize
) -> None:  # fmt: skip
    """Draw the trials that have a value, each named."""
    import seaborn

    if not valued:
        return
    types = [one["type"] if one["type"] in COLLAPSE_TYPES else "" for one in valued]
    seaborn.scatterplot(
        x=[one["settings"][x.name] for one in valued], y=[one["settings"][y.name] for one in valued],
        hue=[one["value"] for one in valued], hue_norm=scale, palette=COLOURS, style=types,
        markers={name: collapse_style(name)[1] for name in types}, s=42, edgecolor=MUTED, linewidth=0.5, legend=False,
        ax=axes,
    )  # fmt: skip
    name_marks(axes.collections[-1], [one["tip"] for one in valued], series=[type_label(one["type"]) for one in valued])


def _scale_of(values: Sequence[float | None], *, lowest: bool) -> tuple[Normalize, bool]:
    """Return the scale of colours, and whether its low end stands for all that is lower."""
    known = finite(values)
    if not known:
        return Normalize(0, 1), False
    best, least = max(known), min(known)
    low = least if lowest else max(least, best - POOR * (best - statistics.median(known)))
    if low >= best:
        low = least if least < best else best - max(1e-6, 0.01 * abs(best))
    return Normalize(low, best), low > least


def _numeric_axis(axes: Axes, which: str, parameter: Parameter, values: Sequence[float]) -> None:
    """Name and scale an axis, with room at both ends."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    axis = axes.xaxis if which == "x" else axes.yaxis
    set_limits = axes.set_xlim if which == "x" else axes.set_ylim
    if parameter.is_log and low > 0:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        room = max((high / low) ** 0.06, 1.1)
        set_limits(low / room, high * room)
        tick_log_axis(axis, low / room, high * room)
    else:
        room = 0.06 * (high - low) or 0.5 * abs(high) or 1
        set_limits(low - room, high + room)
        axis.set_major_formatter(FuncFormatter(lambda v, _: plain_number(round(v, 9))))
    axis.set_label_text(parameter.name, fontsize=8.5)


def _key_of_points(trials: Sequence[SearchPoint]) -> list[tuple[Artist, str]]:
    """Return the legend's entries: the marks of the types, the cross of no value, and the ring of the best."""
    types = [one["type"] for one in trials if is_finite(one["value"])]
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], linestyle="", color=MUTED, marker=style[1], markersize=5), name)
        for name, style in COLLAPSE_TYPES.items() if name in types
    ]  # fmt: skip
    if any(name not in COLLAPSE_TYPES for name in types):
        entries.append((Line2D([], [], linestyle="", color=MUTED, marker=NO_TYPE[1], markersize=5), NO_NAME))
    if len(types) < len(trials):
        entries.append((Line2D([], [], linestyle="", color=MUTED, marker="x", markersize=5), NO_VALUE))
    if any(one["is_best"] for one in trials):
        ring = Line2D([], [], linestyle="", color=INK, marker="o", markersize=7, markerfacecolor="none", markeredgewidth=1.5)
        entries.append((ring, "best"))
    return entries


@as_svg
def parallel_trials(
    trials: Sequence[SearchPoint], parameters: Sequence[Parameter], *, objective: str, lowest: bool = False
) -> Figure:
    """Draw each trial as a line over an upright axis a parameter, and one of its value, which colours it.

    A dashed line collapsed; one that ends in a cross before the last axis has no value. The best is thick.
    """
    figure, axes = new_figure(290, 34, 40, top=30, bottom=46)
    scale, _ = _scale_of([one["value"] for one in trials], lowest=lowest)
    heights = [_heights([one["settings"].get(axis.name) for one in trials], axis) for axis in parameters]
    numbers = Parameter(objective, True, False)
    heights.append(_heights([one["value"] for one in trials], numbers))
    for at, (parameter, (_, ticks)) in enumerate(zip([*parameters, numbers], heights)):
        _upright(axes, at, parameter.name, ticks, last=at == len(parameters))
    for nth, one in enumerate(trials):
        _line_of(axes, one, [of_axis[0][nth] for of_axis in heights], scale)
    axes.set_xlim(-0.05, len(parameters) + 0.05)
    axes.set_ylim(-0.03, 1.03)
    axes.set_axis_off()
    draw_key(figure, _key_of_lines(trials))
    return figure


def _line_of(axes: Axes, trial: SearchPoint, heights: Sequence[float | None], scale: Normalize) -> None:
    """Draw one trial over the axes on which it has a place."""
    places = [(at, height) for at, height in enumerate(heights) if height is not None]
    has_value, healthy = is_finite(trial["value"]), trial["type"] == "healthy"
    colour = to_hex(COLOURS(scale(trial["value"]))) if is_finite(trial["value"]) else MUTED
    best = trial["is_best"]
    (line,) = axes.plot(
        *zip(*places), color=INK if best else colour, linewidth=2.4 if best else 1.2, alpha=1 if best else 0.85,
        linestyle="-" if healthy else (0, (3, 1.5)) if has_value else (0, (1, 1.5)), zorder=3 if best else 2,
        marker=None if has_value else "x", markevery=[-1], markersize=5,
    )  # fmt: skip
    name_mark(line, trial["tip"], series=type_label(trial["type"]) if has_value else NO_VALUE)


def _heights(values: Sequence[Any], parameter: Parameter) -> tuple[list[float | None], list[tuple[float, str]]]:
    """Return each value's height on its axis, 0 to 1 and None without a value, and the ticks as (height, text)."""
    if not parameter.is_numeric:
        names = list(dict.fromkeys(str(value) for value in values if value is not None))
        place = {name: (k + 0.5) / len(names) for k, name in enumerate(names)}
        return [None if value is None else place[str(value)] for value in values], [(y, name) for name, y in place.items()]
    known = finite(values)
    if not known:
        return [None] * len(values), []
    is_log = parameter.is_log and min(known) > 0
    low, high = min(known), max(known)
    start, span = (math.log(low), math.log(high / low)) if is_log else (low, high - low)

    def height(value: float) -> float:
        return ((math.log(value) if is_log else value) - start) / span if span > 0 else 0.5

    ticks = [low, *([math.sqrt(low * high) if is_log else (low + high) / 2, high] if span > 0 else [])]
    return [height(value) if is_finite(value) else None for value in values], [(height(v), f"{v:.3g}") for v in ticks]


def _upright(axes: Axes, at: int, name: str, ticks: Sequence[tuple[float, str]], *, last: bool) -> None:
    """Draw one axis with its name above and its ticks beside it."""
    axes.plot([at, at], [0, 1], color=INK if last else GRID, linewidth=1.2, zorder=1)
    room = (WIDTH - 74) / max(at, 1) - 26 if last else 60
    axes.annotate(shorten(name, min(room, 96), size=8), (at, 1), (0, 12), textcoords="offset points", fontsize=8,
                  ha="right" if last else "left" if at == 0 else "center",
                  fontweight="bold" if last else "normal")  # fmt: skip
    behind = {"facecolor": PAPER, "alpha": 0.8, "linewidth": 0, "pad": 0.6}  # lines run under the numbers
    for height, text in ticks:
        axes.annotate(shorten(text, 36, size=7.5), (at, height), (4, 0), textcoords="offset points", fontsize=7.5,
                      va="center", color=INK, zorder=4, bbox=behind)  # fmt: skip


def _key_of_lines(trials: Sequence[SearchPoint]) -> list[tuple[Artist, str]]:
    """Return the legend's entries: what lines of each kind mean, of those that are there."""
    kinds: list[tuple[Literal["-", "--", ":"], float, str, str, bool]] = [
        ("-", 1.2, MUTED, "healthy", any(is_finite(one["value"]) and one["type"] == "healthy" for one in trials)),
        ("--", 1.2, MUTED, "another type", any(is_finite(one["value"]) and one["type"] != "healthy" for one in trials)),
        (":", 1.2, MUTED, NO_VALUE, any(not is_finite(one["value"]) for one in trials)),
        ("-", 2.4, INK, "best", any(one["is_best"] for one in trials)),
    ]
    return [
        (Line2D([], [], linestyle=dash, linewidth=width, color=colour), f"  {name}")
        for dash, width, colour, name, is_there in kinds if is_there
    ]  # fmt: skip
