"""Builds the results of a study from its finished runs.

They depend on finished runs and on nothing else: no times, no machine paths, sorted keys. The same runs give the same
bytes, so a `dvc repro` that computes nothing new changes nothing.
"""

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from study.analysis.analyse import analyse, judge_arms
from study.analysis.arm_types import UNTRAINED, arm_collapse_type
from study.analysis.commands import command_of
from study.analysis.cost import cost_of
from study.analysis.diagnose_again import diagnose_lost_scales
from study.analysis.findings import changes_of, describe_search, describe_tuning
from study.analysis.looks import Judged
from study.analysis.methods import describe_methods, method_labels
from study.analysis.network_notes import network_notes
from study.analysis.published_methods import published_outcome, read_published_methods
from study.config.config import Config
from study.results.findings import Looks
from study.results.methods import EmbeddingScale, TermDescription
from study.results.runs import RunResults, run_results
from study.results.schema import (
    ArmResults,
    DataDescription,
    Parameters,
    RecordedIdentity,
    StudyResults,
)
from study.runs.identity import Identity, machinery
from study.runs.outcomes import FINISHED
from study.runs.pruning import apply_pruning
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.evaluation.evaluate import chance_accuracy
from vicreg.methods import method_class, target_std_of
from vicreg.methods.base import describe_terms

# Characters that figures have room for. Where one arm's settings take more, all arms go by their names: cut off, settings
# that begin alike would all read the same.
LONGEST_LABEL = 26
CPU = torch.device("cpu")


def summarise(
    plan: Plan, store: Store, dataset: Dataset, *, command: str, overrides: Mapping[str, Any], device: torch.device = CPU
) -> StudyResults:
    """Return everything a report on one study shows.

    Args:
        plan: of the study, as far as it is known.
        store: holds the runs; those it does not are missing in the results.
        dataset: that they were trained on.
        command: runs the study, as a person would type it.
        overrides: settings of the command over the profile.
        device: where networks of different methods are compared, as far as that has not been done.
    """
    runs = {cell.run.digest: _run(plan, cell, store) for cell in plan.cells}
    arms = _arms(plan, runs, command)
    described = dataclasses.replace(
        _described(plan, dataset, command=command, overrides=overrides),
        arms=tuple(arms),
        commits=tuple(sorted({run.commit for run in runs.values() if run.status == FINISHED and run.commit})),
        cost=cost_of(plan, runs, dataset),
        looks=looks_of(plan),
        methods=describe_methods(plan, store, dataset, device=device),
        tuning=describe_tuning(plan, arms, plan.config.primary),
        search=describe_search(plan, arms, plan.config.primary, dataset),
    )
    return analyse(
        diagnose_lost_scales(described),
        margin=plan.config.ablate.margin,
        configured_seeds=(plan.study.seeds or plan.config.ablate.seeds).looks[0],
        changes=changes_of(plan, arms),
        path_note=" ".join(plan.notes),
        network=network_notes(plan, dataset),
    )


def judged_arms(plan: Plan, store: Store, dataset: Dataset) -> Judged:
    """Return the arms of a plan as the looks that were taken at them judge them; nothing is run."""
    runs = {cell.run.digest: _run(plan, cell, store) for cell in plan.cells}
    described = _described(plan, dataset, command="", overrides={})
    return judge_arms(
        diagnose_lost_scales(dataclasses.replace(described, arms=tuple(_arms(plan, runs, command="")))).arms,
        looks_of(plan),
        baseline=plan.study.baseline,
        primary=plan.config.primary,
        test_images=len(dataset.test.images),
        margin=plan.config.ablate.margin,
    )


def describe_data(dataset: Dataset) -> DataDescription:
    """Return what a report says of a data set."""
    return DataDescription(
        dataset=dataset.name,
        digest=dataset.digest,
        classes=tuple(dataset.classes),
        train=len(dataset.train.images),
        validation=len(dataset.validation.images),
        test=len(dataset.test.images),
        shape=tuple(dataset.train.images.shape[1:]),
        note=dataset.note,
        files=dataset.files,
        chance=chance_accuracy(dataset),
    )


def _described(plan: Plan, dataset: Dataset, *, command: str, overrides: Mapping[str, Any]) -> StudyResults:
    """Return what is known of a study before its runs: its question, settings, data and identity."""
    study, config = plan.study, plan.config
    identity = next((cell for cell in plan.cells if cell.arm == study.baseline), plan.cells[0]).run.identity
    return StudyResults(
        study=study.name,
        profile=config.profile,
        mode=study.mode,
        question=study.question,
        hypothesis=study.hypothesis,
        about=study.about,
        predictions=study.predictions or None,
        baseline=study.baseline,
        command=command,
        overrides=dict(overrides),
        terms=_terms(plan),
        primary=config.primary,
        published_source=_published_source(plan),
        data=describe_data(dataset),
        environment=_environment(identity, config),
        identity=RecordedIdentity(
            code=identity.code,
            definitions=dict(identity.definitions),
            data=identity.data,
            machinery=dict(identity.machinery),
        ),
        parameters=_parameters(plan),
        recipe={key: value for key, value in config.recipe.items() if key != "pretrain.seed"},
        arms=(),
        answer="",
    )


def _terms(plan: Plan) -> dict[str, TermDescription]:
    """Return the terms that the methods of a plan's runs log, by name."""
    methods = dict.fromkeys(cell.run.config.pretrain.method for cell in plan.cells)
    described = [item for name in methods for item in describe_terms(method_class(name)).items()]
    return {name: TermDescription(**values) for name, values in described}


def _environment(identity: Identity, config: Config) -> dict[str, Any]:
    """Return what runs were executed on; Python's version too where all else is this host's."""
    on_cpu = identity.machinery["device"].startswith("cpu")
    threads = config.pretrain.threads if on_cpu else None
    device = torch.device("cpu" if on_cpu else "cuda")
    is_here = on_cpu or torch.cuda.is_available()
    here = machinery(device, precision=identity.settings["precision"]) if is_here else None
    python = {"python": platform.python_version()} if here == identity.machinery else {}
    return {**python, **identity.machinery, "threads": threads}


def _run(plan: Plan, cell: Cell, store: Store) -> RunResults:
    """Return a run as the store has it; a trial as its search heard it."""
    result: Mapping[str, Any] = store.result(cell.run)
    if cell.role == "trial" and plan.study.search is not None:
        result = apply_pruning(result, cell.run, plan.study.search.prune_after)
    return run_results(result)


def _arms(plan: Plan, runs: Mapping[str, RunResults], command: str) -> list[ArmResults]:
    by_name = any(len(cell.label) > LONGEST_LABEL for cell in plan.cells if cell.role in ("arm", "step"))
    methods = method_labels(plan)
    made = [_arm(plan, cells, runs, command, by_name=by_name and not methods) for cells in plan.by_arm().values()]
    return [dataclasses.replace(arm, label=methods.get(arm.name, arm.label)) for arm in made]


def _arm(plan: Plan, cells: Sequence[Cell], runs: Mapping[str, RunResults], command: str, *, by_name: bool) -> ArmResults:
    first = cells[0]
    own = tuple(
        dataclasses.replace(runs[cell.run.digest], command=command_of(command, plan, [cell], alone=True)) for cell in cells
    )
    pretrain = first.run.config.pretrain
    return ArmResults(
        name=first.arm,
        label=first.arm if by_name and not first.is_control else first.label,
        role=first.role,
        reason=first.reason,
        is_baseline=first.arm == plan.study.baseline,
        is_control=first.is_control,
        settings=dict(first.settings),
        tuned=dict(first.tuned),
        command=command_of(command, plan, cells),
        control=first.control,
        effective=None if first.is_control else pretrain.effective,
        embedding_scale=EmbeddingScale(target_std=target_std_of(pretrain.method, pretrain.method_settings)),
        published=_published(plan, first),
        collapse_type=UNTRAINED if first.is_control else arm_collapse_type(own),
        summary={},
        runs=own,
    )


def _published_source(plan: Plan) -> str | None:
    """Return where published outcomes are from; None where no arm follows the protocol that the study names."""
    protocol = plan.study.published_protocol
    if protocol is None:
        return plan.study.published_source
    return read_published_methods().protocol(protocol).text if any(_published(plan, cell) for cell in plan.cells) else None


def _published(plan: Plan, cell: Cell) -> dict[str, Any] | None:
    """Return what was published of an arm, in its study's file or for the protocol that the study names."""
    if plan.study.published_protocol is not None and cell.role == "arm":
        return published_outcome(cell.run.config, plan.study.published_protocol)
    return dict(cell.published) if cell.published else None


def _parameters(plan: Plan) -> Parameters:
    """Return what the study varies to learn of it, what it tunes alike in every arm, and what it holds.

    The distinction is that of the Deep Learning Tuning Playbook (Godbole et al. 2023).
    """
    study = plan.study
    searched = list(study.search.parameters) if study.search else []
    return Parameters(
        scientific=tuple(sorted({key for arm in study.arms for key in arm.settings} | set(searched))),
        nuisance={key: tuple(values) for key, values in study.nuisance.items()},
        fixed=dict(study.settings),
        own_nuisance={arm.name: dict(arm.nuisance) for arm in study.arms if arm.nuisance} or None,
    )


def looks_of(plan: Plan) -> Looks | None:
    """Return which look results of a plan are of, before anything is decided; None for the only one."""
    own = plan.look
    if own is None:
        return None
    return Looks(
        look=own.number, planned=own.planned, declared=own.declared, price=own.price, until_decided=bool(own.steps),
        note=" ".join(plan.notes) if own.steps else "",
    )  # fmt: skip
