"""The scale of colours beside a figure."""

from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.reporting.figures.drawing import WIDTH
from study.reporting.figures.ticks import tick_log_axis
from study.reporting.palette import INK

ROOM = 62.0  # points at the right that a scale takes
STEPS = 24  # of colour: more are not to be seen, and each is a shape of the file


def draw_scale(figure: Figure, colours: Colormap, norm: Normalize, title: str, *, at_most: bool = False) -> None:
    """Draw the colours of a scale at the right; with `at_most` the lowest stands for all that is lower."""
    axes = figure.add_axes((1 - 54 / WIDTH, 0.24, 10 / WIDTH, 0.6))
    lowest, highest = float(norm.vmin or 0), float(norm.vmax or 1)
    for step in range(STEPS):
        low, high = (float(norm.inverse(k / STEPS)) for k in (step, step + 1))
        axes.axhspan(low, high, color=colours((step + 0.5) / STEPS), linewidth=0)
    if isinstance(norm, LogNorm):
        axes.set_yscale("log")
        tick_log_axis(axes.yaxis, lowest, highest)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_ylim(lowest, highest)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", labelcolor=INK, labelsize=8)
    axes.set_title(title, fontsize=8, color=INK, x=1.5)
    axes.grid(visible=False)
    if at_most:
        axes.set_xlabel(f"≤ {lowest:.3g}", fontsize=8)
        axes.xaxis.set_label_coords(1.5, -0.02)
