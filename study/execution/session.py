"""What one request works with: its study, config, data, store and device."""

import functools
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.analysis.published_methods import read_published_methods
from study.config.config import Config
from study.config.device import choose_device
from study.config.load import load_config
from study.config.methods import is_same_setting
from study.config.places import CUSTOM_RESULTS, STORE, STUDY_RESULTS
from study.config.seeds import Seeds
from study.config.storage import without_password
from study.execution.executors.opening import ask_workers
from study.execution.executors.queued import QUEUES, ask_queue
from study.execution.gpus import device_environments
from study.execution.machine import recorded_machine, workers_machine
from study.execution.packing import choose_workers, devices_each
from study.execution.request import Request
from study.runs.identity import Machinery
from study.runs.prepared_data import obtain_dataset
from study.runs.store import Store
from study.runs.weights import fitting_weights
from study.spec.early_stops import early_stops
from study.spec.looks import look_of, seeds_of
from study.spec.plan import Plan, Role, fixed_config, make_plan
from study.spec.study_file import Arm, Study, load_study
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import check_fit


@dataclass(frozen=True, kw_only=True)
class Session:
    """A request, with all that it names opened.

    `device` is where runs are executed, and `machinery` what they depend on there; None for this host's own.
    """

    request: Request
    study: Study
    config: Config
    dataset: Dataset
    data_folder: Path
    store: Store
    device: torch.device
    machinery: Machinery | None = None

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The request's settings over the profile, by dotted key, as they are written: without passwords."""
        given = self.request.overrides
        address = given.get("ablate.storage")
        return given if address is None else {**given, "ablate.storage": without_password(str(address))}

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of the request, or else those up to the look that is run; added seeds follow the largest."""
        if (replaced := self.request.replaced_seeds()) is not None:
            return replaced
        own = self.configured.up_to(look_of(self.study, self.config, self.request.look))
        return (*own, *range(len(own), len(own) + (self.request.add_seeds or 0)))

    @property
    def configured(self) -> Seeds:
        """How many seeds the study's file, or else the config, gives arms."""
        return seeds_of(self.study, self.config)

    @property
    def stops(self) -> bool:
        """Whether arms stop when they are decided; not where the request replaces the seeds."""
        return self.request.seeds is None and self.configured.until_decided

    def plan(
        self,
        *,
        arms: Sequence[Arm] | None = None,
        seeds: Sequence[int] | None = None,
        role: Role = "arm",
        tuned: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Plan:
        """Return the plan of the study's arms, or of `arms`, as `make_plan` does; a design may ask for more runs.

        Raises:
            InputError: for settings no run can have, or none on these data; the sentence names the arm.
        """
        plan = make_plan(
            self.study, self.config, data=self.dataset.digest, device=self.device, seeds=seeds or self.seeds,
            arms=arms, role=role, tuned=tuned, below=self.machinery,
        )  # fmt: skip
        for arm, cells in plan.by_arm().items():  # seeds differ in nothing that data could be too few for
            _check_fit(f"arm {arm!r} of study {self.study.name!r}", cells[0].run.config, self.dataset)
        return plan

    @functools.cached_property
    def early_stops(self) -> tuple[PretrainSettings, ...]:
        """The settings of runs of the source paper's studies that stop early, which longer runs of any study train."""
        return early_stops(self.config)

    @property
    def own_device(self) -> torch.device:
        """The device of this host for what is computed here of finished runs, which others with a GPU may have executed."""
        here = self.device.type == "cpu" or (self.request.executor is None and self.request.machine is None)
        return self.device if here else choose_device("auto")

    @property
    def asked_workers(self) -> int | None:
        """Runs at a time, as asked for or configured; None where that is left open."""
        return self.request.workers or self.config.ablate.workers

    @functools.cached_property
    def workers(self) -> int:
        """Runs at a time: asked for, configured, or as many of the costliest as all devices hold (`choose_workers`).

        On the workers of a scheduler it is what is asked for, or one, for times that are told beforehand.
        """
        if self.asked_workers or self.request.executor:
            return self.asked_workers or 1
        on_each = choose_workers(self._configs(), self.dataset, data=self.data_folder, store=self.store, device=self.device)
        return on_each * len(device_environments(self.device, each=self.devices_each))

    @functools.cached_property
    def devices_each(self) -> int:
        """Devices that a worker of this host sees: as many as processes train the run that has most of them."""
        return devices_each(self._configs())

    def _configs(self) -> list[Config]:
        """Return the config of each arm, at each nuisance value, and of both ends of a search's ranges."""
        fixed, study = fixed_config(self.study, self.config), self.study
        varied = [{**arm.settings, **values} for arm in study.arms for values in study.combinations_of(arm.name) or [{}]]
        return [fixed.with_settings(one) for one in varied + (study.search.corners() if study.search else [])]

    @property
    def command(self) -> str:
        """The command that runs this study again, as a person would type it."""
        asked = self.request
        parts = ["python -m study.ablate", f"--study {shlex.quote(self.study.name)}"]
        parts += [f"--profile {shlex.quote(self.config.profile)}"]
        given = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(self.overrides.items())]
        parts += [f"--set {shlex.quote(one)}" for one in given]
        device = asked.device or (self.device.type if asked.machine else None)
        parts += [f"--device {device}"] if device else []
        parts += [f"--seeds {asked.seeds}"] if asked.seeds else []
        parts += [f"--first-seed {asked.first_seed}"] if asked.first_seed else []
        parts += [f"--look {asked.look}"] if asked.look else []
        parts += [f"--add-seeds {asked.add_seeds}"] if asked.add_seeds else []
        parts += [f"--trials {asked.trials}"] if asked.trials else []
        return " ".join(parts)

    @property
    def results_folder(self) -> Path:
        """`results/ablate/<study>` for the study as `params.yaml` has it, which is what DVC tracks.

        Anything else has a folder of its own beside it, so that it never stands where the tracked results should.
        """
        request = self.request
        asked = [
            dict(self.overrides), self.config.profile, request.seeds, request.first_seed or 0, request.trials,
            request.device, str(request.store), request.add_seeds,
        ]  # fmt: skip
        if request.look not in (None, self.config.ablate.look):
            asked.append({"look": request.look})
        if request.machine is not None:
            asked.append({"machine": request.machine})
        if asked == [{}, load_config().profile, None, 0, None, None, str(STORE), None]:
            return STUDY_RESULTS / self.study.name
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:6]
        return CUSTOM_RESULTS / f"{self.study.name}-{digest}"


def open_session(request: Request) -> Session:
    """Read the study and the parameters, choose the device and obtain the data.

    Raises:
        InputError: for anything in the request that cannot be, or data that cannot be had.
    """
    study = load_study(request.study)
    if request.trials and not study.search:
        raise InputError(f"--trials is for a search, but study {study.name!r} has mode {study.mode}; use --seeds.")
    _check_overrides(study, request.overrides)
    if study.published_protocol is not None:
        read_published_methods().protocol(study.published_protocol)
    config = load_config(profile=request.profile, settings=request.overrides)
    if "data.root" in request.overrides and config.prepare.dataset == "digits":
        raise InputError("--set data.root has no effect on digits, which scikit-learn brings; set prepare.dataset too.")
    _check_seeds(study, config, request)
    _check_search(study, config)
    _check_path(study, config)
    device, machinery = _choose_machine(request, config)
    dataset, folder = obtain_dataset(config, store=request.store)
    _check_search(study, config, dataset)
    store = Store(request.store, takes_elsewhere=request.machine is not None)
    return Session(
        request=request, study=study, config=config, dataset=dataset, data_folder=folder, store=store,
        device=device, machinery=machinery,
    )  # fmt: skip


def _choose_machine(request: Request, config: Config) -> tuple[torch.device, Machinery | None]:
    """Return the device that runs are executed on, and their machinery where that is other hosts' than this one's."""
    name = request.device or config.ablate.device
    if request.machine is not None:
        machine = recorded_machine(Store(request.store), request.machine)
        return machine.device, machine.machinery
    if request.executor is None:
        return choose_device(name), None
    if request.executor in QUEUES:
        hosts = ask_queue(request.executor, config.ablate.slurm, store=Store(request.store))
    else:
        hosts = ask_workers(request.executor)
    machine = workers_machine(hosts, name)
    return machine.device, machine.machinery


def _check_overrides(study: Study, overrides: Mapping[str, Any]) -> None:
    """Refuse a setting that the study decides: its own value lies over the request's, which would change nothing."""
    for key in overrides:
        if key.startswith("project."):
            raise InputError(f"--set {key} has no effect on a study; the stage project takes it from params.yaml.")
        if key.startswith("source_paper."):
            raise InputError(f"--set {key} has no effect on a study; give it to python -m study.source_paper.")
        if key == "ablate.seeds" and study.seeds:
            raise InputError(f"--set {key} has no effect: study {study.name!r} has its own seeds; use --seeds.")
        if key == "pretrain.seed":
            raise InputError("--set pretrain.seed has no effect on a study; choose seeds with --seeds and --first-seed.")
        if role := next((role for own, role in study.roles.items() if is_same_setting(key, own)), None):
            raise InputError(f"--set {key} has no effect: study {study.name!r} {role} it; edit the study's file.")


def _check_seeds(study: Study, config: Config, request: Request) -> None:
    """Refuse a look there is not, seeds added where looks are declared, and what of `ablate` has no effect on the study."""
    for key in ("ablate.look", "ablate.budget"):
        if request.seeds and key in request.overrides:
            raise InputError(f"--set {key} has no effect beside --seeds, which replaces the study's seeds; leave it out.")
    if request.seeds:
        return
    seeds = seeds_of(study, config)
    look_of(study, config, request.look)
    if request.add_seeds and seeds.declared:
        how = "stops arms when they are decided" if seeds.until_decided else "declares its looks"
        remedy = "run it without --add-seeds" if seeds.until_decided else f"use --look 1 to {len(seeds.looks)}"
        raise InputError(f"--add-seeds is for a fixed number of seeds, but study {study.name!r} {how}; {remedy}.")
    if "ablate.look" in request.overrides and (not seeds.declared or seeds.until_decided):
        raise InputError(f"--set ablate.look has no effect: study {study.name!r} has no looks to choose from; leave it out.")
    if "ablate.budget" in request.overrides and (not seeds.until_decided or (study.seeds and study.seeds.budget)):
        why = "has its own budget" if seeds.until_decided else "runs a fixed number of seeds"
        raise InputError(f"--set ablate.budget has no effect: study {study.name!r} {why}; leave it out.")


def _check_search(study: Study, config: Config, dataset: Dataset | None = None) -> None:
    """Refuse, before the first trial, a range of a search whose ends are no values that a run can have, on these data."""
    if study.search is None:
        return
    for values in study.search.corners():
        try:
            corner = fixed_config(study, config).with_settings(values)
        except InputError as error:
            raise InputError(f"search.parameters of study {study.name!r}: {error}") from None
        if dataset is not None:
            _check_fit(f"search.parameters of study {study.name!r}", corner, dataset)


def _check_path(study: Study, config: Config) -> None:
    """Refuse a path whose runs are trained on the images that its steps are chosen by."""
    for arm in study.arms if study.path is not None else ():
        if fixed_config(study, config).with_settings(arm.settings).pretrain.trains_on_all:
            raise InputError(
                f"pretrain.train_on must be train in study {study.name!r}, whose path is chosen on validation, but arm "
                f"{arm.name!r} has all; set it so."
            )


def _check_fit(where: str, config: Config, dataset: Dataset) -> None:
    """Refuse settings that no run on these data can have; `where` begins the sentence."""
    try:
        check_fit(config.pretrain, dataset)
        fitting_weights(config.pretrain, dataset)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
