"""The commands with which a person runs an arm or run again."""

import json
import shlex
from collections.abc import Sequence

from study.spec.plan import Cell, Plan


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
    own_seed = alone or first.role in ("trial", "tuning")
    start = f"{without_seeds(command)} --first-seed {first.seed} --seeds 1" if own_seed else command
    if first.is_control or first.arm in [arm.name for arm in plan.study.arms]:
        return f"{start} --arm {shlex.quote(first.arm)} --again"
    settings = ",".join(f"{key}={json.dumps(value)}" for key, value in first.settings.items())
    return f"{_without(start, '--trials')} --arm {shlex.quote(settings)} --again"


def without_seeds(command: str) -> str:
    """Return the command without a number of seeds of its own, for `--add-seeds` to be appended."""
    return _without(command, "--seeds", "--add-seeds", "--first-seed")


def _without(command: str, *options: str) -> str:
    """Return the command without some options and the value that follows each."""
    parts = shlex.split(command)
    left_out = {place + after for place, part in enumerate(parts) if part in options for after in (0, 1)}
    return shlex.join([part for place, part in enumerate(parts) if place not in left_out])
