"""Judge every number and claim of the source paper.

A number is one run of the paper's. It is reproduced where it lies in the 95 % prediction interval over our seeds, which is
where one more run would lie, and not reproduced outside. It is undetermined where seeds are too few. A claim about two arms
is judged by the 95 % interval of their paired difference; "+2 points", which is one pair of runs, by that of one more pair.
On a copy of the images the verdict names the copy. What was tried at a smaller scale, or by another protocol, has none: its
value is shown with all differences from the paper's protocol. What has no measurement is not run.
"""

from collections.abc import Callable, Mapping, Sequence

from study.paper.claims.authors_network import judge_generalises, judge_imagenet_stability
from study.paper.claims.batch_size import judge_batch_accuracy, judge_batch_stability
from study.paper.claims.epochs import judge_epochs
from study.paper.claims.loss_terms import judge_collapse, judge_scale
from study.paper.claims.maps import judge_classes, judge_trucks
from study.paper.claims.numbers import judge_number
from study.paper.evidence import ResultsByStudy
from study.paper.judged import Judged
from study.paper.published import RECIPE, SourcePaper
from study.projection.results import Projection
from study.results.schema import StudyResults

OfStudy = Callable[[str, str, Sequence[StudyResults], SourcePaper], list[Judged]]
OfMaps = Callable[[str, str, Sequence[Projection], SourcePaper], list[Judged]]

BY_STUDY: Mapping[str, tuple[tuple[str, ...], OfStudy]] = {  # claim -> the studies that measure it, and how it is judged
    "epochs": ((RECIPE, "epochs"), judge_epochs),
    "batch-size-accuracy": (("batch-size",), judge_batch_accuracy),
    "batch-size-stability": (("batch-size",), judge_batch_stability),
    "scale": ((RECIPE, "lambda-mu-nu"), judge_scale),
    "collapse": ((RECIPE, "lambda-mu-nu"), judge_collapse),
    "generalises": (("generalisation",), judge_generalises),
}
BY_MAP: Mapping[str, OfMaps] = {"tsne-classes": judge_classes, "tsne-trucks": judge_trucks}


def judge(found: ResultsByStudy, maps: Sequence[Projection], paper: SourcePaper) -> list[Judged]:
    """Return every number and claim of the paper beside the best measurement there is of it.

    Args:
        found: study -> results of it, from whatever profile.
        maps: t-SNE projections, each with the data and the recipe of its run.
        paper: what it says.
    """
    rows = [row for number in paper.numbers for row in judge_number(number, _of(number.studies, found), paper)]
    for name, says in paper.claims.items():
        if name in BY_MAP:
            rows += BY_MAP[name](name, says, maps, paper)
        elif name in BY_STUDY:
            studies, judged = BY_STUDY[name]
            rows += judged(name, says, _of(studies, found), paper)
        else:
            own = _of((RECIPE, "stem"), found)
            rows += judge_imagenet_stability(name, says, found.get("generalisation", ()), own, paper)
    return rows


def _of(studies: Sequence[str], found: ResultsByStudy) -> list[StudyResults]:
    """Return the results of some studies, in this order."""
    return [results for study in studies for results in found.get(study, ())]
