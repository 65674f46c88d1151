"""Measures here what another machine has trained."""

from collections.abc import Callable
from pathlib import Path

from filelock import Timeout

from study.design.unfold import unfold
from study.execution.scheduler import Lookup
from study.execution.session import Session
from study.runs.elsewhere import encoder_path, has_weights, measure_elsewhere
from study.runs.identity import machinery
from study.runs.outcomes import FINISHED, is_out_of_memory
from study.spec.plan import Cell
from vicreg.errors import InputError


def measure_here(session: Session, encoders: Path, *, say: Callable[[str], None] = print) -> int:
    """Measure on this machine the runs of another one that are trained and not measured, as far as their weights are here.

    Each measurement is kept when it is done. Several commands share the runs: what one measures, the others pass over.

    Args:
        session: the request, opened; its `machine` trained the runs.
        encoders: a folder of files `<digest of the run>.safetensors`; weights in the store are found without it.
        say: is told of each run what became of it.

    Returns:
        The exit status: 0 where every trained run is measured then, else 1.

    Raises:
        InputError: for runs of this machine.
    """
    cells = {cell.run.digest: cell for cell in unfold(session, Lookup(session)).cells if _is_trained(cell, session)}
    if any(_is_of_this_machine(cell, session) for cell in cells.values()):
        raise InputError("--measure is for runs of another machine, but --machine names this one; leave both out.")
    if not cells:
        say("nothing is left to measure of what was trained; --status tells how each run stands")
    left = 0
    for cell in cells.values():
        problem = _measure(cell, session, encoders)
        say(f"not measured: {_name(cell)}: {problem}" if problem else f"measured: {_name(cell)}")
        left += bool(problem)
    return 1 if left else 0


def _measure(cell: Cell, session: Session, encoders: Path) -> str:
    """Measure a run unless that was done meanwhile; return why it could not be, in words, or nothing."""
    store = session.store
    if not has_weights(cell.run, store=store, encoders=encoders):
        return f"its weights are neither in the store nor at {encoder_path(cell.run, encoders)}"
    try:
        with store.lock(cell.run.digest, lease_s=session.config.ablate.lock_lease_s, timeout=0):
            if not store.is_measured(cell.run):
                measure_elsewhere(
                    cell.run, store=store, dataset=session.dataset, device=session.own_device, encoders=encoders
                )
    except Timeout:
        return "another command is at it"
    except InputError as error:
        return str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "no memory was left"
    return ""


def _name(cell: Cell) -> str:
    return f"{cell.label}, seed {cell.seed}"


def _is_of_this_machine(cell: Cell, session: Session) -> bool:
    own = machinery(session.own_device, precision=cell.run.config.pretrain.precision)
    return dict(cell.run.identity.machinery) == own


def _is_trained(cell: Cell, session: Session) -> bool:
    """Return whether a run has finished training, and what it asks for is not measured."""
    return session.store.ending(cell.run.digest)[0] == FINISHED and not session.store.is_measured(cell.run)
