"""What runs cost: epochs, images and operations, and seconds and joules."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.methods import compares_methods
from study.results.findings import Cost
from study.results.runs import RunResults, looks_at_others
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.training.cost import training_operations
from vicreg.training.method_cost import run_operations
from vicreg.training.setup import steps_per_epoch, training_count


def cost_of(plan: Plan, runs: Mapping[str, RunResults], dataset: Dataset) -> Cost:
    """Return what the study's runs took, each counted once, and a look at a training as none. `runs` are by digest."""
    looks = looks_at_others(runs.values())
    cells = {cell.run.digest: cell for cell in plan.cells if not cell.is_control and cell.run.digest not in looks}
    trained = {digest: len(runs[digest].history) for digest in cells}
    operations = 0.0
    for digest, cell in cells.items():
        if trained[digest]:
            whole = _operations(cell, dataset)
            operations += whole * trained[digest] / cell.run.config.pretrain.trained_epochs
    return Cost(
        runs=sum(epochs > 0 for epochs in trained.values()),
        epochs=sum(trained.values()),
        images=sum(epochs * images_an_epoch(cells[digest], dataset) for digest, epochs in trained.items() if epochs),
        operations=float(f"{operations:.4g}"),
    )


def _operations(cell: Cell, dataset: Dataset) -> int:
    """Return the operations of a cell's whole run; of a method whose step cannot be counted, those of its networks."""
    try:
        return run_operations(cell.run.config.pretrain, dataset)
    except InputError:
        return training_operations(cell.run.config.pretrain, dataset)


def timing(plan: Plan, store: Store, dataset: Dataset) -> dict[str, Any]:
    """Return what the runs took where they were run: run -> seconds of training, joules where the device told, and commit.

    Where arms differ in their method it is seconds a step, too.

    This stands apart from the results, which are the same wherever runs are made.
    """
    found: dict[str, dict[str, Any]] = {}
    of_methods = compares_methods(plan)
    for cell in plan.cells:
        result = store.result(cell.run)
        if result["commit"] is None:
            continue
        paces = result["images_per_second"]  # none where no epoch was trained, be it that the images fill no batch
        seconds = round(sum(images_an_epoch(cell, dataset) / pace for pace in paces), 1) if paces else None
        of_step = {"step_seconds": _step_seconds(cell, paces)} if of_methods else {}
        found[cell.run.digest] = {"seconds": seconds, "joules": result["joules"], "commit": result["commit"], **of_step}
    return {"study": plan.study.name, "runs": found}


def _step_seconds(cell: Cell, paces: Sequence[float]) -> float | None:
    """Return the seconds of a step on a full batch, at the median pace of the epochs: the first one also warms up."""
    return float(f"{cell.run.config.pretrain.batch_size / statistics.median(paces):.4g}") if paces else None


def images_an_epoch(cell: Cell, dataset: Dataset) -> int:
    """Return how many images a cell's run sees in an epoch; none where it does not train."""
    settings = cell.run.config.pretrain
    images = training_count(settings, dataset)
    return min(steps_per_epoch(settings, images) * settings.batch_size, images) if settings.epochs else 0
