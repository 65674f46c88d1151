"""A study x seeds -> the cells to run: every arm, and for every architecture its untrained control."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from study.config import Config
from study.runs import Run, make_run
from study.spec import Arm, Study
from vicreg.errors import InputError
from vicreg.views import ViewSettings


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One arm at one seed."""

    arm: str
    label: str
    settings: Mapping[str, Any]
    published: Mapping[str, Any] | None
    is_control: bool
    control: str | None  # the name of the control arm this one is compared with
    run: Run

    @property
    def seed(self) -> int:
        return self.run.config.pretrain.seed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study asks for under one config. Cells stand in the order they are run: controls, then arms, by seed."""

    study: Study
    config: Config
    cells: tuple[Cell, ...]

    def by_arm(self) -> dict[str, list[Cell]]:
        """Arm -> its cells: the study's arms in its own order, then those a search proposed, then the controls."""
        order = {arm.name: index for index, arm in enumerate(self.study.arms)}
        grouped: dict[str, list[Cell]] = {}
        for cell in sorted(self.cells, key=lambda cell: (cell.is_control, order.get(cell.arm, len(order)))):
            grouped.setdefault(cell.arm, []).append(cell)
        return grouped

    def only(self, arms: Sequence[str]) -> "Plan":
        """The plan of some of its arms alone.

        Raises:
            InputError: for an arm the study does not have.
        """
        names = list(self.by_arm())
        for name in arms:
            if name not in names:
                raise InputError(f"study {self.study.name!r} has no arm {name!r}; it has {', '.join(names)}.")
        return replace(self, cells=tuple(cell for cell in self.cells if cell.arm in arms))


def make_plan(
    study: Study,
    config: Config,
    *,
    data: str,
    device: torch.device,
    seeds: Sequence[int] | None = None,
    arms: Sequence[Arm] | None = None,
) -> Plan:
    """Crosses the study's arms (or `arms`, a search's) with seeds.

    Args:
        study: its settings lie over the config's, and each arm's over these.
        config: the profile's.
        data: digest of the data.
        device: where the runs are to run.
        seeds: in place of the study's, or else the config's.

    Raises:
        InputError: for settings no run can have; the sentence names the arm.
    """
    config = config.with_settings(study.settings)
    # Verdicts and alignment compare two views: the baseline's for every arm, or arms would differ by what they are asked.
    views = config.with_settings(next(arm for arm in study.arms if arm.name == study.baseline).settings).pretrain.views
    seeds = tuple(seeds or study.seeds or config.ablate.seeds)
    cells: list[Cell] = []
    controls: dict[str, str] = {}  # architecture -> name of its control
    architectures: dict[str, Config] = {}
    for arm in arms or study.arms:
        try:
            own = config.with_settings(arm.settings)
            untrained = own.with_settings({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})
        except InputError as error:
            raise InputError(f"arm {arm.name!r} of study {study.name!r}: {error}") from None
        key = _architecture(untrained)
        architectures.setdefault(key, untrained)
        controls.setdefault(key, _control_name(untrained, config))
        for seed in seeds:
            run = _run(own, seed, data, device, views)
            cells.append(Cell(
                arm=arm.name, label=arm.label, settings=arm.settings, published=arm.published,
                is_control=False, control=controls[key], run=run,
            ))  # fmt: skip
    baseline_first = sorted(cells, key=lambda cell: (seeds.index(cell.seed), cell.arm != study.baseline))
    return Plan(
        study=study,
        config=config,
        cells=(*_control_cells(architectures, controls, seeds, data, device, views), *baseline_first),
    )


def _control_cells(
    architectures: Mapping[str, Config],
    controls: Mapping[str, str],
    seeds: Sequence[int],
    data: str,
    device: torch.device,
    views: tuple[ViewSettings, ViewSettings],
) -> list[Cell]:
    return [
        Cell(
            arm=controls[key], label=controls[key].replace("-", " "), settings={"pretrain.epochs": 0}, published=None,
            is_control=True, control=None, run=_run(untrained, seed, data, device, views),
        )
        for key, untrained in architectures.items()
        for seed in seeds
    ]  # fmt: skip


def _run(
    config: Config, seed: int, data: str, device: torch.device, views: tuple[ViewSettings, ViewSettings]
) -> Run:
    seeded = config.with_settings({"pretrain.seed": seed})
    return make_run(seeded, data=data, device=device, probes=config.ablate.probes, views=views)


def _architecture(untrained: Config) -> str:
    settings = untrained.values["pretrain"]
    names = ("backbone", "stem", "width", "zero_init_residual", "expander", "expander_batchnorm", "image_size", "precision")
    return json.dumps([settings[name] for name in names])


def _control_name(untrained: Config, baseline: Config) -> str:
    """`untrained`, or with what sets this architecture apart from the baseline's."""
    own, usual = untrained.values["pretrain"], baseline.values["pretrain"]
    parts = [
        str(own[name]).replace(" ", "").strip("[]").replace(",", "x") or "none"
        for name in ("backbone", "stem", "width", "expander", "image_size", "precision")
        if own[name] != usual[name]
    ]
    if own["zero_init_residual"] != usual["zero_init_residual"]:
        parts.append("zero-init" if own["zero_init_residual"] else "no-zero-init")
    if own["expander_batchnorm"] != usual["expander_batchnorm"]:
        parts.append("batchnorm" if own["expander_batchnorm"] else "no-batchnorm")
    return "-".join(["untrained", *parts])
