"""What SLURM is asked for: `ablate.slurm`, options of sbatch by their own names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from study.config.values import shorten
from vicreg.errors import InputError, kind_of

Option = str | int | bool

# Options that a run's job has of its own, or that would make of it more or less than one job.
_OWN = (
    "array", "chdir", "dependency", "error", "export", "input", "job-name", "no-requeue", "nodes", "ntasks",
    "ntasks-per-node", "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap",
)  # fmt: skip
_NUMBERS = ("cpus-per-task", "time")  # that are counted with here


@dataclass(frozen=True)
class SlurmSettings:
    """`params.yaml`'s section `ablate.slurm`: what every run's job asks SLURM for.

    Attributes:
        options: of sbatch by name, without the dashes; true for those that take no value.
    """

    options: tuple[tuple[str, Option], ...]

    @property
    def time(self) -> int:
        """The minutes after which SLURM ends a job; its run goes on from its last checkpoint in the next."""
        return int(dict(self.options)["time"])

    @property
    def cpus(self) -> int | None:
        """The processors of a job; None for as many as its run has threads."""
        asked = dict(self.options).get("cpus-per-task")
        return None if asked is None else int(asked)


def read_slurm(name: str, section: object) -> SlurmSettings:
    """Return the section `name` of that name; what is null or false in it is left to SLURM.

    Raises:
        InputError: for what is no option of sbatch, one that is not the user's to set, or an impossible value.
    """
    if not isinstance(section, Mapping):
        raise InputError(f"{name} must hold options of sbatch by name, but holds {kind_of(section)}.")
    for key, value in section.items():
        _check(f"{name}.{key}", key, value)
    if section.get("time") is None:
        raise InputError(f"{name}.time must be the minutes that a job may take, but is not given; set it.")
    kept = {key: value for key, value in section.items() if value is not None and value is not False}
    return SlurmSettings(options=tuple(kept.items()))


def _check(name: str, key: object, value: object) -> None:
    if not isinstance(key, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", key):
        raise InputError(f"{name} must be named as sbatch's long option, such as cpus-per-task, but is named {key!r}.")
    if key in _OWN:
        raise InputError(f"{name} is set by the study's own jobs; leave it out.")
    if value is None:
        return
    if key in _NUMBERS:
        if type(value) is not int or value < 1:
            unit = "whole number of minutes" if key == "time" else "whole number"
            raise InputError(f"{name} must be a {unit} of at least 1, but got {shorten(repr(value))}.")
    elif not isinstance(value, (str, int)) or (isinstance(value, str) and not re.fullmatch(r"[^\x00-\x1f]+", value)):
        raise InputError(f"{name} must be a word, a whole number, true or null, but got {shorten(repr(value))}.")
