"""Strip and point plots: seaborn's, with each mark named."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.markers import MarkerStyle

from study.reporting.figures.drawing import MANY_POINTS
from study.reporting.figures.marks import name_marks
from study.reporting.palette import INK, MUTED, PAPER, collapse_style

WIDTH_OF_LANES = 0.8  # rows over which seaborn spreads the lanes
STEPS = 5  # decimals by which a drawn value is found again


class Dot(NamedTuple):
    """A run's value in a row; `lane` is its place among the dots of the row, `text` names it to a pointer."""

    row: int
    lane: int
    value: float
    type: str | None  # of collapse; `untrained` for a control's
    text: str
    series: str  # that a legend switches it by


def strip_of_runs(
    axes: Axes, dots: Sequence[Dot], rows: int, *, size: float, alpha: float = 0.9, below: float = 0,
    width: float = 0.8, colour: str | None = None,
) -> None:  # fmt: skip
    """Draw a dot a run in rows from the top, coloured by type of collapse, each named.

    The lanes of a row lie beside one another; over `width` of it, all `below` rows lower than its middle. A `colour`
    takes the place of those of the types.
    """
    import seaborn  # here: half of the time that a command takes to start

    if not dots:
        return
    if len(dots) >= MANY_POINTS:  # seaborn draws a row and lane at a time, which would take minutes
        _crowd(axes, dots, size=size, alpha=alpha, below=below, width=width, colour=colour)
        return
    lanes = [str(lane) for lane in range(max(dot.lane for dot in dots) + 1)]
    seaborn.stripplot(
        x=[dot.value for dot in dots], y=[str(dot.row) for dot in dots], order=[str(row) for row in range(rows)],
        hue=[str(dot.lane) for dot in dots], hue_order=lanes, palette=[MUTED] * len(lanes), dodge=True, jitter=False,
        orient="h", legend=False, edgecolor=PAPER, linewidth=0.6, size=size, alpha=alpha, zorder=3, ax=axes,
    )  # fmt: skip
    waiting: dict[tuple[int, float], list[Dot]] = defaultdict(list)
    for dot in dots:
        waiting[dot.row, round(dot.value, STEPS)].append(dot)
    for drawn in list(axes.collections):  # one of each row and lane, some of them empty
        if isinstance(drawn, PathCollection):
            _dress(drawn, waiting, squeeze=width / WIDTH_OF_LANES, below=below, colour=colour)


def _crowd(
    axes: Axes, dots: Sequence[Dot], *, size: float, alpha: float, below: float, width: float, colour: str | None
) -> None:  # fmt: skip
    """Draw many dots at once, without names: the page would be made of them."""
    import seaborn

    types = [dot.type or "" for dot in dots]
    styles = {name: (MUTED, "o", "") if name == "untrained" else collapse_style(name) for name in types}
    lanes = max(dot.lane for dot in dots)
    heights = [dot.row + below + width * (dot.lane / lanes - 0.5 if lanes else 0) for dot in dots]
    seaborn.scatterplot(
        x=[dot.value for dot in dots], y=heights, hue=types, style=types, alpha=alpha, s=size**2, edgecolor=PAPER,
        palette={name: colour or style[0] for name, style in styles.items()}, linewidth=0.4, legend=False, zorder=3, ax=axes,
        markers={name: style[1] for name, style in styles.items()},
    )  # fmt: skip
    name_marks(axes.collections[-1], [""] * len(dots), series=[dot.series for dot in dots])


def _dress(
    drawn: PathCollection, waiting: Mapping[tuple[int, float], list[Dot]], *, squeeze: float, below: float,
    colour: str | None,
) -> None:  # fmt: skip
    """Give what seaborn drew in one row and lane its colour, marker, place and name."""
    places = np.asarray(drawn.get_offsets()).tolist()
    if not places:
        drawn.remove()
        return
    ((x, y),) = places  # a lane has one dot of a row
    dot = waiting[round(y), round(x, STEPS)].pop(0)
    own, marker, _ = (MUTED, "o", "") if dot.type == "untrained" else collapse_style(dot.type)
    style = MarkerStyle(marker)
    drawn.set_facecolor(colour or own)
    drawn.set_paths([style.get_path().transformed(style.get_transform())])
    drawn.set_offsets([(x, dot.row + squeeze * (y - dot.row) + below)])
    name_marks(drawn, [dot.text], series=dot.series)


def points_of_means(axes: Axes, means: Mapping[int, float], rows: int, *, size: float) -> None:
    """Draw an upright tick at the mean of each row that has one; `means` is by row."""
    import seaborn

    if means:
        seaborn.pointplot(
            x=list(means.values()), y=[str(row) for row in means], order=[str(row) for row in range(rows)], orient="h",
            errorbar=None, linestyle="none", marker="|", markersize=size, markeredgewidth=1.4, color=INK,
            zorder=2.5, ax=axes,
        )  # fmt: skip
