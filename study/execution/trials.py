"""A study's trials as Optuna sees them: in memory, made anew at each start.

The store of runs is the truth, and this is a projection of it. So there is no trial without a run, none of older code or
data, and none left running by a process that was killed. A search proposes the same settings again up to the point where it
stopped, since it hears the same answers. `trial_database.py` copies trials to a file for optuna-dashboard; nothing is read
from there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from study.execution.trial_database import TrialDatabase
from study.runs.outcomes import FINISHED, PRUNED
from study.spec.objectives import Direction
from study.spec.plan import Cell

_STATES = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}


class Trials:
    """One Optuna study of some cells: those of a design, or the arms beside which a search proposes its own."""

    def __init__(
        self,
        *,
        database: TrialDatabase | None,
        name: str,
        question: str,
        cells: Sequence[Cell],
        directions: Sequence[Direction],
        values: Callable[[Cell, Mapping[str, Any]], Sequence[float] | None],
    ) -> None:
        """Make the Optuna study.

        Args:
            database: that shows the trials; None for a look at what a search would propose.
            name: of the study and the profile; a digest of the cells is added to it.
            question: that the study asks.
            cells: of a design, or the arms beside which a search proposes its own.
            directions: of each objective, `maximize` or `minimize`.
            values: cell, result -> its objectives' values, or None where it came to none.
        """
        # Errors alone: GPSampler warns each time that a package is missing which would only make it faster.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._values = values
        # Other runs (by design, settings, code or data) are another Optuna study: no dashboard then mixes them.
        arms, seeds = sorted({cell.arm for cell in cells}), sorted({cell.seed for cell in cells})
        version = json.dumps([[arms, seeds], sorted(cell.run.digest for cell in cells)])
        self.name = f"{name}-{hashlib.sha256(version.encode()).hexdigest()[:8]}"
        self._database = database
        self._study = optuna.create_study(study_name=self.name, directions=list(directions))
        self._study.set_user_attr("question", question)
        self._space: dict[str, BaseDistribution] = {
            "arm": CategoricalDistribution(arms),
            "seed": CategoricalDistribution(seeds),
        }

    def add_finished(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Add a trial for a run that was in the store before; `show` shows it."""
        state = _STATES.get(result["status"], TrialState.FAIL)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=self._values(cell, result) if state == TrialState.COMPLETE else None,
                params={"arm": cell.arm, "seed": cell.seed},
                distributions=self._space,
                user_attrs=_attributes(cell, result),
            )
        )

    def enqueue(self, cells: Sequence[Cell]) -> None:
        """Put the cells that are to be run into the queue, each once, in this order."""
        for cell in cells:
            attributes = {"run": cell.run.digest}
            self._study.enqueue_trial({"arm": cell.arm, "seed": cell.seed}, user_attrs=attributes)

    def show(self) -> None:
        """Show in the database how all trials stand."""
        if self._database is not None:
            self._database.show(self._study)

    def ask(self) -> tuple[optuna.Trial, str]:
        """Return the next trial of the queue and the digest of its run."""
        trial = self._study.ask(self._space)
        self.show()
        return trial, trial.user_attrs["run"]

    def tell(self, trial: optuna.Trial, cell: Cell, result: Mapping[str, Any]) -> None:
        """Record what became of a run."""
        for key, value in _attributes(cell, result).items():
            trial.set_user_attr(key, value)
        state = _STATES.get(result["status"], TrialState.FAIL)
        self._study.tell(trial, self._values(cell, result) if state == TrialState.COMPLETE else None, state=state)
        self.show()

    def ask_settings(self, space: Mapping[str, BaseDistribution], sampler: optuna.samplers.BaseSampler) -> optuna.Trial:
        """Return the trial that a sampler proposes in a space of parameters."""
        self._study.sampler = sampler
        trial = self._study.ask(dict(space))
        self.show()
        return trial

    def refuse(self, trial: optuna.Trial, reason: str) -> None:
        """Record that no run can have a trial's settings."""
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)
        self.show()


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
