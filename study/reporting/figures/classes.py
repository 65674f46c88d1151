"""Class by class: accuracies and the confusion matrix."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator

from study.reporting.figures.drawing import as_svg, label_width, new_figure, shorten
from study.reporting.figures.maps import MANY_CLASSES
from study.reporting.format import is_finite
from study.reporting.palette import BLUE, GRID, INK


@as_svg
def class_accuracies(per_seed: Sequence[Sequence[float]], classes: Sequence[str]) -> Figure:
    """Draw the accuracy of each class, classes from top to bottom; `per_seed` is a list a seed of shares (C,)."""
    named = len(classes) <= MANY_CLASSES
    figure, axes = new_figure(250, label_width(classes) + 4 if named else 38, 14)
    for values in per_seed:
        pairs = [(100 * value, y) for y, value in enumerate(values) if is_finite(value)]
        axes.plot([x for x, _ in pairs], [y for _, y in pairs], "o", color=BLUE, alpha=0.65,
                  markersize=4.5 if named else 2.5, markeredgewidth=0)  # fmt: skip
    axes.set_ylim(len(classes) - 0.4, -0.6)
    if named:
        axes.set_yticks(range(len(classes)), [shorten(name) for name in classes], fontsize=8.5, color=INK)
    else:
        axes.set_ylabel("class, in the data set's order", fontsize=8.5)
    axes.set_xlabel("test accuracy, %", fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


@as_svg
def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw counts (C, C), rows the true class, columns the predicted; the diagonal is left pale."""
    n = len(classes)
    named = n <= MANY_CLASSES
    left = min(label_width(classes), 90) + 14 if named else 30
    figure, axes = new_figure(290, left, 24, bottom=44)
    _cells(axes, counts, named=named)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(range(n)) if named else MaxNLocator(5, integer=True))
    if named:
        axes.set_yticks(range(n), [shorten(name, 14) for name in classes], fontsize=8)
        axes.set_xticks(range(n), [shorten(name, 14) for name in classes], fontsize=8,
                        rotation=60 if max(map(len, classes)) > 2 else 0)  # fmt: skip
    axes.set_xlabel("predicted", fontsize=8.5)
    axes.set_ylabel("true", fontsize=8.5)
    return figure


def _cells(axes: Axes, counts: Sequence[Sequence[int]], *, named: bool) -> None:
    """Draw a square for every count but zero, with its number where classes are `named`."""
    largest = max([count for i, row in enumerate(counts) for j, count in enumerate(row) if i != j] + [1])
    shade = matplotlib.colormaps["Oranges"]
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if not count:
                continue
            face = GRID if i == j else to_hex(shade(0.12 + 0.4 * count / largest))
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, linewidth=0))
            if named:  # black on orange in both themes: only the diagonal's grey follows the page
                axes.text(j, i, str(count), ha="center", va="center", fontsize=7, color=INK if i == j else "#000000")
