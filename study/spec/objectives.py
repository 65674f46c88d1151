"""What runs are chosen by: accuracy on validation, rank or cost.

Test accuracy is never among them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from study.config.config import Config
from study.runs.store import Store
from study.spec.about import COST
from study.spec.plan import Cell
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.training.method_cost import run_operations

Direction = Literal["minimize", "maximize"]  # as Optuna says it
RANKS = ("rankme_representations", "rankme_embeddings")  # of the validation images, which is where collapse is measured


def check_objectives(names: Sequence[str], config: Config, *, searched: Collection[str] = ()) -> None:
    """Refuse an objective that runs of this config are not measured by. `searched` are the keys of a search.

    Raises:
        InputError: for such a name; for cost alone, which is lowest where nothing is trained; and for cost where methods are
            searched, whose operations are counted by different rules.
    """
    probes, counts = config.ablate.probes, config.evaluate.knn
    measured = [*(f"knn_{k}" for k in counts if "knn" in probes), *(probe for probe in probes if probe != "knn")]
    for name in names:
        if name not in (*measured, *RANKS, COST):
            known = ", ".join((*measured, *RANKS, COST))
            raise InputError(f"search.objective must be one of {known}, but got {name!r}.")
    if list(names) == [COST]:
        raise InputError("search.objective may not be cost alone; add an accuracy, such as [linear_cached, cost].")
    if COST in names and "pretrain.method" in searched:
        raise InputError(
            "search.objective may not have cost where pretrain.method is searched, for operations of VICReg are counted "
            "otherwise; search each method by itself."
        )


def direction(name: str) -> Direction:
    """Return `minimize` or `maximize`, in Optuna's words."""
    return "minimize" if name == COST else "maximize"


def objective_values(
    names: Sequence[str], cell: Cell, result: Mapping[str, Any], dataset: Dataset
) -> tuple[float, ...] | None:
    """Return a run's value of each objective, or None where it came to none: it diverged, was pruned, or has not run.

    Nor has an encoder that was measured without its head a rank of embeddings.
    """
    spaces = {name.partition("_")[2] for name in names if name in RANKS}
    if not result["validation"] or not spaces <= set(result["collapse"]):
        return None
    return tuple(_value(name, cell, result, dataset) for name in names)


def _value(name: str, cell: Cell, result: Mapping[str, Any], dataset: Dataset) -> float:
    if name == COST:
        return float(run_operations(cell.run.config.pretrain, dataset))
    if name in RANKS:
        return result["collapse"][name.partition("_")[2]]["rankme"]
    return result["validation"][name]["top1"]


def validation_mean(cells: Sequence[Cell], store: Store, probe: str) -> float | None:
    """Return the mean validation top-1 of runs, or None where one of them came to no accuracy.

    A mean over those that did would speak for settings that let some diverge.
    """
    results = [store.result(cell.run)["validation"] for cell in cells]
    if not results or not all(results):
        return None
    return sum(one[probe]["top1"] for one in results) / len(results)


def best(scores: Mapping[str, float | None]) -> str | None:
    """Return the name of the highest score, of equal ones the first; None where there is none."""
    counted = {name: score for name, score in scores.items() if score is not None}
    return max(counted, key=lambda name: counted[name]) if counted else None
