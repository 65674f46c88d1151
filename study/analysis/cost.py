"""What runs cost: epochs, images and operations, and seconds and joules."""

from collections.abc import Mapping
from typing import Any

from study.results.findings import Cost
from study.results.runs import RunResults
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.training.cost import training_operations
from vicreg.training.setup import steps_per_epoch


def cost_of(plan: Plan, runs: Mapping[str, RunResults], dataset: Dataset) -> Cost:
    """Return what the study's runs took, each counted once. `runs` are by digest."""
    cells = {cell.run.digest: cell for cell in plan.cells if not cell.is_control}
    trained = {digest: len(runs[digest].history) for digest in cells}
    operations = 0.0
    for digest, cell in cells.items():
        if trained[digest]:
            whole = training_operations(cell.run.config.pretrain, dataset)
            operations += whole * trained[digest] / cell.run.config.pretrain.trained_epochs
    return Cost(
        runs=sum(epochs > 0 for epochs in trained.values()),
        epochs=sum(trained.values()),
        images=sum(epochs * images_an_epoch(cells[digest], dataset) for digest, epochs in trained.items() if epochs),
        operations=float(f"{operations:.4g}"),
    )


def timing(plan: Plan, store: Store, dataset: Dataset) -> dict[str, Any]:
    """Return what the runs took where they were run: run -> seconds of training, joules where the device told, and commit.

    This stands apart from the results, which are the same wherever runs are made.
    """
    found: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        result = store.result(cell.run)
        if result["commit"] is None:
            continue
        paces = result["images_per_second"]  # none where no epoch was trained, be it that the images fill no batch
        seconds = round(sum(images_an_epoch(cell, dataset) / pace for pace in paces), 1) if paces else None
        found[cell.run.digest] = {"seconds": seconds, "joules": result["joules"], "commit": result["commit"]}
    return {"study": plan.study.name, "runs": found}


def images_an_epoch(cell: Cell, dataset: Dataset) -> int:
    """Return how many images a cell's run sees in an epoch; none where it does not train."""
    settings, images = cell.run.config.pretrain, len(dataset.train.images)
    return min(steps_per_epoch(settings, images) * settings.batch_size, images) if settings.epochs else 0
