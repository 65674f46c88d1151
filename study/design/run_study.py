"""Runs what is missing of a study, and writes its results."""

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from study.analysis.cost import timing
from study.analysis.looks import look_lines, undecided_note
from study.analysis.summary import summarise
from study.config.load import load_params
from study.config.places import CUSTOM_RESULTS, STUDY_RESULTS
from study.config.seeds import LEAST_AT_LOOK
from study.design.out_folder import name_of, option
from study.design.so_far import measured_so_far
from study.design.unfold import unfold
from study.execution.looks import note_look
from study.execution.request import Request
from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session, open_session
from study.execution.status import remember
from study.results.timing import TIMING, without_commits
from study.results.write import write_results
from study.runs.locking import hold
from study.runs.outcomes import DIVERGED, FINISHED, PRUNED
from study.runs.store import Store
from study.spec.plan import Plan
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

Say = Callable[[str], None]


def run_study(session: Session, *, out: Path | None = None, allow_diverged: bool = False, say: Say = print) -> int:
    """Run what the session's request asks for and write its results; of some arms alone, none are written.

    Args:
        session: the request, opened.
        out: the folder of the results; None for `session.results_folder`.
        allow_diverged: a diverged run is an outcome like any other.
        say: is told the answer, where the results lie, and which runs have no outcome.

    Returns:
        The exit status: 0 where every run has an outcome, else 1.

    Raises:
        InputError: for what cannot be run, or while another command runs the study on this store.
    """
    plan = unfold(session, Lookup(session))
    with _exclusively(session.store, session.study.name, lease_s=session.config.ablate.lock_lease_s):
        remember(plan, session.store)
        if session.stops:  # looks are taken while it runs, so what was planned is noted before the first
            note_look(session, plan)
        with Runner(session) as runner:
            plan = unfold(session, runner)
        remember(plan, session.store)
        note_look(session, plan)
    if not session.request.arms:
        write_study(plan, session, out or session.results_folder, say)
    lines = unfinished(plan, session.store, allow_diverged=allow_diverged)
    for line in lines:
        say(line)
    return 1 if lines else 0


def report_so_far(session: Session, *, out: Path | None = None, say: Say = print) -> int:
    """Write the results of the runs that are measured, and run nothing; another command may be at the study.

    A run that is measured by some of its probes counts with these. The results lie beside the study's own:
    `results/ablate/` holds whole studies alone. The look is noted, so that other numbers of seeds have its price; where it
    decides anything else, such as which arms go on, later p-values are too small.

    Args:
        session: the request, opened.
        out: the folder of the results; None for one below `results/custom/`.
        say: is told the answer, where the results lie, and how far the runs have come that are not measured.

    Returns:
        The exit status: 0, for it is a question.

    Raises:
        InputError: where no run is measured yet.
    """
    plan = unfold(session, Lookup(session))
    left = unfinished(plan, session.store, allow_diverged=True)
    whole, plan = plan, measured_so_far(plan, session.store)
    measured = [cell for cell in plan.cells if session.store.status(cell.run)[0] == FINISHED]
    if not measured:
        study = f"study {session.study.name!r} on profile {session.config.profile}, with these settings,"
        raise InputError(f"of {study} no run is measured yet; `--status` tells how far each has come.")
    note_look(session, whole, seeds=sum(cell.arm == plan.study.baseline for cell in measured))
    write_study(plan, session, out or CUSTOM_RESULTS / f"{session.results_folder.name}-so-far", say)
    for line in left:
        say(line)
    if left:
        say(
            f"From {LEAST_AT_LOOK} seeds of the baseline on, this look is noted: seeds that are added to the planned ones "
            "cost its price too. Where it decides anything else, such as when to stop, later p-values are too small."
        )
    return 0


def run_studies(names: Sequence[str], request: Request, *, out: Path | None, say: Say = print) -> tuple[int, dict[str, str]]:
    """Run studies one after the other, each into a folder of its own; a diverged run is an outcome.

    What one study lacks, another may have: weights that cannot be had do not keep the others from being run.

    Args:
        names: of the studies.
        request: what is asked of each; its `study` is replaced.
        out: the folder above their results; None for the folder that each session has of its own.
        say: is told what `run_study` says, and which study could not be run.

    Returns:
        The worst exit status, and name -> sentence for each study that could not be run. Where its results could not be
        written, or another command runs it, the status is 1: it is not done.
    """
    failures: dict[str, str] = {}
    status = 0
    for name in names:
        try:
            session = open_session(dataclasses.replace(request, study=name))
            unfold(session, Lookup(session))
        except InputError as error:
            failures[name] = str(error)
            say(f"not run: {name}: {error}")
            continue
        try:
            status = max(status, run_study(session, out=None if out is None else out / name, allow_diverged=True, say=say))
        except InputError as error:
            failures[name] = str(error)
            say(f"not finished: {name}: {error}")
            status = max(status, 1)
    return status, failures


def write_study(plan: Plan, session: Session, out: Path, say: Say = print) -> None:
    """Write the results and the times of a plan's runs, and say the answer."""
    store, dataset = session.store, session.dataset
    results = summarise(
        plan, store, dataset, command=session.command, overrides=session.overrides, device=session.own_device
    )
    write_results(out, without_commits(results))
    write_atomically(out / TIMING, to_json(timing(plan, store, dataset)))
    say(results.answer)
    for line in (*look_lines(results), *(plan.notes if session.stops else ()), *undecided_note(results)):
        say(line)
    given = option("--results", f"{out}/study.json")
    report = ["python", "-m", "study.report", *given, "--out", f"reports/{name_of(out)}"]
    say(f"results: {out}; report: {shlex.join(report)}")
    if session.request.add_seeds:
        say(how_to_keep_seeds(session, out))
    elif session.request.look and out != STUDY_RESULTS / session.study.name:
        say(how_to_keep_look(session, out))


def unfinished(plan: Plan, store: Store, *, allow_diverged: bool = False) -> list[str]:
    """Return a line for each run without an outcome, and for what waits for others.

    What is tried in order to choose may diverge: then it is not chosen.
    """
    lines = []
    for cell in plan.cells:
        status, reason = store.status(cell.run)
        may_diverge = allow_diverged or cell.role in ("trial", "tuning")
        if status not in (FINISHED, PRUNED) and not (status == DIVERGED and may_diverge):
            lines.append(f"not finished: {cell.label}, seed {cell.seed}: {status}" + (f" ({reason})" if reason else ""))
    lines += [f"not run: {one.name}, which waits for {one.after}" for one in plan.pending]
    return lines


def how_to_keep_seeds(session: Session, out: Path) -> str:
    """Return how seeds that were added are kept: by `dvc repro`, which runs none of them again, or as results in git."""
    name, seeds = session.study.name, len(session.seeds)
    if not _is_tracked(session):
        return _how_to_keep(out)
    return (
        f"These results stand beside the tracked ones. To keep the added seeds, write `seeds: {seeds}` in "
        f"study/studies/{name}.yaml (or `seeds` of `ablate` in params.yaml, for every study) and run `dvc repro`: "
        "what has run is not run again, and the looks before it keep their price."
    )


def _is_tracked(session: Session) -> bool:
    """Return whether `dvc repro` runs the study as it was run: under params.yaml's profile, with nothing set over it."""
    params = load_params()
    return not session.overrides and session.config.profile == params["profile"] and session.study.name in params["studies"]


def _how_to_keep(out: Path) -> str:
    return f"To keep these results, run `{shlex.join(['python', '-m', 'study.source_page', *option('--keep', out)])}`."


def how_to_keep_look(session: Session, out: Path) -> str:
    """Return how a look that was asked for becomes what `dvc repro` runs, or how its results are kept."""
    if not _is_tracked(session):
        return _how_to_keep(out)
    return (
        "These results stand beside the tracked ones. To keep them, run "
        f"`dvc exp run -S ablate.look={session.request.look}`: what has run is not run again."
    )


@contextmanager
def _exclusively(store: Store, study: str, *, lease_s: float | None) -> Iterator[None]:
    """Keep a second call of the same study out, which does not wait; a lease of another host it waits for as long as one."""
    path = store.root / "locks" / f"{study}.lock"
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold(path, lease_s=lease_s, timeout=0 if lease_s is None else 2 * lease_s))
        except Timeout:
            raise InputError(f"study {study!r} is being run by another command on this store; wait for it to end.") from None
        except OSError as error:
            raise InputError(f"the store {store.root} cannot be written ({error.strerror}); choose another.") from None
        yield
