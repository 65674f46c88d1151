"""What is measured of a study whose runs are not all measured yet."""

import dataclasses
import itertools

from study.runs.outcomes import PARTIAL
from study.runs.run import Run
from study.runs.store import Store
from study.spec.plan import Plan


def measured_so_far(plan: Plan, store: Store) -> Plan:
    """Return the plan with fewer probes for each run that is measured by some of them alone."""
    cells = [dataclasses.replace(cell, run=with_most_probes(cell.run, store)) for cell in plan.cells]
    return dataclasses.replace(plan, cells=tuple(cells))


def with_most_probes(run: Run, store: Store) -> Run:
    """Return a run with the most of its probes that there is a measurement by, and as it is where there is none."""
    if store.status(run)[0] != PARTIAL:
        return run
    fewer = (
        dataclasses.replace(run, probes=probes)
        for count in range(len(run.probes) - 1, 0, -1)
        for probes in itertools.combinations(run.probes, count)
    )
    return next((one for one in fewer if store.is_measured(one)), run)
