"""Class by class: accuracies and the confusion matrix."""

import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import WIDTH, as_svg, label_width, new_figure, shorten, text_width
from study.reporting.figures.maps import MANY_CLASSES
from study.reporting.format import is_finite
from study.reporting.palette import BLUE, GRID, INK

TILT = 60  # degrees, of names below a matrix: upright they would not fit side by side
NAME_ROOM, NAME_SIZE = 84.0, 8.0  # points that a class's name may take beside and below a matrix, and of its text
LEAST_SIZE = 5.0  # points, below which a number is not read


@as_svg
def class_accuracies(per_seed: Sequence[Sequence[float]], classes: Sequence[str]) -> Figure:
    """Draw the accuracy of each class, classes from top to bottom; `per_seed` is a list a seed of shares (C,)."""
    named = len(classes) <= MANY_CLASSES
    names = [shorten(name) for name in classes]
    figure, axes = new_figure(250, label_width(names) + 4 if named else 38, 14)
    for values in per_seed:
        pairs = [(100 * value, y) for y, value in enumerate(values) if is_finite(value)]
        axes.plot([x for x, _ in pairs], [y for _, y in pairs], "o", color=BLUE, alpha=0.65,
                  markersize=4.5 if named else 2.5, markeredgewidth=0)  # fmt: skip
    axes.set_ylim(len(classes) - 0.4, -0.6)
    if named:
        axes.set_yticks(range(len(classes)), names, fontsize=8.5, color=INK)
    else:
        axes.set_ylabel("class, in the data set's order", fontsize=8.5)
    axes.set_xlabel("test accuracy, %", fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


@as_svg
def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw counts (C, C), rows the true class, columns the predicted; the diagonal is left pale.

    The margins are as wide as the names, and the matrix takes what is left of the width.
    """
    n = len(classes)
    names = [shorten(name, NAME_ROOM, size=NAME_SIZE) for name in classes] if n <= MANY_CLASSES else []
    widest = max((text_width(name, NAME_SIZE) for name in names), default=16)
    tilt = TILT if names and widest > 12 else 0
    below = 30 + widest * math.sin(math.radians(tilt)) + NAME_SIZE * math.cos(math.radians(tilt))
    left, right, top = widest + 26, 14, 8  # the title of the axis lies beside the names
    side = WIDTH - left - right
    figure, axes = new_figure(top + side + below, left, right, top=top, bottom=below)
    _cells(axes, counts, side=side / n if names else None)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(visible=False)
    if names:
        axes.set_yticks(range(n), names, fontsize=NAME_SIZE)
        axes.set_xticks(range(n), names, fontsize=NAME_SIZE, rotation=tilt, rotation_mode="anchor",
                        ha="right" if tilt else "center")  # fmt: skip
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("predicted", fontsize=8.5)
    axes.xaxis.set_label_coords(0.5, (14 - below) / side)
    axes.set_ylabel("true", fontsize=8.5)
    axes.yaxis.set_label_coords((14 - left) / side, 0.5)
    return figure


def _cells(axes: Axes, counts: Sequence[Sequence[int]], *, side: float | None) -> None:
    """Draw a square for every count but zero, with its number where squares have a `side` in points to fit it in."""
    largest = max([count for i, row in enumerate(counts) for j, count in enumerate(row) if i != j] + [1])
    shade = matplotlib.colormaps["Oranges"]
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if not count:
                continue
            face = GRID if i == j else to_hex(shade(0.12 + 0.4 * count / largest))
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, linewidth=0))
            size = min(7.0, 0.92 * side / text_width(str(count), 1)) if side else 0
            if size >= LEAST_SIZE:  # black on orange in both themes: only the diagonal's grey follows the page
                axes.text(j, i, str(count), ha="center", va="center", fontsize=size, color=INK if i == j else "#000000")
