"""Judge the claims about the t-SNE of the embeddings.

It is of one network, so there is no interval.
"""

from collections.abc import Sequence
from dataclasses import replace

from study.paper.evidence import deviations_of_map, nearest_map
from study.paper.judged import FAILS, HOLDS, Finding, Judged, decide
from study.paper.published import SourcePaper
from study.projection.results import Projection
from study.results.comparisons import Interval

MAJORITY = 0.5  # of a point's neighbours: separated "for the most part"
TRUCKS = {"automobile", "truck"}


def judge_classes(name: str, says: str, maps: Sequence[Projection], paper: SourcePaper) -> list[Judged]:
    """Judge "for the most part": most neighbours on the plane are of the point's class."""
    row, shown = _row(name, says, maps, paper)
    if shown is None or shown.quality is None:
        return [row]
    quality = shown.quality
    purity, before = quality.in_2d.purity, quality.features.purity
    row = replace(row, arm=f"of {quality.neighbours} neighbours on the map in two dimensions, those of the same class")
    reason = f"one network, so no interval; among the {shown.features} themselves it is {100 * before:.0f} %"
    return [
        decide(replace(row, ours=_single(purity)), Finding(outcome=HOLDS if purity > MAJORITY else FAILS, reason=reason))
    ]


def judge_trucks(name: str, says: str, maps: Sequence[Projection], paper: SourcePaper) -> list[Judged]:
    """Judge "close to": of all pairs of classes, trucks and automobiles are among the three that are mixed most."""
    row, shown = _row(name, says, maps, paper)
    if shown is None:
        return [row]
    pairs = [({shown.classes[pair.first], shown.classes[pair.second]}, pair.share) for pair in shown.confused]
    mixed = [share for names, share in pairs if names == TRUCKS]
    listed = "; ".join(" and ".join(sorted(names)) for names, _ in pairs)
    row = replace(row, arm="of neighbours of automobiles and trucks on the map, those of the other class")
    reason = f"one network, so no interval; the pairs mixed most are {listed or 'none'}"
    finding = Finding(outcome=HOLDS if mixed else FAILS, reason=reason)
    return [decide(replace(row, ours=_single(mixed[0]) if mixed else None), finding)]


def _row(name: str, says: str, maps: Sequence[Projection], paper: SourcePaper) -> tuple[Judged, Projection | None]:
    """Return a row that is judged by the map nearest to the paper's recipe, and that map."""
    row = Judged(claim=name, says=says, study="project", dataset="cifar10", kind="share")
    shown = nearest_map(maps, paper, dataset="cifar10")
    if shown is None:
        return replace(row, missing="the stage project on CIFAR-10"), None
    found = tuple(deviations_of_map(shown, paper))
    return replace(row, deviations=found, results=shown, runs=(shown.digest,)), shown


def _single(share: float) -> Interval:
    """Return the share of a single network, which has no interval."""
    return Interval(n=1, mean=share, low=None, high=None, p=None)
