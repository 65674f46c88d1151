"""Studies of three trials in memory, for tests of where they are shown."""

import optuna
from optuna.distributions import CategoricalDistribution

SPACE = {"arm": CategoricalDistribution(["a", "b", "c"])}


def study_of(name: str) -> optuna.Study:
    """Return a study with a trial queued for each arm."""
    study = optuna.create_study(study_name=name, directions=["maximize"])
    for arm in "abc":
        study.enqueue_trial({"arm": arm}, user_attrs={"run": arm})
    return study


def run_next(study: optuna.Study, value: float) -> None:
    """Take the next trial of the queue, and end it with a value."""
    trial = study.ask(SPACE)
    trial.set_user_attr("status", "finished")
    study.tell(trial, value)
