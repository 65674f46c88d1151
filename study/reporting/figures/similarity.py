"""How alike networks are: a heat map of every pair."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from study.reporting.figures.drawing import WIDTH, as_svg, new_figure, shorten, text_width
from study.reporting.figures.marks import name_marks
from study.reporting.figures.phase_diagram import EVEN, luminance
from study.reporting.figures.scale import ROOM, draw_scale
from study.reporting.palette import PAPER

COLOURS = matplotlib.colormaps["cividis"]  # a scale of one lightness from end to end, read alike by all eyes
NAME_ROOM, NAME_SIZE = 108.0, 8.0  # points that a name may take, and of its text
TILT = 60  # degrees, of names below the map: upright they would not fit side by side
NUMBER = 6.5  # points of a number's text


@as_svg
def similarity_map(values: Sequence[Sequence[float | None]], names: Sequence[str]) -> Figure:
    """Draw values (m, m) in [0, 1], a square a pair, with its number where there is room; a pair without one is left out."""
    shown = [shorten(name, NAME_ROOM, size=NAME_SIZE) for name in names]
    widest = max(text_width(name, NAME_SIZE) for name in shown)
    below = 12 + widest * math.sin(math.radians(TILT)) + NAME_SIZE
    left, right, top = widest + 12, ROOM, 16.0
    side = WIDTH - left - right
    figure, axes = new_figure(top + side + below, left, right, top=top, bottom=below)
    numbers = np.array([[math.nan if value is None else value for value in row] for row in values])
    norm = Normalize(0, 1)
    import seaborn

    seaborn.heatmap(
        np.nan_to_num(numbers), mask=np.isnan(numbers), cmap=COLOURS, vmin=0, vmax=1, cbar=False, linewidths=0.8,
        linecolor=PAPER, xticklabels=False, yticklabels=False, ax=axes,
    )  # fmt: skip
    pairs = [(one, other) for one in range(len(names)) for other in range(len(names))]
    name_marks(axes.collections[0], [_tip(names, values, *pair) for pair in pairs])
    if text_width("0.00", NUMBER) <= side / len(names) - 2:
        for one, other in pairs:
            value = values[one][other]
            if value is not None:
                ink = "#000000" if luminance(COLOURS(norm(value))[:3]) > EVEN else "#fffffe"  # not the page's own colours
                axes.text(other + 0.5, one + 0.5, _number(value), ha="center", va="center", fontsize=NUMBER, color=ink)
    middles = [place + 0.5 for place in range(len(names))]
    axes.set_yticks(middles, shown, fontsize=NAME_SIZE, rotation=0)
    axes.set_xticks(middles, shown, fontsize=NAME_SIZE, rotation=TILT, rotation_mode="anchor", ha="right")
    axes.grid(visible=False)
    draw_scale(figure, COLOURS, norm, "CKA")
    return figure


def _tip(names: Sequence[str], values: Sequence[Sequence[float | None]], one: int, other: int) -> str:
    value = values[one][other]
    return "" if value is None else f"{names[one]} and {names[other]}: {_number(value)}"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
