"""The collapse type of each seed: each method as it is, and below it with a part changed."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.figure import Figure

from study.reporting.figures.drawing import (
    LABEL_SIZE,
    WIDTH,
    as_svg,
    legend_of_types,
    name_rows,
    new_figure,
    shorten,
    text_width,
)
from study.reporting.figures.marks import name_mark
from study.reporting.palette import GRID, INK, MUTED, collapse_style, type_label

TOP, BOTTOM, ROW = 22.0, 34.0, 17.0  # points
SEED_ROOM, NAME_ROOM = 26.0, 96.0  # points: what a seed takes where names leave room, and what names have at least
INDENT = 10.0  # points, of what is changed, below its method
FAINT = 0.5  # opacity of what nothing follows from
ENDING_SIZE = 8.0  # points, of the text at the right


class CollapseRow(TypedDict):
    """An arm: the types of its seeds, and what they come to in words. `is_open` says that nothing follows from it."""

    label: str
    is_unchanged: bool
    is_open: bool
    types: Sequence[str | None]
    text: str


@as_svg
def collapse_rows(rows: Sequence[CollapseRow], seeds: Sequence[int]) -> Figure:
    """Draw a mark a seed, by type of collapse, for each row; what nothing follows from is faint."""
    indents = [0.0 if row["is_unchanged"] else INDENT for row in rows]
    right = 6 + max((text_width(row["text"], ENDING_SIZE) for row in rows), default=0)
    room = max(NAME_ROOM, WIDTH - right - SEED_ROOM * len(seeds) - 8)
    labels = [shorten(row["label"], room - indent) for row, indent in zip(rows, indents)]
    left = max((8 + indent + text_width(label, LABEL_SIZE) for label, indent in zip(labels, indents)), default=8.0)
    width = WIDTH - left - right
    figure, axes = new_figure(TOP + BOTTOM + ROW * max(len(rows), 1), left, right, top=TOP, bottom=BOTTOM)
    name_rows(axes, labels, fontsize=LABEL_SIZE)
    for tick, indent in zip(axes.get_yticklabels(), indents):
        tick.set_horizontalalignment("left")
        tick.set_x((4 + indent - left) / width)
        tick.set_fontweight("normal" if indent else "bold")
    axes.set_xlim(-0.6, len(seeds) - 0.4)
    axes.set_xticks(range(len(seeds)), [f"seed {seed}" if not at else str(seed) for at, seed in enumerate(seeds)])
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for y, row in enumerate(rows):
        if row["is_unchanged"] and y:
            axes.axhline(y - 0.5, (4 - left) / width, 1, color=GRID, linewidth=0.8, zorder=0, clip_on=False)
        for x, name in enumerate(row["types"]):
            colour, marker, _ = collapse_style(name)
            (mark,) = axes.plot(x, y, marker, color=colour, markersize=7, alpha=FAINT if row["is_open"] else 1)
            name_mark(mark, f"{row['label']}, seed {seeds[x]}: {name or 'no result'}", series=type_label(name))
        axes.annotate(row["text"], (1, y), (6, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                      va="center_baseline", fontsize=ENDING_SIZE, color=MUTED if row["is_open"] else INK,
                      annotation_clip=False)  # fmt: skip
    legend_of_types(figure, [name for row in rows for name in row["types"]])
    return figure
