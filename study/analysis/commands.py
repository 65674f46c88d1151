"""The commands with which a person runs an arm or run again."""

import dataclasses
import json
import shlex
from collections.abc import Sequence

from study.results.findings import Looks, Power
from study.spec.plan import CHOSEN_BY, HELD_OUT, Cell, Plan


def command_of(command: str, plan: Plan, cells: Sequence[Cell], *, alone: bool = False) -> str:
    """Return what runs an arm again, or one of its cells alone.

    An arm that the design made is not in the study's file, so its settings are spelled out.

    Args:
        command: the study's.
        plan: of the study.
        cells: of the arm, or one of them.
        alone: the cell's seed alone is run.
    """
    first = cells[0]
    own_seed = alone or first.role in CHOSEN_BY
    start = f"{_without_set_seeds(without_seeds(command))} --first-seed {first.seed} --seeds 1" if own_seed else command
    if first.is_control or first.arm in [arm.name for arm in plan.study.arms]:
        return f"{start} --arm {shlex.quote(first.arm)} --again"
    held_out = plan.config.with_settings(first.settings).pretrain.trains_on_all and first.role in CHOSEN_BY
    spelled_out = {**first.settings, **(HELD_OUT if held_out else {})}
    settings = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in spelled_out.items())
    return f"{_without(start, '--trials')} --arm {shlex.quote(settings)} --again"


def without_seeds(command: str) -> str:
    """Return the command without a number of seeds of its own, for `--add-seeds` to be appended."""
    return _without(command, "--seeds", "--add-seeds", "--first-seed", "--look")


def with_looks(power: Power | None, looks: Looks | None, *, command: str) -> Power | None:
    """Return what a study could have seen with the command for the next declared look in place of added seeds.

    Args:
        power: with the command that adds seeds.
        looks: of the results; where none are declared, seeds are added.
        command: the study's, without a number of seeds.
    """
    if power is None or looks is None or not looks.declared:
        return power
    if power.needed is not None and power.needed <= power.n:  # there are seeds enough
        return power
    return dataclasses.replace(power, command=next_look(command, looks, needed=power.needed))


def next_look(command: str, looks: Looks, *, needed: int | None = None) -> str | None:
    """Return the command for the first later look with as many seeds as needed, or else for the last; None after it.

    Where decided arms stop, the study goes through its looks by itself: then nothing is left to ask for.
    """
    later = range(looks.look + 1, len(looks.planned) + 1)
    if not later or looks.until_decided:
        return None
    enough = [number for number in later if needed is not None and looks.planned[number - 1] >= needed]
    return f"{command} --look {(enough or [later[-1]])[0] if needed is not None else later[0]}"


def _without_set_seeds(command: str) -> str:
    """Return the command without settings that say how many seeds there are: `--seeds` stands in their place."""
    parts = shlex.split(command)
    starts = tuple(f"ablate.{name}=" for name in ("seeds", "look", "budget"))
    left_out = {
        place + after
        for place, (option, value) in enumerate(zip(parts, parts[1:], strict=False))
        if option == "--set" and value.startswith(starts)
        for after in (0, 1)
    }
    return shlex.join([part for place, part in enumerate(parts) if place not in left_out])


def _without(command: str, *options: str) -> str:
    """Return the command without some options and the value that follows each."""
    parts = shlex.split(command)
    left_out = {place + after for place, part in enumerate(parts) if part in options for after in (0, 1)}
    return shlex.join([part for place, part in enumerate(parts) if place not in left_out])
