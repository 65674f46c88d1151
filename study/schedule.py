"""The order of things: which cell is run next, on which worker, and what Optuna is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.plan import Cell, Plan
from study.pool import Pool
from study.progress import Progress
from study.runs import DIVERGED, FINISHED
from study.session import Session
from study.spec import CHOSEN, Arm
from study.trials import Trials
from vicreg.errors import InputError

OPTUNA = "optuna.db"
TRIAL_SEED = 1000  # far from the seeds a study lists


def run_arms(session: Session, plan: Plan) -> Plan:
    """Runs every cell of a designed study that has no outcome yet, each a trial of Optuna's queue."""
    trials = Trials(path=session.store.root / OPTUNA, plan=plan, objective=session.config.primary)
    waiting = []
    for cell in plan.cells:
        status, _ = session.store.status(cell.run)
        if status in (FINISHED, DIVERGED):
            trials.add_finished(cell, session.store.result(cell.run))
        else:
            waiting.append(cell)
    different = _once_each(waiting)
    trials.enqueue(different)
    by_digest = {cell.run.digest: cell for cell in different}
    asked: dict[str, Any] = {}

    def next_cell() -> Cell:
        trial, digest = trials.ask()
        asked[digest] = trial
        return by_digest[digest]

    def told(cell: Cell, result: Mapping[str, Any]) -> None:
        trials.tell(asked[cell.run.digest], cell, result)

    run_cells(session, count=len(different), total=len(plan.cells), next_cell=next_cell, told=told, cells=different)
    for cell in waiting:
        if cell not in different:
            trials.add_finished(cell, session.store.result(cell.run))
    return plan


def run_search(session: Session, plan: Plan) -> Plan:
    """Runs a search on validation, then the best of it at every seed beside the baseline, and returns that whole plan.

    Trials run at a seed of their own, which is none of those the best is then run at: the luck that made a trial the best
    of many is not counted in its favour. They are proposed a batch at a time and told in the order they were proposed, so the
    search takes the same path with any number of workers, and again after an interruption.
    """
    search = session.study.search
    assert search is not None
    probes, counts = session.config.ablate.probes, session.config.evaluate.knn
    measured = [*(f"knn_{k}" for k in counts if "knn" in probes), *(probe for probe in probes if probe != "knn")]
    if search.objective not in measured:
        raise InputError(f"search.objective must be one of {', '.join(measured)}, but got {search.objective!r}.")
    trials = Trials(path=session.store.root / OPTUNA, plan=plan, objective=search.objective)
    proposed: list[Cell] = []
    count = session.arguments.trials or search.trials
    for batch, start in enumerate(range(0, count, search.batch)):
        pairs = trials.propose(search, count=min(search.batch, count - start), batch=batch)
        arms = [arm for _, arm in pairs]
        cells = [cell for cell in session.plan(arms=arms, seeds=(TRIAL_SEED + search.seed,)).cells if not cell.is_control]
        run_listed(session, cells, total=count, done=start, prune_after=search.prune_after)
        for (trial, _), cell in zip(pairs, cells, strict=True):
            trials.tell(trial, cell, session.store.result(cell.run))
        proposed += cells
    results = {cell.arm: session.store.result(cell.run) for cell in proposed}
    scores = {arm: one["validation"][search.objective]["top1"] for arm, one in results.items() if one["validation"]}
    confirmed: list[Arm] = []
    if scores:
        best = max(scores, key=lambda arm: scores[arm])
        settings = next(cell.settings for cell in proposed if cell.arm == best)
        confirmed = [Arm(name=CHOSEN, settings=settings)]
    full = session.plan(arms=[*session.study.arms, *confirmed])
    run_listed(session, full.cells, total=len(full.cells), done=0)
    return replace(full, cells=(*full.cells, *proposed))


def run_listed(
    session: Session, cells: Sequence[Cell], *, total: int, done: int, prune_after: int | None = None
) -> None:
    """Runs those of some cells that have no outcome yet, in order."""
    keep = (FINISHED, DIVERGED)  # a pruned run is judged again, by today's rule: from its log, which takes no time
    waiting = _once_each([cell for cell in cells if session.store.status(cell.run)[0] not in keep])
    queue = iter(waiting)
    run_cells(
        session, count=len(waiting), total=total, next_cell=lambda: next(queue), told=lambda cell, result: None,
        cells=waiting, done=done + len(cells) - len(waiting), prune_after=prune_after,
    )  # fmt: skip


def run_cells(
    session: Session,
    *,
    count: int,
    total: int,
    next_cell: Callable[[], Cell],
    told: Callable[[Cell, Mapping[str, Any]], None],
    cells: Sequence[Cell],
    done: int | None = None,
    prune_after: int | None = None,
) -> None:
    """Keeps every worker busy until `count` cells have been run, whatever becomes of each."""
    if count == 0:
        return
    workers = min(session.workers, count)
    with (
        Pool(workers=workers, data=session.data_folder, store=session.store, device=str(session.device)) as pool,
        Progress(
            name=session.study.name, total=total, done=total - count if done is None else done,
            epochs=sum(cell.run.config.pretrain.epochs for cell in cells), workers=workers,
        ) as progress,
    ):  # fmt: skip
        started = 0

        def fill() -> None:
            nonlocal started
            while started < count and pool.free:
                cell = next_cell()
                progress.started(cell)
                pool.submit(cell, prune_after=prune_after)
                started += 1

        fill()
        for event in pool.events():
            if event.kind == "epoch":
                progress.epoch(event.cell, event.record)
                continue
            result = session.store.result(event.cell.run)
            told(event.cell, result)
            progress.ended(event.cell, result["status"], result["reason"])
            fill()


def _once_each(cells: Sequence[Cell]) -> list[Cell]:
    """Two arms can be one run (the same settings by two names): it is run once."""
    return list({cell.run.digest: cell for cell in cells}.values())
