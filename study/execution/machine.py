"""What runs depend on below their code, as the hosts have it that execute them."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from study.runs.identity import Machinery, machinery
from vicreg.errors import InputError
from vicreg.training.settings import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class WorkersMachine:
    """The device that workers run on, and the machinery below a run of each precision there."""

    device: torch.device
    machinery: Machinery


def describe_host() -> dict[str, Any]:
    """Return this host's name and, for `cpu` and for `cuda` where it has a GPU, the machinery of each precision."""
    kinds = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    below = {kind: {one: machinery(torch.device(kind), precision=one) for one in PRECISIONS} for kind in kinds}
    return {"host": socket.gethostname(), "machinery": below}


def workers_machine(reports: Sequence[Mapping[str, Any]], device: str) -> WorkersMachine:
    """Return what workers have in common.

    Args:
        reports: each worker's own, from `describe_host`; at least one.
        device: `auto`, which is a GPU where the first worker has one, `cpu` or `cuda`.

    Raises:
        InputError: where they disagree, so that a run would be another on each; the sentence says in what.
    """
    first = reports[0]
    kind = ("cuda" if "cuda" in first["machinery"] else "cpu") if device == "auto" else device
    for report in reports:
        if kind not in report["machinery"]:
            remedy = "leave such workers out, or give --device cpu"
            raise InputError(
                f"every worker must have a GPU that torch can use, but host {report['host']} has none; {remedy}."
            )
    wanted = first["machinery"][kind]
    for report in reports[1:]:
        for precision, own in report["machinery"][kind].items():
            for name in sorted({*own, *wanted[precision]}):
                one, other = wanted[precision].get(name), own.get(name)
                if one != other:
                    hosts = f"{one} on host {first['host']} and {other} on host {report['host']}"
                    raise InputError(f"workers must have one {name}, but it is {hosts}; use those that are alike.")
    return WorkersMachine(device=torch.device(kind), machinery=wanted)
