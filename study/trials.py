"""Optuna's view of a study: its trials, kept in SQLite, where optuna-dashboard shows them.

The store of runs is the truth, and this is a projection of it, made anew at each start. So there is no trial without a
run, none of older code or data, and none left running by a process that was killed; and a search proposes the same
settings again up to the point where it stopped, since it hears the same answers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from sqlalchemy.exc import DatabaseError

from study.plan import Cell, Plan
from study.runs import FINISHED, PRUNED
from study.spec import Arm, Search
from vicreg.errors import InputError

_STATES = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}


class Trials:
    """One Optuna study. `objective` is the validation top-1 of this probe; higher is better."""

    def __init__(self, *, path: Path, plan: Plan, objective: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._objective = objective
        # Other runs (by design, settings, code or data) are another Optuna study: no dashboard then mixes them.
        design = [sorted({cell.arm for cell in plan.cells}), sorted({cell.seed for cell in plan.cells})]
        version = json.dumps([design, sorted(cell.run.digest for cell in plan.cells)])
        self.name = f"{plan.study.name}@{plan.config.profile}-{hashlib.sha256(version.encode()).hexdigest()[:8]}"
        self._storage = _open(path)
        if self.name in optuna.get_all_study_names(self._storage):
            optuna.delete_study(study_name=self.name, storage=self._storage)
        self._study = optuna.create_study(study_name=self.name, storage=self._storage, direction="maximize")
        self._study.set_user_attr("question", plan.study.question)
        self._space: dict[str, BaseDistribution] = {
            "arm": CategoricalDistribution(design[0]),
            "seed": CategoricalDistribution(design[1]),
        }

    def add_finished(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """A trial for a run that was in the store before."""
        state = _STATES.get(result["status"], TrialState.FAIL)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=self._value(result) if state == TrialState.COMPLETE else None,
                params={"arm": cell.arm, "seed": cell.seed},
                distributions=self._space,
                user_attrs=_attributes(cell, result),
            )
        )

    def enqueue(self, cells: Sequence[Cell]) -> None:
        """Puts the cells that are to be run into the queue, each once, in this order."""
        for cell in cells:
            attributes = {"run": cell.run.digest}
            self._study.enqueue_trial({"arm": cell.arm, "seed": cell.seed}, user_attrs=attributes)

    def ask(self) -> tuple[optuna.Trial, str]:
        """The next trial of the queue and the digest of its run."""
        trial = self._study.ask(self._space)
        return trial, trial.user_attrs["run"]

    def tell(self, trial: optuna.Trial, cell: Cell, result: Mapping[str, Any]) -> None:
        """What became of a run."""
        for key, value in _attributes(cell, result).items():
            trial.set_user_attr(key, value)
        state = _STATES.get(result["status"], TrialState.FAIL)
        self._study.tell(trial, self._value(result) if state == TrialState.COMPLETE else None, state=state)

    def propose(self, search: Search, *, count: int, batch: int) -> list[tuple[optuna.Trial, Arm]]:
        """The next `count` proposals of a search, made by a TPE sampler (NeurIPS 2011, Bergstra et al.) of its own seed
        for each batch, from all trials told before the batch. They do not see one another."""
        self._study.sampler = optuna.samplers.TPESampler(seed=search.seed + 1000 * batch, n_startup_trials=search.batch)
        space: dict[str, BaseDistribution] = {
            key: FloatDistribution(given["low"], given["high"], log=bool(given.get("log")))
            for key, given in search.parameters.items()
        }
        proposals = []
        for _ in range(count):
            trial = self._study.ask(space)
            # Three significant digits say all there is to say, and make the arm readable.
            settings = {key: float(f"{value:.3g}") for key, value in trial.params.items()}
            proposals.append((trial, Arm(name=f"trial-{trial.number:03d}", settings=settings)))
        return proposals

    def _value(self, result: Mapping[str, Any]) -> float:
        return result["validation"][self._objective]["top1"]


def _open(path: Path) -> optuna.storages.RDBStorage:
    """The storage at `path`; a damaged one is set aside and begun anew, since it holds nothing the store does not."""
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path}")
    except DatabaseError as error:
        try:
            path.replace(path.with_suffix(".damaged"))
            return optuna.storages.RDBStorage(f"sqlite:///{path}")
        except (OSError, DatabaseError):
            raise InputError(f"{path} cannot be used ({str(error.orig)}); free some space or delete it.") from None


def _attributes(cell: Cell, result: Mapping[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"run": cell.run.digest, "status": result["status"], "settings": dict(cell.settings)}
    if result["reason"]:
        attributes["reason"] = result["reason"]
    if result["verdict"]:
        attributes["verdict"] = result["verdict"]["name"]
    for probe, measured in result["validation"].items():
        attributes[f"validation_{probe}"] = measured["top1"]
    for space, metrics in result["collapse"].items():
        for name in ("rankme", "std_mean", "rms_correlation"):
            attributes[f"{name}_{space}"] = metrics[name]
    return attributes

