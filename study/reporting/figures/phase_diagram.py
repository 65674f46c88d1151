"""The collapse phase diagram: a heat map on a plane of two ratios."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from study.reporting.figures.drawing import WIDTH, as_svg, draw_key, label_width, legend_of_types, new_figure, text_width
from study.reporting.figures.marks import name_mark, name_marks
from study.reporting.figures.scale import ROOM, draw_scale
from study.reporting.format import finite, is_finite
from study.reporting.palette import GRID, INK, PAPER, collapse_style, type_label

EVEN = 0.1791  # the luminance on which black and white have one contrast, 4.58: (L + 0.05) / 0.05 = 1.05 / (L + 0.05)
RANKS = matplotlib.colormaps["cividis"]  # a scale of one lightness from end to end, read alike by all eyes
LEAST_ROW = 26.0  # points of height that a tile has at least
SIZES = (8.0, 6.5)  # points of a tile's text

Place = tuple[float, float]


class Cell(TypedDict):
    """A tile at the ratios `x` and `y`; `accuracy` is a share, None where no run has one, and so is `rank`."""

    x: float
    y: float
    type: str  # of collapse, the one that most runs share
    rank: float | None
    accuracy: float | None
    decision: str | None  # against the baseline
    is_baseline: bool
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
    """Draw a tile for each pair of levels, coloured by type of collapse or by rank, with published points over them.

    Args:
        cells: at least one.
        colour: `type` for the type of collapse.
        axes_names: of x and y.
        published: rings where they trained, crosses where they collapsed, between the levels as their logarithms lie.
    """
    by_type = colour == "type"
    xs, ys = sorted({cell["x"] for cell in cells}), sorted({cell["y"] for cell in cells})
    left = max(46, 18 + label_width([f"{y:g}" for y in ys], size=9))  # the axis's name lies beside its numbers
    right, top, bottom = 14 if by_type else ROOM, 8, 78
    figure, axes = new_figure(max(330, top + bottom + LEAST_ROW * len(ys)), left, right, top=top, bottom=bottom)
    at = {(cell["x"], cell["y"]): cell for cell in cells}
    rows = [[at.get((x, y)) for x in xs] for y in ys]
    room = (WIDTH - left - right) / len(xs)
    if by_type:
        _tiles_by_type(axes, rows, room)
    else:
        draw_scale(figure, RANKS, _tiles_by_rank(axes, rows, room), "RankMe")
    _outline_baseline(axes, rows)
    for point in published:
        _published_point(axes, point, (_place(point["x"], xs), _place(point["y"], ys)))
    _scales(axes, xs, ys, [(_place(point["x"], xs), _place(point["y"], ys)) for point in published])
    axes.set_xlabel(axes_names[0], fontsize=9)
    axes.set_ylabel(axes_names[1], fontsize=9)
    others = _key_of_marks(published, any(cell["is_baseline"] for cell in cells))
    if by_type:
        legend_of_types(figure, [cell["type"] for cell in cells], others=others)
    else:
        draw_key(figure, others)
    return figure


def _place(ratio: float, levels: Sequence[float]) -> float:
    """Return where a ratio lies on the axis: a level at the middle of its tile, others by their logarithms."""
    logs, value = [math.log(level) for level in levels], math.log(ratio)
    if len(logs) == 1:
        return 0.5 + (value - logs[0]) / math.log(10)
    after = min(max(next((k for k, log in enumerate(logs) if log >= value), len(logs)), 1), len(logs) - 1)
    return after - 0.5 + (value - logs[after - 1]) / (logs[after] - logs[after - 1])


def _heat_map(
    axes: Axes, values: Sequence[Sequence[float]], rows: Sequence[Sequence[Cell | None]], **kwargs: object
) -> None:
    """Draw a tile for each cell that is there, each named."""
    import seaborn

    seaborn.heatmap(
        values, mask=np.array([[cell is None for cell in row] for row in rows]), cbar=False, linewidths=1.5, linecolor=PAPER,
        xticklabels=False, yticklabels=False, ax=axes, **kwargs,
    )  # fmt: skip
    flat = [cell for row in rows for cell in row]
    series = [type_label(cell["type"]) if cell else "" for cell in flat]
    name_marks(axes.collections[0], [cell["tip"] if cell else "" for cell in flat], series=series)


def _tiles_by_type(axes: Axes, rows: Sequence[Sequence[Cell | None]], room: float) -> None:
    """Colour the tiles by type of collapse, and write the sign, what was decided and the accuracy on each."""
    names = list(dict.fromkeys(cell["type"] for row in rows for cell in row if cell))
    colours = ListedColormap([(*to_rgb(collapse_style(name)[0]), 0.5) for name in names])
    codes = [[float(names.index(cell["type"])) if cell else 0.0 for cell in row] for row in rows]
    _heat_map(axes, codes, rows, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell:
                sign = collapse_style(cell["type"])[2]
                _write(
                    axes, (x + 0.5, y + 0.76), [f"{sign} {cell['decision']}" if cell["decision"] else sign, sign], room, cell
                )
                text = f"{100 * cell['accuracy']:.1f}" if is_finite(cell["accuracy"]) else "no result"
                _write(axes, (x + 0.5, y + 0.24), [f"{text} %" if is_finite(cell["accuracy"]) else text, text], room, cell)


def _tiles_by_rank(axes: Axes, rows: Sequence[Sequence[Cell | None]], room: float) -> LogNorm:
    """Colour the tiles by rank, write it on each, and return the scale."""
    ranks = finite([cell["rank"] for row in rows for cell in row if cell])
    lowest, highest = max(min(ranks, default=1), 1), max([*ranks, 2])
    scale = LogNorm(lowest if lowest < highest else highest / 2, highest)  # one rank has no scale of its own
    known = [[cell if cell and is_finite(cell["rank"]) else None for cell in row] for row in rows]
    values = [[max(cell["rank"] or 1, 1) if cell else 1.0 for cell in row] for row in known]
    _heat_map(axes, values, known, cmap=RANKS, norm=scale, vmin=scale.vmin, vmax=scale.vmax)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell is None:
                continue
            rank, ink = cell["rank"], INK
            if rank is None or not is_finite(rank):
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=GRID, edgecolor=PAPER, linewidth=1.5))
            else:
                face = RANKS(scale(max(rank, 1)))
                ink = "#000000" if luminance(face[:3]) > EVEN else "#fffffe"  # not the page's own colours
            _write(axes, (x + 0.5, y + 0.24), [f"{rank:.3g}" if is_finite(rank) else "no result"], room, cell, ink=ink)
    return scale


def _write(axes: Axes, place: Place, texts: Sequence[str], room: float, cell: Cell, *, ink: str = INK) -> None:
    """Write the first of the texts that a tile has room for; the tile's name says all of them."""
    text, size = next(((text, size) for text in texts for size in SIZES if text_width(text, size) <= room - 2), ("", 0.0))
    if text:
        words = axes.text(*place, text, ha="center", va="center", fontsize=size, color=ink)
        name_mark(words, cell["tip"], series=type_label(cell["type"]))


def luminance(rgb: Sequence[float]) -> float:
    """Return the relative luminance, 0 to 1, of (red, green, blue) in 0 to 1: WCAG 2.2."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _scales(axes: Axes, xs: Sequence[float], ys: Sequence[float], others: Sequence[Place]) -> None:
    """Tick both axes at their levels, the largest above and at the right, wide enough for the `others`."""
    axes.set_xlim(min([0, *(x - 0.3 for x, _ in others)]), max([len(xs), *(x + 0.3 for x, _ in others)]))
    axes.set_ylim(min([0, *(y - 0.3 for _, y in others)]), max([len(ys), *(y + 0.3 for _, y in others)]))
    each = max(1, math.ceil(len(xs) * label_width([f"{x:g}" for x in xs], size=9) / 300))
    axes.set_xticks([k + 0.5 for k in range(0, len(xs), each)], [f"{x:g}" for x in xs[::each]], color=INK, rotation=0)
    axes.set_yticks([k + 0.5 for k in range(len(ys))], [f"{y:g}" for y in ys], color=INK, rotation=0)
    axes.grid(visible=False)


def _outline_baseline(axes: Axes, rows: Sequence[Sequence[Cell | None]]) -> None:
    """Draw a frame around the baseline's tile."""
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell and cell["is_baseline"]:
                frame = Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, fill=False, edgecolor=INK, linewidth=1.6, zorder=3)
                axes.add_patch(frame)
                name_mark(frame, cell["tip"], series="baseline")


def _published_point(axes: Axes, point: PublishedPoint, place: Place) -> None:
    """Draw a ring where a published point trained, a cross where it collapsed."""
    marker = "x" if point["collapsed"] else "o"
    for colour, width in ((PAPER, 3.6), (INK, 1.5)):  # seen on tiles of any colour
        (mark,) = axes.plot(*place, marker, color=colour, markersize=13, markerfacecolor="none", markeredgewidth=width)
        name_mark(mark, point["text"], series=f"published: {'collapsed' if point['collapsed'] else 'trained'}")


def _key_of_marks(published: Sequence[PublishedPoint], has_baseline: bool) -> list[tuple[Artist, str]]:
    """Return the legend's entries for what is drawn over the tiles."""
    drawn: Mapping[str, bool] = {
        "published: trained": any(not point["collapsed"] for point in published),
        "published: collapsed": any(point["collapsed"] for point in published),
    }
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], linestyle="", marker="x" if name.endswith("collapsed") else "o", color=INK, markersize=6.5,
                markerfacecolor="none", markeredgewidth=1.5), name)
        for name, is_drawn in drawn.items() if is_drawn
    ]  # fmt: skip
    if has_baseline:
        frame = Line2D(
            [], [], linestyle="", marker="s", color=INK, markersize=7, markerfacecolor="none", markeredgewidth=1.5
        )
        entries.append((frame, "baseline"))
    return entries
