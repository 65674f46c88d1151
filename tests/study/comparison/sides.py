"""Made-up results of two sides, to be compared."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from study.comparison.sources import Source
from study.comparison.view import build_view
from study.results.runs import SPACES, CollapseMetrics, CollapseType, EpochRecord, ProbeAccuracy, RunResults
from study.results.schema import ArmCollapseType, ArmResults, DataDescription, RecordedIdentity, StudyResults

PROBE = "knn_20"
RECIPE = {"pretrain.mu": 25, "pretrain.nu": 1, "pretrain.epochs": 3}
DATA = DataDescription(dataset="d", digest="sha256:1", train=100, validation=50, test=400)
IDENTITY = RecordedIdentity(
    code="1", definitions={"vicreg.methods.vicreg": "1", "vicreg.optim.lars": "1"}, data="sha256:1",
    machinery={"torch": "2.0"},
)  # fmt: skip


def run(
    seed: int, accuracy: float | None, *, collapse_type: str = "healthy", status: str = "finished", rank: float = 10.0
) -> RunResults:
    """Return a run whose digest follows from its numbers, so that two are not the same run by chance."""
    measured = {} if accuracy is None else {PROBE: ProbeAccuracy(top1=accuracy)}
    return RunResults(
        seed=seed,
        digest=hashlib.sha256(repr((seed, accuracy, rank)).encode()).hexdigest()[:16],
        status=status,
        history=(EpochRecord(epoch=1, total=accuracy or 0.0),),
        validation=measured,
        test=measured,
        collapse={space: CollapseMetrics(rankme=rank) for space in SPACES} if measured else {},
        collapse_type=CollapseType(name=collapse_type) if measured else None,
    )


def seeds(accuracies: Sequence[float], **named: Any) -> list[RunResults]:
    """Return a run for each accuracy, at seeds from 0 on."""
    return [run(seed, accuracy, **named) for seed, accuracy in enumerate(accuracies)]


def arm(
    name: str, settings: Mapping[str, Any], runs: Sequence[RunResults], *, is_control: bool = False,
    collapse_type: str = "healthy",
) -> ArmResults:  # fmt: skip
    """Return an arm of these runs that goes by its name."""
    return ArmResults(
        name=name,
        label=name,
        is_baseline=False,
        is_control=is_control,
        settings=settings,
        command="",
        summary={},
        collapse_type=ArmCollapseType(name=collapse_type),
        runs=tuple(runs),
    )


def results(*arms: ArmResults, **changes: Any) -> StudyResults:
    """Return results of these arms; `changes` are fields of their own."""
    given = {
        "study": "s", "profile": "p", "mode": "arms", "question": "", "hypothesis": "", "baseline": "x", "answer": "",
        "primary": PROBE, "recipe": dict(RECIPE), "environment": {"torch": "2.0"}, "commits": ("c",), "data": DATA,
        "identity": IDENTITY, "arms": arms,
    }  # fmt: skip
    return StudyResults(**{**given, **changes})


def view(a: StudyResults, b: StudyResults, *, margin: float = 0.01) -> dict[str, Any]:
    """Return the view of two sides named A and B."""
    return build_view(Source(name="A", results=a), Source(name="B", results=b), margin=margin)


def one_arm(a: Sequence[float], b: Sequence[float], *, margin: float = 0.01) -> dict[str, Any]:
    """Return the view's row of an arm with these accuracies on either side."""
    (row,) = view(results(arm("x", {}, seeds(a))), results(arm("x", {}, seeds(b))), margin=margin)["arms"]
    return row
