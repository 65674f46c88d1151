"""What a `tsne.json` holds, as dataclasses; read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.results.json_values import from_values, json_field, parse_json, readable
from vicreg.errors import InputError

FILE = "tsne.json"
REMEDY = "run python -m study.project again"


@dataclass(frozen=True, kw_only=True)
class ProjectedData:
    """The images that a network was trained on: how many of each split, and the names of their classes.

    `files` is the format of the image files that they were decoded from; None where there were none, or it was not recorded.
    """

    dataset: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    files: str | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class SpaceQuality:
    """How a space keeps neighbours.

    `purity` is the share of neighbours of the same class. `trustworthiness` is that of a map; features have none.
    """

    purity: float
    trustworthiness: float | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How far the maps can be believed, by the `neighbours` nearest of each point."""

    neighbours: int
    features: SpaceQuality
    in_2d: SpaceQuality = json_field(key="2d")
    in_3d: SpaceQuality = json_field(key="3d")


@dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """Two classes, and the share of their points' neighbours on the map that belong to the other."""

    first: int
    second: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A t-SNE of N test images: `points_2d` (N, 2), `points_3d` (N, 3) and `labels` (N,), indices of `classes`.

    `digest` is of the run whose features are shown. `profile`, `recipe` and `data` say how and on what it was trained; files
    of earlier versions lack them.
    """

    digest: str
    dataset: str
    classes: tuple[str, ...]
    features: str
    perplexity: float
    points_2d: tuple[tuple[float, ...], ...]
    points_3d: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]
    quality: Quality | None = None
    confused: tuple[ConfusedPair, ...] = ()
    note: str | None = None
    profile: str | None = None
    recipe: Mapping[str, Any] | None = None
    data: ProjectedData | None = None


def read_projection(path: Path) -> Projection:
    """Read a t-SNE.

    Raises:
        InputError: if there is no such file, or it does not hold a point in the plane, a point in space and a known class
            for every image.
    """
    return parse_projection(readable(path, remedy="run python -m study.project first"), where=str(path))


def parse_projection(content: bytes, *, where: str) -> Projection:
    """Return the t-SNE that the JSON text `content` holds; `where` names it in errors.

    Raises:
        InputError: if it is no JSON or lacks a key, or where points, labels and classes do not fit.
    """
    found = from_values(Projection, parse_json(content, where=where, remedy=REMEDY), where=where, remedy=REMEDY)
    counts = [len(found.points_2d), len(found.points_3d), len(found.labels)]
    if len(set(counts)) != 1:
        raise InputError(f"{where} must have one point of each kind an image, but has {counts[0]} points in 2-D, "
                         f"{counts[1]} in 3-D and {counts[2]} labels; {REMEDY}.")  # fmt: skip
    if not set(found.labels) <= set(range(len(found.classes))):
        raise InputError(f"{where} must have labels from 0 to {len(found.classes) - 1}, one for each of its classes, "
                         f"but goes up to {max(found.labels)}; {REMEDY}.")  # fmt: skip
    return found
