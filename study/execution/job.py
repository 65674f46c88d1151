"""A run as JSON, for the process that executes it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from study.config.config import config_from_values
from study.runs.run import Run, make_run
from vicreg.views.settings import ViewSettings


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to be executed, and when it is pruned."""

    run: Run
    prune_after: int | None

    def to_json(self) -> str:
        """Return the job as one line of JSON, without what its receiver knows: data and device."""
        run = self.run
        return json.dumps({
            "values": dict(run.config.values),
            "probes": run.probes,
            "views": [dataclasses.asdict(view) for view in run.views],
            "prune_after": self.prune_after,
        })  # fmt: skip


def read_job(line: str, *, data: str, device: torch.device) -> Job:
    """Return the job of a line of JSON, on data of digest `data` and this device.

    Raises:
        InputError: if the weights that the run starts from cannot be had.
    """
    content = json.loads(line)
    first, second = (_view(fields) for fields in content["views"])
    run = make_run(
        config_from_values(content["values"]),
        data=data,
        device=device,
        probes=tuple(content["probes"]),
        views=(first, second),
    )
    return Job(run=run, prune_after=content["prune_after"])


def _view(fields: Mapping[str, Any]) -> ViewSettings:
    """Return a view's settings; JSON has lists for tuples."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return ViewSettings(**values)
