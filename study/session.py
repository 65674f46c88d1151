"""What one call of `study.ablate` works with: its study, config, data, store and device."""

import argparse
import functools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.command import choose_device
from study.config import Config, load_config, parse_setting
from study.packing import choose_workers
from study.plan import Plan, make_plan
from study.prepare import obtain
from study.runs import Store
from study.spec import Arm, Study, load_study
from vicreg.datasets import Dataset
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the command, opened."""

    arguments: argparse.Namespace
    study: Study
    config: Config
    overrides: Mapping[str, Any]
    dataset: Dataset
    data_folder: Path
    store: Store
    device: torch.device

    def plan(self, **changes: Any) -> Plan:
        """The study's plan; `changes` are arguments of `make_plan` in place of the command's."""
        first = self.arguments.first_seed
        seeds = tuple(range(first, first + self.arguments.seeds)) if self.arguments.seeds else None
        return make_plan(
            self.study, self.config, data=self.dataset.digest, device=self.device, **{"seeds": seeds, **changes}
        )

    def plan_of_arms(self, names: Sequence[str]) -> Plan:
        """The plan of some arms: by the study's names, or as settings (`pretrain.mu=10,pretrain.nu=2`), which is how an
        arm that a search found is named on the command line."""
        given = [Arm(name=name, settings=dict(map(parse_setting, name.split(",")))) for name in names if "=" in name]
        return self.plan(arms=[*self.study.arms, *given]).only(names)

    @functools.cached_property
    def workers(self) -> int:
        """Runs at a time: asked for, configured, or as many as the device holds (`choose_workers`)."""
        asked = self.arguments.workers or self.config.ablate.workers
        return asked or choose_workers(
            self.config, self.dataset, data=self.data_folder, store=self.store, device=self.device
        )

    @property
    def command(self) -> str:
        """The command that runs this study again, as a person would type it."""
        parts = ["python -m study.ablate", f"--study {self.study.name}", f"--profile {self.config.profile}"]
        parts += [f"--set {shlex.quote(f'{key}={json.dumps(value)}')}" for key, value in sorted(self.overrides.items())]
        parts += [f"--device {self.arguments.device}"] if self.arguments.device else []
        parts += [f"--seeds {self.arguments.seeds}"] if self.arguments.seeds else []
        parts += [f"--first-seed {self.arguments.first_seed}"] if self.arguments.first_seed else []
        parts += [f"--trials {self.arguments.trials}"] if self.arguments.trials else []
        return " ".join(parts)


def open_session(arguments: argparse.Namespace) -> Session:
    study = load_study(arguments.study)
    if arguments.trials and not study.search:
        raise InputError(f"--trials is for a search, but study {study.name!r} has mode {study.mode}; use --seeds.")
    overrides = dict(parse_setting(text) for text in arguments.set)
    config = load_config(profile=arguments.profile, settings=overrides)
    device = choose_device(arguments.device or config.ablate.device)
    dataset, folder = obtain(config, store=arguments.store)
    return Session(
        arguments=arguments, study=study, config=config, overrides=overrides,
        dataset=dataset, data_folder=folder, store=Store(arguments.store), device=device,
    )  # fmt: skip
