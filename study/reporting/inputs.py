"""Read and check the files that a report is made from."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from study.analysis.read import read_analysed
from study.projection.results import Projection, read_projection
from study.results.certificate import Certificate, certified, read_certificate
from study.results.json_values import from_values, parse_json, readable
from study.results.schema import StudyResults
from study.results.timing import NO_TIMING, Timing, read_timing, with_commits
from vicreg.errors import InputError, cause_of

_EVALUATE = "run python -m study.evaluate again"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Test accuracies of one run and of its untrained control, by probe; `digest` is the run's."""

    trained: Mapping[str, float | None]
    control: Mapping[str, float | None]
    digest: str | None = None


class ProbePoint(NamedTuple):
    """The accuracy of the linear protocol after one epoch, as a share."""

    network: str
    split: str
    epoch: int
    top1: float


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything that a report shows. All but the results may be missing."""

    study: StudyResults
    projection: Projection | None = None
    evaluation: Evaluation | None = None
    curves: tuple[ProbePoint, ...] = ()
    certificate: Certificate | None = None
    timing: Timing = NO_TIMING


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The files that a report is read from. All but the results may be missing."""

    results: Path
    projection: Path | None = None
    evaluation: Path | None = None
    curves: Path | None = None
    certificate: Path | None = None
    timing: Path | None = None


def read_inputs(sources: Sources) -> Inputs:
    """Read everything that a report shows; of a certificate the part that is of these results.

    Raises:
        InputError: for a file that is missing or malformed, in one sentence.
    """
    study = read_analysed(sources.results)
    if not study.arms:
        raise InputError(f"{sources.results} must have at least one arm, but has none; run the study first.")
    timing = read_timing(sources.timing) if sources.timing else NO_TIMING
    return Inputs(
        study=with_commits(study, timing),
        projection=read_projection(sources.projection) if sources.projection else None,
        evaluation=read_evaluation(sources.evaluation) if sources.evaluation else None,
        curves=read_curves(sources.curves) if sources.curves else (),
        certificate=certified(_certificate(sources.certificate), study),
        timing=timing,
    )


def read_evaluation(path: Path) -> Evaluation:
    """Read the test accuracies of the baseline and its control.

    Raises:
        InputError: if there is no such file, or it is malformed.
    """
    content = readable(path, remedy="run python -m study.evaluate first")
    return from_values(Evaluation, parse_json(content, where=str(path), remedy=_EVALUATE), where=str(path), remedy=_EVALUATE)


def read_curves(path: Path) -> tuple[ProbePoint, ...]:
    """Read the linear protocol epoch by epoch from a CSV with the columns network, split, epoch and top1.

    Raises:
        InputError: if there is no such file, or it is malformed.
    """
    content = readable(path, remedy="run python -m study.evaluate first")
    try:
        table = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        if missing := set(ProbePoint._fields) - set(table.fieldnames or ()):
            raise KeyError(min(missing))
        return tuple(ProbePoint(row["network"], row["split"], int(row["epoch"]), float(row["top1"])) for row in table)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} must have the columns network, split, epoch and top1, but is malformed ({cause_of(error)}); "
            f"{_EVALUATE}."
        ) from None


def _certificate(path: Path | None) -> Certificate | None:
    if path is None:
        return None
    readable(path, remedy="run python -m study.verify first")
    return read_certificate(path)
