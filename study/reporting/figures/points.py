"""Points of runs or trials: seaborn's scatter plot, with each point named."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.axes import Axes

from study.reporting.figures.drawing import MANY_POINTS
from study.reporting.figures.marks import name_mark, name_marks
from study.reporting.format import is_finite
from study.reporting.palette import COLLAPSE_TYPES, PAPER, collapse_style, type_label

NO_VALUE = "ended early"
EDGE = 0.02  # of the height, above the lower edge, at which a point without a value stands


class Point(TypedDict):
    """A run or a trial; `y` is None where it came to no value."""

    x: float
    y: float | None
    type: str | None  # of collapse
    tip: str


def draw_points(axes: Axes, points: Sequence[Point]) -> None:
    """Draw points by type of collapse, and a cross at the lower edge for each without a value."""
    import seaborn  # here: half of the time that a command takes to start

    named = len(points) <= MANY_POINTS
    valued = [point for point in points if is_finite(point["y"])]
    if valued:
        types = [point["type"] if point["type"] in COLLAPSE_TYPES else "" for point in valued]
        styles = {name: collapse_style(name) for name in types}
        seaborn.scatterplot(
            x=[point["x"] for point in valued], y=[point["y"] for point in valued], hue=types, style=types,
            palette={name: style[0] for name, style in styles.items()}, alpha=0.85, edgecolor=PAPER, linewidth=0.5,
            markers={name: style[1] for name, style in styles.items()}, s=32, legend=False, ax=axes, zorder=3,
        )  # fmt: skip
        texts = [point["tip"] if named else "" for point in valued]
        name_marks(axes.collections[-1], texts, series=[type_label(point["type"]) for point in valued])
    for point in points:
        if not is_finite(point["y"]):
            (cross,) = axes.plot(point["x"], EDGE, "x", color=collapse_style(point["type"])[0], markersize=5,
                                 markeredgewidth=1.2, transform=axes.get_xaxis_transform())  # fmt: skip
            name_mark(cross, point["tip"] if named else "", series=NO_VALUE)
