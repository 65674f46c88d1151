"""The runs, those that failed, and where results come from."""

from collections.abc import Iterable, Mapping
from typing import TypedDict

from study.reporting.format import figure_of, plain, short, without_paths
from study.reporting.inputs import Evaluation, Timing
from study.reporting.names import measure_name
from study.reporting.selection import seeds_of
from study.results.certificate import Certificate
from study.results.runs import RunResults
from study.results.schema import ArmResults, StudyResults


class Failure(TypedDict):
    """A run that did not finish."""

    arm: str
    seed: int
    status: str
    digest: str
    reason: str
    command: str


class RunRow(TypedDict):
    """A row of the table of runs, as text; `key` is its cell, the arm's name and the seed."""

    key: str
    arm: str
    role: str
    seed: int
    digest: str
    status: str
    collapse_type: str
    validation: str
    test: str
    rank: str
    seconds: str
    commit: str
    command: str


class Provenance(TypedDict):
    """Where results come from."""

    data: str
    commits: list[str]
    seeds: str
    versions: list[str]
    recipe: list[tuple[str, str]]
    command: str


class CertificateView(TypedDict):
    """What running some runs again showed."""

    text: str
    columns: list[str]
    rows: list[list[str]]


class EvaluationView(TypedDict):
    """Accuracies of one run and its control under each protocol."""

    run: str
    rows: list[tuple[str, str, str]]


def failures_of(arms: Iterable[ArmResults]) -> list[Failure]:
    """Return every run that did not finish, with its reason."""
    return [{"arm": arm.label, "seed": run.seed, "status": run.status, "digest": short(run.digest),
             "reason": without_paths(run.reason or "no reason recorded"), "command": arm.command}
            for arm in arms for run in arm.runs if run.status != "finished"]  # fmt: skip


def run_rows(study: StudyResults, timing: Timing) -> list[RunRow]:
    """Return the table of runs, trials and tuning among them."""
    return [_run_row(arm, run, study.primary, timing) for arm in study.arms for run in arm.runs]


def _run_row(arm: ArmResults, run: RunResults, primary: str, timing: Timing) -> RunRow:
    took, embeddings = timing.runs.get(run.digest), run.collapse.get("embeddings")
    collapse_type = "untrained" if arm.is_control else run.collapse_type.name if run.collapse_type else "–"
    return {
        "key": f"{arm.name}-{run.seed}",
        "arm": arm.label, "role": arm.role, "seed": run.seed, "digest": short(run.digest), "status": run.status,
        "collapse_type": collapse_type, "validation": figure_of(run.validation_top1(primary), ".1f", 100),
        "test": figure_of(run.test_top1(primary), ".1f", 100),
        "rank": figure_of(embeddings.rankme if embeddings else None, ".1f"),
        "seconds": figure_of(took.seconds if took else None, ".0f"),
        "commit": short(run.commit), "command": run.command or arm.command,
    }  # fmt: skip


def run_name(study: StudyResults, digest: str | None) -> str:
    """Return in words which run of the study a digest is."""
    for arm in study.arms:
        for run in arm.runs:
            if digest and run.digest == digest:
                return f"run {short(digest)}, which is seed {run.seed} of arm “{arm.label}”"
    return f"run {short(digest)}, which is not one of this study's"


def provenance_of(study: StudyResults) -> Provenance:
    """Return the data's digest, commits, versions, settings and command."""
    return {
        "data": study.data.digest or "–", "commits": list(study.commits),
        "seeds": ", ".join(map(str, seeds_of(study.arms))),
        "versions": [f"{key} {plain(value)}" for key, value in study.environment.items()],
        "recipe": [(key, plain(value)) for key, value in study.recipe.items()],
        "command": study.command or "",
    }  # fmt: skip


def certificate_view(certificate: Certificate | None) -> CertificateView | None:
    """Return what running some runs again showed; None where none were."""
    if certificate is None:
        return None
    rows = [[run.label, plain(run.seed), short(run.digest), run.outcome, figure_of(run.largest_difference)]
            for run in certificate.runs]  # fmt: skip
    columns = ["Setting", "Seed", "Run", "Outcome", "Largest difference"]
    return {"text": certificate.sentence, "rows": rows, "columns": columns}


def evaluation_view(study: StudyResults, evaluation: Evaluation | None) -> EvaluationView | None:
    """Return the accuracies under each protocol, with the name of the run; None where none were measured."""
    if evaluation is None:
        return None
    trained: Mapping[str, float | None] = evaluation.trained
    rows: list[tuple[str, str, str]] = [
        (measure_name(name), figure_of(trained.get(name), ".1f", 100), figure_of(evaluation.control.get(name), ".1f", 100))
        for name in dict.fromkeys([*trained, *evaluation.control])
    ]
    return {"run": run_name(study, evaluation.digest), "rows": rows}
