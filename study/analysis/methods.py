"""What a study says of methods: what each is and costs, and how alike networks are."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import torch

from study.results.methods import (
    METHOD,
    ComparedMethod,
    MethodDescription,
    MethodFindings,
    Similarity,
    TermDescription,
)
from study.results.schema import ArmResults
from study.runs.similarity import compared_images, similarities
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from study.spec.study_file import Arm
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.base import describe_terms
from vicreg.training.method_cost import state_bytes, whole_step_operations
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import new_model, steps_per_epoch, training_count


def compares_methods(plan: Plan) -> bool:
    """Return whether the arms of a plan differ in their method."""
    return len({cell.run.config.pretrain.method for cell in plan.cells if cell.role in ("arm", "step")}) > 1


def describe_methods(plan: Plan, store: Store, dataset: Dataset, *, device: torch.device) -> MethodFindings | None:
    """Return what each arm's method is and costs, and how alike networks are at the first seed.

    None where the arms have one method. Whether a method is on the Pareto front is not known yet.

    Args:
        plan: of the study.
        store: has the weights of the runs, of which the missing ones are left out.
        dataset: that they were trained on.
        device: where networks are compared that have not been compared before.
    """
    if not compares_methods(plan):
        return None
    arms = {name: cells for name, cells in plan.by_arm().items() if cells[0].role in ("arm", "step")}
    methods = dict.fromkeys(cells[0].run.config.pretrain.method for cells in arms.values())
    tuned = [cell.tunes for cell in plan.cells if cell.role == "tuning"]
    return MethodFindings(
        described={name: describe_method(name) for name in methods},
        compared=tuple(
            _compared(name, cells[0].run.config.pretrain, dataset, tuning_runs=tuned.count(name))
            for name, cells in arms.items()
        ),
        similarity=_similarity(plan, arms, store, dataset, device=device),
    )


def describe_method(name: str) -> MethodDescription:
    """Return what a method's class says of it."""
    method = method_class(name)
    return MethodDescription(
        title=method.TITLE or name,
        source=method.SOURCE,
        family=method.FAMILY,
        probed=method.PROBED,
        takes_labels=method.WANTS_LABELS,
        terms={key: TermDescription(**values) for key, values in describe_terms(method).items()},
    )


def _compared(arm: str, settings: PretrainSettings, dataset: Dataset, *, tuning_runs: int) -> ComparedMethod:
    model = new_model(settings, dataset)
    state = state_bytes(model)
    try:
        of_step: int | None = whole_step_operations(settings, dataset, model=model)
    except (RuntimeError, InputError):  # a loss that reads a value or refuses its views, or an operation without a rule
        of_step = None
    steps = settings.trained_epochs * steps_per_epoch(settings, training_count(settings, dataset)) if settings.epochs else 0
    return ComparedMethod(
        arm=arm,
        method=settings.method,
        step_operations=of_step,
        run_operations=None if of_step is None else of_step * steps,
        state_bytes=state,
        tuning_runs=tuning_runs,
    )


def _similarity(
    plan: Plan, arms: Mapping[str, Sequence[Cell]], store: Store, dataset: Dataset, *, device: torch.device
) -> Similarity | None:
    """Return how alike the arms' networks are at the first seed, the baseline's untrained one last; None without weights."""
    control = arms[plan.study.baseline][0].control if plan.study.baseline in arms else None
    untrained = {control: plan.by_arm()[control]} if control in plan.by_arm() else {}
    seed = min(cell.seed for cells in arms.values() for cell in cells)
    cells = {name: cell for name, own in {**arms, **untrained}.items() for cell in own if cell.seed == seed}
    values = similarities([cell.run for cell in cells.values()], store=store, dataset=dataset, device=device)
    known = [place for place, row in enumerate(values) if row[place] is not None]
    if len(known) < 2:
        return None
    names = list(cells)
    return Similarity(
        arms=tuple(names[place] for place in known),
        seed=seed,
        images=compared_images(dataset),
        values=tuple(tuple(values[row][column] for column in known) for row in known),
    )


def method_labels(plan: Plan) -> dict[str, str]:
    """Return what arms are called where they differ in their method: its title, and settings where arms share a method.

    A method that takes labels is called so. Empty for other studies.
    """
    if not compares_methods(plan):
        return {}
    first = {name: cells[0] for name, cells in plan.by_arm().items() if cells[0].role in ("arm", "step")}
    methods = [cell.run.config.pretrain.method for cell in first.values()]
    labels = {}
    for name, cell in first.items():
        method = cell.run.config.pretrain.method
        title = describe_method(method).called
        others = {key: value for key, value in cell.settings.items() if key != METHOD and key not in cell.tuned}
        more = Arm(name=name, settings=others).label if methods.count(method) > 1 and others else ""
        labels[name] = f"{title}, {more}" if more else title
    return labels


def with_front(findings: MethodFindings | None, arms: Iterable[ArmResults], primary: str) -> MethodFindings | None:
    """Return the findings with the methods on the Pareto front of mean test accuracy and operations of a run.

    Methods that take labels are none of the front's.
    """
    if findings is None:
        return None
    means = {arm.name: arm.summary[primary].mean for arm in arms if primary in arm.summary}
    points = {
        one.arm: (means[one.arm], one.run_operations)
        for one in findings.compared
        if one.arm in means and one.run_operations is not None and not findings.takes_labels(one.arm)
    }

    def is_on_front(name: str) -> bool:
        if name not in points:
            return False
        mean, cost = points[name]
        others = [point for other, point in points.items() if other != name]
        return not any(m >= mean and c <= cost and (m, c) != (mean, cost) for m, c in others)

    compared = tuple(dataclasses.replace(one, on_front=is_on_front(one.arm)) for one in findings.compared)
    return dataclasses.replace(findings, compared=compared)
