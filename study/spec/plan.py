"""Crosses a study's arms, and a control for each architecture, with seeds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch

from study.config.config import UNTRAINED, Config
from study.runs.identity import Machinery
from study.runs.run import Run, make_run
from study.spec.arm_checks import check_runs
from study.spec.looks import Look, first_seeds
from study.spec.study_file import Arm, Study
from vicreg.errors import InputError
from vicreg.training.settings import NETWORK_FIELDS, NETWORK_SWITCHES, own_network_settings

# What runs of which something is chosen have over their arm's settings: validation, where it is chosen, is not trained on.
HELD_OUT: Mapping[str, Any] = {"pretrain.train_on": "train"}

# What a cell is for: one of the study's arms, or what a search confirms; a step of a path; a trial of a search; a value of
# nuisance parameters tried for an arm; an untrained control. Arms are shown in this order.
Role = Literal["arm", "step", "trial", "tuning", "control"]
ROLES: tuple[Role, ...] = get_args(Role)
CHOSEN_BY: tuple[Role, ...] = ("trial", "tuning")  # what is only run for something to be chosen by it


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One arm at one seed.

    `settings` are all in which its run differs from the config and from what the study fixes. Those of them that tuning
    chose are in `tuned` as well, and not in the label.
    """

    arm: str
    label: str
    settings: Mapping[str, Any]
    published: Mapping[str, Any] | None
    role: Role
    control: str | None  # the name of the control arm this one is compared with
    run: Run
    reason: str | None = None
    tunes: str | None = None  # the arm that a cell of role `tuning` tries nuisance values for
    tuned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of its run."""
        return self.run.config.pretrain.seed

    @property
    def is_control(self) -> bool:
        """Whether it is an untrained network."""
        return self.role == "control"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Runs that are no cells yet, since the results of others decide what they are."""

    name: str  # an arm, or `path`, `trials`
    runs: int  # at most
    after: str  # what they wait for: `its tuning`
    like: Config  # a run that takes about as long


@dataclass(frozen=True, kw_only=True)
class Step:
    """One round of a path: which difference was made, and how it and the others did on validation.

    `alternatives` maps the arm of each difference that was tried to its mean accuracy over seeds, or to None where a run
    came to none; `arm` is the one that was kept.
    """

    key: str
    old: Any
    new: Any
    arm: str
    alternatives: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study asks for under one config. Cells stand in the order they are run: controls, then arms, by seed.

    `path` is what was walked (`mode: path`), `front` the arms of the trials that no other trial of the search betters in
    every objective, `notes` what a design did otherwise than its file says, and `pending` what it cannot name yet. `look` is
    which of several looks this is; None for the only one.
    """

    study: Study
    config: Config
    cells: tuple[Cell, ...]
    path: tuple[Step, ...] = ()
    front: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pending: tuple[Pending, ...] = ()
    look: Look | None = None

    def by_arm(self) -> dict[str, list[Cell]]:
        """Return arm -> its cells: the study's arms in its order, then those its design made, then the controls."""
        order = {arm.name: index for index, arm in enumerate(self.study.arms)}
        grouped: dict[str, list[Cell]] = {}
        for cell in sorted(self.cells, key=lambda cell: (ROLES.index(cell.role), order.get(cell.arm, len(order)))):
            grouped.setdefault(cell.arm, []).append(cell)
        return grouped

    def only(self, arms: Sequence[str]) -> "Plan":
        """Return the plan of some of its arms alone; of an arm whose tuning has not ended, the tuning runs.

        Raises:
            InputError: for an arm the study does not have.
        """
        names = [*self.by_arm(), *(one.name for one in self.pending)]
        for name in arms:
            if name not in names:
                raise InputError(f"study {self.study.name!r} has no arm {name!r}; it has {', '.join(names)}.")
        pending = tuple(one for one in self.pending if one.name in arms)
        asked = {*arms, *(f"tunes {one.name}" for one in pending)}
        cells = tuple(cell for cell in self.cells if {cell.arm, f"tunes {cell.tunes}"} & asked)
        return replace(self, cells=cells, pending=pending)

    def with_cells(self, cells: Iterable[Cell]) -> "Plan":
        """Return the plan with more cells behind its own, each arm at each seed once."""
        every: dict[tuple[str, int], Cell] = {}
        for cell in (*self.cells, *cells):
            every.setdefault((cell.arm, cell.seed), cell)
        return replace(self, cells=tuple(every.values()))


def make_plan(
    study: Study,
    config: Config,
    *,
    data: str,
    device: torch.device,
    seeds: Sequence[int] | None = None,
    arms: Sequence[Arm] | None = None,
    role: Role = "arm",
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
    below: Machinery | None = None,
) -> Plan:
    """Cross the study's arms with seeds.

    Args:
        study: what it fixes lies over the config, and each arm's settings over these.
        config: the profile's.
        data: digest of the data.
        device: where the runs are to run.
        seeds: in place of those up to the look that the config names, of the study's looks or else of the config's.
        arms: in place of the study's, where its design made them.
        role: what the cells are for. Trials and tuning run at seeds of their own, where no control is, and hold validation
            out of training whatever the config says.
        tuned: arm -> what was chosen of the nuisance parameters, which lies over its settings.
        below: the machinery of the hosts that run them; None for this one's.

    Raises:
        InputError: for settings no run can have, in a sentence that names the arm, and for too many runs.
    """
    config = fixed_config(study, config)
    # Diagnosis and alignment compare two views: the baseline's for every arm, or arms would differ by what they are asked.
    views = config.with_settings(next(arm for arm in study.arms if arm.name == study.baseline).settings).pretrain.views
    seeds = tuple(seeds) if seeds else first_seeds(study, config)
    check_runs(f"study {study.name!r}", len(seeds) * len(study.arms if arms is None else arms))
    controlled = role not in CHOSEN_BY

    def run_at(own: Config, seed: int) -> Run:
        seeded = own.with_settings({"pretrain.seed": seed, **({} if controlled else HELD_OUT)})
        return make_run(seeded, data=data, device=device, probes=own.ablate.probes, views=views, below=below)

    cells: list[Cell] = []
    controls: dict[str, tuple[str, Config]] = {}  # architecture -> name and config of its control
    for arm in study.arms if arms is None else arms:
        chosen = (tuned or {}).get(arm.name, {})
        settings = {**arm.settings, **chosen}
        own, untrained = _arm_configs(study, config, arm.name, settings)
        control, _ = controls.setdefault(_architecture(untrained), (_control_name(untrained, config), untrained))
        cells += [
            Cell(
                arm=arm.name, label=arm.label, settings=settings, published=arm.published, role=role,
                control=control if controlled else None, run=run_at(own, seed), reason=arm.reason, tuned=chosen,
            )
            for seed in seeds
        ]  # fmt: skip
    baseline_first = sorted(cells, key=lambda cell: (seeds.index(cell.seed), cell.arm != study.baseline))
    beside = [
        Cell(
            arm=name, label=name.replace("-", " "), settings={"pretrain.epochs": 0}, published=None, role="control",
            control=None, run=run_at(untrained, seed),
        )
        for name, untrained in controls.values()
        for seed in seeds
    ] if controlled else []  # fmt: skip
    return Plan(study=study, config=config, cells=(*beside, *baseline_first))


def fixed_config(study: Study, config: Config) -> Config:
    """Return the config with what the study fixes.

    Raises:
        InputError: for a value no run can have.
    """
    try:
        return config.with_settings(study.settings)
    except InputError as error:
        raise InputError(f"what study {study.name!r} fixes: {error}") from None


def _arm_configs(study: Study, config: Config, arm: str, settings: Mapping[str, Any]) -> tuple[Config, Config]:
    """Return the config of an arm and that of its untrained control; the sentence on an impossible one names the arm."""
    try:
        own = config.with_settings(settings)
        return own, own.with_settings(UNTRAINED)
    except InputError as error:
        raise InputError(f"arm {arm!r} of study {study.name!r}: {error}") from None


def _architecture(untrained: Config) -> str:
    settings = untrained.values["pretrain"]
    names = ("method", *NETWORK_FIELDS)
    return json.dumps([*(settings[name] for name in names), own_network_settings(untrained.pretrain.method_settings)])


def _named(name: str, value: Any) -> str:
    """Return a value as part of a name, with its key where other keys have such values: `width8`, but `resnet34`, `8x8`."""
    said = str(value).replace(" ", "").strip("[]").replace(",", "x") or "none"
    return f"{name}{said}" if isinstance(value, (int, float)) or name == "normalisation" else said


def _control_name(untrained: Config, baseline: Config) -> str:
    """Return `untrained`, followed by what sets this architecture apart from the baseline's."""
    own, usual = untrained.values["pretrain"], baseline.values["pretrain"]
    differing = [name for name in ("method", *NETWORK_FIELDS) if own[name] != usual[name]]
    parts = [_named(name, own[name]) for name in differing if name not in NETWORK_SWITCHES]
    parts += [f"{'' if own[name] else 'no-'}{called}" for name, called in NETWORK_SWITCHES.items() if name in differing]
    of_method, usually = own[own["method"]], usual[own["method"]]
    keys = [name.rstrip("_") for name in own_network_settings(untrained.pretrain.method_settings)]
    parts += [f"{key}{of_method[key]}" for key in keys if of_method[key] != usually[key]]
    return "-".join(["untrained", *parts])
