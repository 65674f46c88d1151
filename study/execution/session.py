"""What one call of `study.ablate` works with: its study, config, data, store and device."""

import argparse
import functools
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.config.config import Config
from study.config.device import choose_device
from study.config.load import load_config
from study.config.values import parse_setting
from study.execution.packing import choose_workers
from study.runs.prepared_data import obtain
from study.runs.store import Store
from study.spec.plan import Plan, fixed_config, make_plan
from study.spec.study_file import Study, load_study
from vicreg.data.dataset import Dataset
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

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of the command, or else the study's, or else the config's; and `--add-seeds` more after the largest."""
        if self.arguments.seeds:
            return tuple(range(self.arguments.first_seed, self.arguments.first_seed + self.arguments.seeds))
        own = self.study.seeds or self.config.ablate.seeds
        return (*own, *range(max(own) + 1, max(own) + 1 + (self.arguments.add_seeds or 0)))

    def plan(self, **changes: Any) -> Plan:
        """The plan of the study's arms as its file has them; what its design makes of it is `study.design.unfold.unfold`'s.

        `changes` are arguments of `make_plan` in place of the command's."""
        return make_plan(
            self.study, self.config, data=self.dataset.digest, device=self.device, **{"seeds": self.seeds, **changes}
        )

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
        parts += [f"--add-seeds {self.arguments.add_seeds}"] if self.arguments.add_seeds else []
        parts += [f"--trials {self.arguments.trials}"] if self.arguments.trials else []
        return " ".join(parts)


def open_session(arguments: argparse.Namespace) -> Session:
    study = load_study(arguments.study)
    if arguments.trials and not study.search:
        raise InputError(f"--trials is for a search, but study {study.name!r} has mode {study.mode}; use --seeds.")
    if arguments.add_seeds and (arguments.seeds or arguments.first_seed):
        raise InputError("--add-seeds adds to the study's seeds and --seeds replaces them; give one of the two.")
    overrides = dict(parse_setting(text) for text in arguments.set)
    _check_overrides(study, overrides)
    config = load_config(profile=arguments.profile, settings=overrides)
    _check_search(study, config)
    device = choose_device(arguments.device or config.ablate.device)
    dataset, folder = obtain(config, store=arguments.store)
    return Session(
        arguments=arguments, study=study, config=config, overrides=overrides,
        dataset=dataset, data_folder=folder, store=Store(arguments.store), device=device,
    )  # fmt: skip


def _check_overrides(study: Study, overrides: Mapping[str, Any]) -> None:
    """What a study fixes, tunes or varies lies over the command's settings, which would change nothing and say they had."""
    for key in overrides:
        if key == "pretrain.seed":
            raise InputError("--set pretrain.seed has no effect on a study; choose seeds with --seeds and --first-seed.")
        if key in study.roles:
            role = study.roles[key]
            raise InputError(f"--set {key} has no effect: study {study.name!r} {role} it; edit the study's file.")


def _check_search(study: Study, config: Config) -> None:
    """Both ends of a search's ranges must be values that a run can have, before the first trial is run."""
    parameters = study.search.parameters if study.search else {}
    for end in (0, -1):
        values = {key: given["choices"][end] if "choices" in given else given[("low", "high")[end]]
                  for key, given in parameters.items()}  # fmt: skip
        try:
            fixed_config(study, config).with_settings(values)
        except InputError as error:
            raise InputError(f"search.parameters of study {study.name!r}: {error}") from None
