"""Certifies results by running some of their runs again."""

import hashlib
import platform
import shlex
from collections import defaultdict
from collections.abc import Mapping

from study.config.values import flatten
from study.execution.session import Session
from study.results.certificate import (
    IDENTICAL,
    NOT_REPRODUCED,
    TOLERATED,
    Certificate,
    VerifiedRun,
    with_runs,
)
from study.results.json_values import to_values
from study.results.runs import RunResults, run_results
from study.results.schema import StudyResults
from study.runs.outcomes import PRUNED, REPEATABLE
from study.runs.store import Store
from study.spec.plan import Cell
from study.verification.replan import changes_since, is_same_run, replan
from study.verification.rerun import differing_keys, run_afresh
from vicreg.errors import InputError

Key = tuple[str, int]  # (arm, seed)

_NAMED_AT_MOST = 20  # keys that differ: a run that went another way differs in all of some hundred


def certify(results: StudyResults, session: Session, *, runs: int, tolerance: float) -> Certificate:
    """Run `runs` of the runs that results report again, and return the certificate.

    Args:
        results: of the session's study.
        session: says what today's code and parameters would run, and where.
        runs: how many, at most.
        tolerance: an accuracy (a share, 0 to 1) may differ by this much and is still called reproduced; 0 asks for the same
            bits.

    Raises:
        InputError: if no reported run has an outcome, or none is a run of today's code and parameters.
    """
    candidates = certifiable_cells(results, session)
    chosen = {key: candidates[key] for key in choose_runs(candidates, results, count=runs)}
    before = results.runs_by_cell()
    pruned = [cell for key, cell in chosen.items() if before[key].status == PRUNED]
    with run_afresh(list(chosen.values()), session, pruned=pruned) as fresh:
        verified = [
            judge_run(
                before[key],
                run_results(fresh.result(cell.run)),
                arm=cell.arm,
                label=results.arm(cell.arm).label,
                weights=_weights(before[key].digest, session.store, fresh, cell),
                tolerance=tolerance,
            )
            for key, cell in chosen.items()
        ]
    machinery = dict(next(iter(chosen.values())).run.identity.machinery)
    certificate = Certificate(
        study=results.study,
        profile=results.profile,
        tolerance=tolerance,
        environment={"python": platform.python_version(), **machinery},
        same_machinery=all(results.environment.get(key) == value for key, value in machinery.items()),
        code=next(iter(chosen.values())).run.identity.code,
        runs=(),
        sentence="",
    )
    return with_runs(certificate, verified, results)


def choose_runs(candidates: Mapping[Key, Cell], results: StudyResults, *, count: int) -> list[Key]:
    """Return `count` of the candidates' keys: the same ones every time, yet nobody's choice.

    A hash of the digest orders them. No arm has a second turn before every arm had its first, and controls, which train
    nothing, come last in each turn.
    """
    controls = {arm.name for arm in results.arms if arm.is_control}
    digests = {key: run.digest for key, run in results.runs_by_cell().items()}
    by_arm = defaultdict(list)
    for key in candidates:
        by_arm[key[0]].append((hashlib.sha256(digests[key].encode()).hexdigest(), key))
    turns = [
        (turn, arm in controls, drawn, key)
        for arm, hashed in by_arm.items()
        for turn, (drawn, key) in enumerate(sorted(hashed))
    ]
    chosen: dict[str, Key] = {}
    for _, _, _, key in sorted(turns):  # two arms can be one run: it is run once, and has one line
        chosen.setdefault(digests[key], key)
    return list(chosen.values())[:count]


def judge_run(before: RunResults, after: RunResults, *, arm: str, label: str, weights: str, tolerance: float) -> VerifiedRun:
    """Return what became of one run done again: the outcome, the largest difference of any accuracy, and keys that differ.

    Bit-identical are equal logs, numbers, endings and weights (where there are weights to compare). Within tolerance are
    accuracies that differ by at most a `tolerance` above zero, with the same ending and collapse type. Anything else is not
    reproduced. A tolerance of accuracies says nothing of runs without one (diverged, pruned). One of zero asks for the same
    run, which other ranks, another log or other weights are not.
    """
    differing = differing_keys(before, after)
    left, right = _accuracies(before), _accuracies(after)
    largest = max((abs(left[key] - right[key]) for key in left if key in right), default=None)
    same_outcome = before.status == after.status and before.outcome == after.outcome
    if not differing and weights != "differ":
        outcome = IDENTICAL
    elif same_outcome and left.keys() == right.keys() and largest is not None and largest <= tolerance > 0:
        outcome = TOLERATED
    else:
        outcome = NOT_REPRODUCED
    return VerifiedRun(
        arm=arm,
        label=label,
        seed=before.seed,
        digest=before.digest,
        outcome=outcome,
        status=before.status,
        status_again=after.status,
        largest_difference=largest,
        differing=tuple(differing[:_NAMED_AT_MOST]),
        differing_count=len(differing),
        weights=weights,
    )


def certifiable_cells(results: StudyResults, session: Session) -> dict[Key, Cell]:
    """Return the reported runs that ended as an outcome, and that today's code and parameters would make again.

    Raises:
        InputError: where there is none.
    """
    name, before = results.study, results.runs_by_cell()
    command = results.command or f"python -m study.ablate --study {shlex.quote(name)}"
    ended = {key for key, run in before.items() if run.status in REPEATABLE}
    if not ended:
        raise InputError(f"study {name!r} has no finished run to verify; run {command} first.")
    cells = {key: cell for key, cell in replan(results, session).items() if key in ended}
    same = {key: cell for key, cell in cells.items() if is_same_run(cell, before[key].digest, results)}
    if not same:
        changed = changes_since(results, next(iter(cells.values()))) if cells else []
        why = f" ({'; '.join(changed)})" if changed else ""
        raise InputError(
            f"none of the {len(ended)} finished runs that study {name!r} reports is a run of today's code, data and "
            f"parameters{why}; run {command} first."
        )
    return same


def _weights(digest: str, store: Store, fresh: Store, cell: Cell) -> str:
    """Return whether the weights' files are the same bytes; `not kept` where the store has none for the reported run."""
    files = (store.weights_path(digest), fresh.weights_path(cell.run.digest))
    kept, again = (path.read_bytes() if path.exists() else None for path in files)
    if kept is None:
        return "not kept"
    return "identical" if kept == again else "differ"


def _accuracies(result: RunResults) -> dict[str, float]:
    """Return dotted key -> accuracy, of every probe on validation and test."""
    values = to_values(result)
    measured = flatten({split: values[split] for split in ("validation", "test")})
    return {key: value for key, value in measured.items() if key.rpartition(".")[2] in ("top1", "top5")}
