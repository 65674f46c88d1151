"""The t-SNE of test images, and how far to believe it."""

from typing import TypedDict

from study.projection.results import Projection
from study.reporting.figures import maps
from study.reporting.format import figure_of, plain, without_paths
from study.reporting.names import dataset_name
from study.reporting.panels.panel import Panel, make_panel


class MapQuality(TypedDict):
    """How far a map can be believed: a table, and the most confused pairs of classes in words."""

    columns: list[str]
    rows: list[list[str]]
    pairs: str


class Space(TypedDict):
    """The points in space for the view that turns: whole numbers to a thousandth of the extent."""

    points: list[list[int]]
    labels: tuple[int, ...]
    classes: list[str]
    colours: list[str]


class MapView(TypedDict):
    """A map as a page shows it."""

    figures: list[Panel]
    caption: str
    note: str
    quality: MapQuality | None
    space: Space | None


def map_view(shown: Projection, *, run: str) -> MapView:
    """Return the t-SNE in the plane and in space; `run` says in words which run's features are shown."""
    classes = list(shown.classes)
    drawn = [
        make_panel("tsne-2d", "t-SNE in two dimensions", maps.map_2d(shown.points_2d, shown.labels, classes)),
        *(make_panel(f"tsne-3d-{side}", f"t-SNE in three dimensions, from {angle}°",
                     maps.map_3d(shown.points_3d, shown.labels, classes, azimuth=angle))
          for side, angle in (("left", 35), ("right", 125))),
    ]  # fmt: skip
    caption = (f"t-SNE of the {shown.features} of {len(shown.labels)} test images ({dataset_name(shown.dataset)}), "
               f"perplexity {plain(shown.perplexity)}; colour is the class. They are from {run}. "
               "Distances between far groups and the sizes of groups carry no meaning in a t-SNE.")  # fmt: skip
    return {"figures": drawn, "caption": caption, "note": without_paths(shown.note or ""),
            "quality": _quality(shown, classes), "space": _space(shown, classes)}  # fmt: skip


def _quality(shown: Projection, classes: list[str]) -> MapQuality | None:
    """Return rows of (what, share of neighbours of the same class, trustworthiness), and the most confused pairs."""
    quality = shown.quality
    if quality is None:
        return None
    rows = [[f"{shown.features}, before the map", figure_of(quality.features.purity, ".1f", 100), "–"]]
    rows += [
        [f"map in {n} dimensions", figure_of(one.purity, ".1f", 100), figure_of(one.trustworthiness, ".3f")]
        for n, one in ((2, quality.in_2d), (3, quality.in_3d))
    ]
    pairs = [
        f"{classes[pair.first]} and {classes[pair.second]} ({figure_of(pair.share, '.1f', 100)} %)"
        for pair in shown.confused
    ]
    return {"columns": ["", f"Of {quality.neighbours} neighbours of the same class, %", "Trustworthiness"], "rows": rows,
            "pairs": "Most confused on the map, with the share of neighbours of the other class: "
                     f"{'; '.join(pairs) or 'none'}."}  # fmt: skip


def _space(shown: Projection, classes: list[str]) -> Space | None:
    """Return the points in space, centred and scaled, with the colours of the classes."""
    points = shown.points_3d
    if not points:
        return None
    centre = [(min(axis) + max(axis)) / 2 for axis in zip(*points)]
    extent = max(max(axis) - min(axis) for axis in zip(*points)) or 1
    scaled = [[round(2000 * (value - middle) / extent) for value, middle in zip(point, centre)] for point in points]
    colours = [maps.class_colour(index, len(classes)) for index in range(len(classes))]
    return {"points": scaled, "labels": shown.labels, "classes": classes, "colours": colours}
