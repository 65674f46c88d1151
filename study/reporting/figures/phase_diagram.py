"""The collapse phase diagram: tiles on a plane of two ratios."""

import math
from collections.abc import Sequence
from typing import Literal, TypedDict

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from study.reporting.figures.drawing import WIDTH, add_tip, as_svg, label_width, legend_of_types, new_figure
from study.reporting.format import finite, is_finite
from study.reporting.palette import GRID, INK, PAPER, collapse_style

EVEN = 0.1791  # the luminance on which black and white have one contrast, 4.58: (L + 0.05) / 0.05 = 1.05 / (L + 0.05)
RANKS = "cividis"  # a scale of one lightness from end to end, read alike by all eyes

Face = str | tuple[float, float, float, float]


class Cell(TypedDict):
    """A tile at the ratios `x` and `y`; `accuracy` is a share, None where no run has one, and so is `rank`."""

    x: float
    y: float
    type: str  # of collapse, the one that most runs share
    rank: float | None
    accuracy: float | None
    tip: str


class PublishedPoint(TypedDict):
    """A published pair of ratios, and whether it collapsed there."""

    x: float
    y: float
    collapsed: bool
    text: str


@as_svg
def phase_diagram(
    cells: Sequence[Cell], *, colour: Literal["type", "rank"], axes_names: tuple[str, str],
    published: Sequence[PublishedPoint] = (),
) -> Figure:  # fmt: skip
    """Draw tiles on two logarithmic axes, coloured by type of collapse or by rank, with published points over them.

    Args:
        cells: at least one.
        colour: `type` for the type of collapse.
        axes_names: of x and y.
        published: rings where they trained, crosses where they collapsed.
    """
    by_type = colour == "type"
    xs, ys = sorted({cell["x"] for cell in cells}), sorted({cell["y"] for cell in cells})
    left = max(46, 18 + label_width([f"{y:g}" for y in ys], size=9))  # the axis's name lies beside its numbers
    figure, axes = new_figure(330, left, 20 if by_type else 62, top=12, bottom=64 if by_type else 40)
    x_edges, y_edges = _edges(xs), _edges(ys)
    ranks = finite([cell["rank"] for cell in cells])
    lowest, highest = max(min(ranks, default=1), 1), max([*ranks, 2])
    scale = LogNorm(lowest if lowest < highest else highest / 2, highest)  # one rank has no scale of its own
    for cell in cells:
        _tile(axes, cell, x_edges[xs.index(cell["x"])], y_edges[ys.index(cell["y"])], None if by_type else scale)
    _scale_of_ratio(axes, axes.xaxis, xs, [point["x"] for point in published], x_edges)
    _scale_of_ratio(axes, axes.yaxis, ys, [point["y"] for point in published], y_edges)
    axes.set_xlabel(axes_names[0], fontsize=9)
    axes.set_ylabel(axes_names[1], fontsize=9)
    axes.grid(visible=False)
    for point in published:
        _published_point(axes, point)
    if by_type:
        legend_of_types(figure, [cell["type"] for cell in cells])
    else:
        _bar_of_ranks(figure, scale)
    return figure


def _edges(levels: Sequence[float]) -> list[tuple[float, float]]:
    """Return the bounds of each level's tile, half way to its neighbours on a logarithmic scale."""
    logs = [math.log10(level) for level in levels]
    step = min([b - a for a, b in zip(logs, logs[1:])], default=1)
    between = [(a + b) / 2 for a, b in zip(logs, logs[1:])]
    bounds = [logs[0] - step / 2, *between, logs[-1] + step / 2]
    return [(10**low, 10**high) for low, high in zip(bounds, bounds[1:])]


def _tile(axes: Axes, cell: Cell, x: tuple[float, float], y: tuple[float, float], ranks: LogNorm | None) -> None:
    """Draw a tile between the edges `x` and `y`, coloured by rank on the scale `ranks`, else by type of collapse."""
    (left, right), (bottom, top) = x, y
    face, ink, text = _by_type(cell) if ranks is None else _by_rank(cell, ranks)
    axes.fill([left, right, right, left], [bottom, bottom, top, top], facecolor=face, edgecolor=PAPER, linewidth=1.5)
    below = bottom * (top / bottom) ** 0.16  # a published point may lie in the middle
    words = axes.text(math.sqrt(left * right), below, text, ha="center", va="center", fontsize=8, color=ink)
    add_tip(words, cell["tip"])


def _by_type(cell: Cell) -> tuple[Face, str, str]:
    """Return face, ink and text of a tile: its type of collapse and its accuracy."""
    accuracy = f"{100 * cell['accuracy']:.1f} %" if is_finite(cell["accuracy"]) else "no result"
    face, _, sign = collapse_style(cell["type"])
    return (*to_rgb(face), 0.55), INK, f"{sign} {accuracy}"


def _by_rank(cell: Cell, scale: LogNorm) -> tuple[Face, str, str]:
    """Return face, ink and text of a tile: its rank."""
    rank = cell["rank"]
    if rank is None or not is_finite(rank):
        return GRID, INK, "no result"
    face = matplotlib.colormaps[RANKS](scale(max(rank, 1)))
    ink = "#000000" if _luminance(face[:3]) > EVEN else "#fffffe"  # not the page's own colours
    return to_hex(face), ink, f"{rank:.3g}"


def _luminance(rgb: Sequence[float]) -> float:
    """Return the relative luminance, 0 to 1, of (red, green, blue) in 0 to 1: WCAG 2.2."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _scale_of_ratio(
    axes: Axes, axis: Axis, levels: Sequence[float], others: Sequence[float], edges: Sequence[tuple[float, float]]
) -> None:  # fmt: skip
    """Make an axis logarithmic, ticked at the `levels`, from edge to edge and wide enough for `others`."""
    low, high = edges[0][0], edges[-1][1]
    set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if axis is axes.xaxis else (axes.set_yscale, axes.set_ylim)
    set_scale("log")
    set_limits(min([low, *(other / 1.3 for other in others)]), max([high, *(other * 1.3 for other in others)]))
    axis.set_major_locator(FixedLocator(levels))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_tick_params(labelcolor=INK)


def _published_point(axes: Axes, point: PublishedPoint) -> None:
    """Draw a ring where a published point trained, a cross where it collapsed."""
    marker = "x" if point["collapsed"] else "o"
    for colour, width in ((PAPER, 3.6), (INK, 1.5)):  # seen on tiles of any colour
        (mark,) = axes.plot(
            point["x"], point["y"], marker, color=colour, markersize=15, markerfacecolor="none", markeredgewidth=width
        )
    add_tip(mark, point["text"])


def _bar_of_ranks(figure: Figure, scale: LogNorm) -> None:
    """Draw the scale of colours at the right."""
    axes = figure.add_axes((1 - 54 / WIDTH, 0.2, 10 / WIDTH, 0.6))
    lowest, highest = float(scale.vmin or 1), float(scale.vmax or 1)
    ends = math.log10(lowest), math.log10(highest)
    steps = 24
    for step in range(steps):
        low, high = (10 ** (ends[0] + (ends[1] - ends[0]) * k / steps) for k in (step, step + 1))
        axes.axhspan(low, high, color=matplotlib.colormaps[RANKS]((step + 0.5) / steps), linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(lowest, highest)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_title("RankMe", fontsize=8, color=INK)
    axes.grid(visible=False)
