"""What is asked for when a study is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.config.places import STORE
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Request:
    """A study to be planned or run, and what differs from `params.yaml` and from the study's file.

    Attributes:
        study: its name.
        profile: of `params.yaml`; None for the one it names.
        overrides: dotted settings over the profile.
        seeds: so many seeds from `first_seed` on, in place of the configured ones.
        first_seed: the first of `seeds`; None for 0.
        add_seeds: so many seeds more than configured.
        look: which of the looks that are declared, from 1; None for `ablate.look`.
        trials: of a search, in place of the number in its file.
        workers: runs at a time, in place of `ablate.workers`.
        device: `auto`, `cpu` or `cuda`, in place of `ablate.device`.
        executor: the address of a Dask scheduler whose workers execute runs, or a queue that they wait in (`QUEUES`); None
            for workers on this host.
        machine: part of the name of another machine, whose finished runs the store has and this host cannot execute; None
            for the machine that executes runs.
        store: the folder of finished runs.
        arms: these alone, by name or as settings (`pretrain.mu=10,pretrain.nu=2`); none for all.

    Raises:
        InputError: for what is asked for in two ways at once, one of which would have no effect.
    """

    study: str
    profile: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None
    first_seed: int | None = None
    add_seeds: int | None = None
    look: int | None = None
    trials: int | None = None
    workers: int | None = None
    device: str | None = None
    executor: str | None = None
    machine: str | None = None
    store: Path = STORE
    arms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first_seed is not None and not self.seeds:
            raise InputError("--first-seed is the first of --seeds, which is not given; add --seeds N.")
        if self.add_seeds and self.seeds:
            raise InputError("--add-seeds adds to the study's seeds and --seeds replaces them; give one of the two.")
        if self.look and (self.seeds or self.add_seeds):
            other = "--seeds" if self.seeds else "--add-seeds"
            raise InputError(f"--look runs the seeds of a declared look and {other} others; give one of the two.")
        where = (
            ("device", self.device),
            ("executor", self.executor),
            ("set ablate.device", "ablate.device" in self.overrides),
        )
        for option, is_given in where:
            if self.machine and is_given:
                raise InputError(f"--machine is of runs that ended and --{option} of runs to come; give one of the two.")
        options = (("workers", self.workers), ("device", self.device), ("seeds", self.seeds), ("look", self.look))
        for option, given in options:
            if given and f"ablate.{option}" in self.overrides:
                raise InputError(f"--{option} and --set ablate.{option} are both given; give one of the two.")

    def replaced_seeds(self) -> tuple[int, ...] | None:
        """Return the seeds that stand in place of the configured ones, or None where these are kept."""
        first = self.first_seed or 0
        return tuple(range(first, first + self.seeds)) if self.seeds else None
