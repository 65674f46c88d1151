"""Maps of images, in the plane and in space."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import Affine2D, ScaledTranslation
from mpl_toolkits.mplot3d import Axes3D

from study.reporting.figures.drawing import WIDTH, as_svg, new_figure, shorten, text_width
from study.reporting.figures.marks import name_mark
from study.reporting.palette import GRID, PAPER

CLASS_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#8c6d00", "#6a3d9a", "#b3b300",
)  # fmt: skip
DENSE = 3000  # points from which on a map is a picture within the figure, not a shape each
MANY_CLASSES = 20  # beyond this, the names of classes no longer fit


def class_colour(index: int, n_classes: int) -> str:
    """Return the colour of class `index` of `n_classes`."""
    if n_classes <= len(CLASS_COLOURS):
        return CLASS_COLOURS[index]
    return to_hex(matplotlib.colormaps["turbo"](index / max(n_classes - 1, 1)))


@as_svg
def map_2d(points: Sequence[Sequence[float]], labels: Sequence[int], classes: Sequence[str]) -> Figure:
    """Draw `points` (N, 2) coloured by class, each class named at the median of its points.

    Args:
        points: (N, 2).
        labels: (N,), indices of `classes`.
        classes: the names.
    """
    figure, axes = new_figure(WIDTH, 6, 6, top=6, bottom=6)
    places: list[tuple[float, float, str, str]] = []  # x, y, name and colour of a class
    for index, name in enumerate(classes):
        mine = [point for point, label in zip(points, labels) if label == index]
        if not mine:
            continue
        colour = class_colour(index, len(classes))
        x, y = zip(*mine)
        (dots,) = axes.plot(x, y, "o", color=colour, markersize=2.6, markeredgewidth=0, alpha=0.85,
                            rasterized=len(points) > DENSE)  # fmt: skip
        if len(points) <= DENSE:
            name_mark(dots, name, series=name)
        places.append((_middle(x), _middle(y), name, colour))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    axes.apply_aspect()  # so that places on the page are known
    if len(classes) <= MANY_CLASSES:
        room = 72 if len(classes) <= 10 else 48
        for x_middle, y_middle, name, colour in places:
            _name(axes, x_middle, y_middle, shorten(name, room, size=8), colour, series=name)
    return figure


def _name(axes: Axes, x: float, y: float, name: str, colour: str, *, series: str) -> None:
    """Write a class's name in a box at a point of the map, moved sideways where it would leave the page."""
    width, pad = text_width(name, 8), 2.5
    centre = axes.transData.transform((x, y))[0] * 72 / axes.figure.dpi
    edge = width / 2 + pad + 1
    shift = min(max(centre, edge), WIDTH - edge) - centre
    in_points = Affine2D().translate(shift, 0).scale(1 / 72) + axes.figure.dpi_scale_trans
    at_the_point = ScaledTranslation(x, y, axes.transData)  # type: ignore[arg-type]  # takes any transform
    box = FancyBboxPatch(
        (-width / 2, -4.5), width, 9, boxstyle=f"round,pad={pad}", facecolor=PAPER, edgecolor=colour, alpha=0.9,
        linewidth=0.9, transform=in_points + at_the_point, zorder=3, clip_on=False,
    )  # fmt: skip
    axes.add_artist(box)
    words = axes.annotate(name, (x, y), (shift, 0), textcoords="offset points", ha="center", va="center", fontsize=8)
    for artist in (box, words):
        name_mark(artist, "", series=series)


def _middle(axis: Sequence[float]) -> float:
    """Return the median of (n,) values, the upper one of two."""
    return sorted(axis)[len(axis) // 2]


@as_svg
def map_3d(
    points: Sequence[Sequence[float]], labels: Sequence[int], classes: Sequence[str], *, azimuth: float
) -> Figure:  # fmt: skip
    """Draw `points` (N, 3) coloured by class as in the plane, seen from `azimuth` degrees."""
    figure = Figure(figsize=(WIDTH / 72, WIDTH / 72))
    axes = figure.add_axes((0.0, 0.0, 1, 1), projection="3d", elev=22, azim=azimuth)
    assert isinstance(axes, Axes3D)
    axes.set_box_aspect(None, zoom=1.2)
    if points:
        colours = [class_colour(label, len(classes)) for label in labels]
        axes.scatter(*zip(*points), c=colours, s=8, linewidths=0, depthshade=True, rasterized=len(points) > DENSE)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_ticklabels([])
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(GRID)
        axis._axinfo["grid"].update(color=GRID, linewidth=0.6)
    return figure
