"""Strip and point plots: seaborn's, with each mark named."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from study.reporting.figures.drawing import MANY_POINTS
from study.reporting.figures.marks import name_marks
from study.reporting.palette import INK, MUTED, PAPER, collapse_style

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
    colour: str | None = None,
) -> None:  # fmt: skip
    """Draw a dot a run in rows from the top, coloured by type of collapse, each named.

    The lanes of a row lie beside one another; all of them are drawn `below` rows lower than the row's middle. A `colour`
    takes the place of those of the types.
    """
    lanes = [str(lane) for lane in range(max((dot.lane for dot in dots), default=0) + 1)]
    for name in dict.fromkeys(dot.type for dot in dots):
        mine = [dot for dot in dots if dot.type == name]
        own, marker, _ = (MUTED, "o", "") if name == "untrained" else collapse_style(name)
        _strip(axes, mine, rows, lanes, {"color": colour or own, "marker": marker, "size": size, "alpha": alpha})
    _name_dots(axes, dots, below)


def _strip(axes: Axes, dots: Sequence[Dot], rows: int, lanes: Sequence[str], style: Mapping[str, object]) -> None:
    """Draw the dots of one colour and marker."""
    import seaborn  # here: half of the time that a command takes to start

    colour = style["color"]
    seaborn.stripplot(
        x=[dot.value for dot in dots], y=[str(dot.row) for dot in dots], order=[str(row) for row in range(rows)],
        hue=[str(dot.lane) for dot in dots], hue_order=lanes, palette=[colour] * len(lanes), dodge=True, jitter=False,
        orient="h", legend=False, edgecolor=PAPER, linewidth=0.6, zorder=3, ax=axes,
        **{key: value for key, value in style.items() if key != "color"},
    )  # fmt: skip


def _name_dots(axes: Axes, dots: Sequence[Dot], below: float) -> None:
    """Name and lower the dots that seaborn drew: it makes a collection of each row and lane, some of them empty."""
    waiting: dict[tuple[int, float], list[Dot]] = defaultdict(list)
    for dot in dots:
        waiting[dot.row, round(dot.value, STEPS)].append(dot)
    for drawn in list(axes.collections):
        if not isinstance(drawn, PathCollection):
            continue
        places = np.asarray(drawn.get_offsets()).tolist()
        if not len(places):
            drawn.remove()
            continue
        mine = [waiting[round(y), round(x, STEPS)].pop(0) for x, y in places]
        texts = [dot.text if len(dots) < MANY_POINTS else "" for dot in mine]
        drawn.set_offsets([(x, y + below) for x, y in places])
        name_marks(drawn, texts, series=[dot.series for dot in mine])


def points_of_means(axes: Axes, means: Mapping[int, float], rows: int, *, size: float) -> None:
    """Draw an upright tick at the mean of each row that has one; `means` is by row."""
    import seaborn

    if means:
        seaborn.pointplot(
            x=list(means.values()), y=[str(row) for row in means], order=[str(row) for row in range(rows)], orient="h",
            errorbar=None, linestyle="none", marker="|", markersize=size, markeredgewidth=1.4, color=INK,
            zorder=2.5, ax=axes,
        )  # fmt: skip
