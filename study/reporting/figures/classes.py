"""Class by class: accuracies and the confusion matrix."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.reporting.figures.drawing import WIDTH, as_svg, label_width, name_rows, new_figure, shorten, text_width
from study.reporting.figures.maps import MANY_CLASSES
from study.reporting.figures.marks import name_marks
from study.reporting.figures.strips import Dot, strip_of_runs
from study.reporting.format import is_finite
from study.reporting.palette import BLUE, INK

TILT = 60  # degrees, of names below a matrix: upright they would not fit side by side
NAME_ROOM, NAME_SIZE = 84.0, 8.0  # points that a class's name may take beside and below a matrix, and of its text
DIAGONAL = (0.5, 0.5, 0.5, 0.25)  # seen on white and on black
LEAST_SIZE = 5.0  # points, below which a number is not read


@as_svg
def class_accuracies(
    per_seed: Sequence[Sequence[float]], classes: Sequence[str], *, seeds: Sequence[int] = ()
) -> Figure:  # fmt: skip
    """Draw the accuracy of each class, classes from top to bottom, a dot a seed.

    Args:
        per_seed: a list a seed of shares (C,).
        classes: (C,), their names.
        seeds: what the lists are named by; by their places where there are none.
    """
    named = len(classes) <= MANY_CLASSES
    names = [shorten(name) for name in classes]
    figure, axes = new_figure(250, label_width(names) + 4 if named else 38, 14)
    dots = [
        Dot(y, lane, 100 * value, None, f"{classes[y]}, seed {seed}: {100 * value:.1f} %", f"seed {seed}")
        for lane, (seed, values) in enumerate(zip(seeds or range(len(per_seed)), per_seed))
        for y, value in enumerate(values)
        if is_finite(value)
    ]  # fmt: skip
    strip_of_runs(axes, dots, len(classes), size=4.5 if named else 2.5, alpha=0.65, width=0, colour=BLUE)
    if named:
        name_rows(axes, names)
    else:
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f}"))
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
    _cells(axes, counts, classes, side=side / n if names else None)
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)
    axes.grid(visible=False)
    if names:
        middles = [k + 0.5 for k in range(n)]
        axes.set_yticks(middles, names, fontsize=NAME_SIZE, rotation=0)
        axes.set_xticks(middles, names, fontsize=NAME_SIZE, rotation=tilt, rotation_mode="anchor",
                        ha="right" if tilt else "center")  # fmt: skip
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("predicted", fontsize=8.5)
    axes.xaxis.set_label_coords(0.5, (14 - below) / side)
    axes.set_ylabel("true", fontsize=8.5)
    axes.yaxis.set_label_coords((14 - left) / side, 0.5)
    return figure


def _cells(axes: Axes, counts: Sequence[Sequence[int]], classes: Sequence[str], *, side: float | None) -> None:
    """Draw a square for every count but zero, with its number where squares have a `side` in points to fit it in.

    Without a `side` there are too many to be shapes of their own, and the matrix is a picture.
    """
    import seaborn

    table = np.array(counts)
    right = np.eye(len(table), dtype=bool)
    largest = max(int(table[~right].max(initial=0)), 1)
    shades = ListedColormap(matplotlib.colormaps["Oranges"](np.linspace(0.12, 0.52, 64)))
    for mask, colours in ((right | (table == 0), shades), (~right | (table == 0), ListedColormap([DIAGONAL]))):
        if mask.all():
            continue
        seaborn.heatmap(table, mask=mask, cmap=colours, vmin=0, vmax=largest, cbar=False, xticklabels=False,
                        yticklabels=False, rasterized=side is None, ax=axes)  # fmt: skip
        if side:
            texts = [
                f"{classes[i]}, predicted {classes[j]}: {count}" if count else ""
                for i, row in enumerate(counts) for j, count in enumerate(row)
            ]  # fmt: skip
            name_marks(axes.collections[-1], texts)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            size = min(7.0, 0.92 * side / text_width(str(count), 1)) if side else 0
            if count and size >= LEAST_SIZE:  # black on orange in both themes: only the diagonal's grey follows the page
                axes.text(j + 0.5, i + 0.5, str(count), ha="center", va="center", fontsize=size,
                          color=INK if i == j else "#000000")  # fmt: skip
