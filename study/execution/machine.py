"""What runs depend on below their code, as the hosts have it that execute them, or had it that did."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from study.runs.identity import Machinery, machinery
from study.runs.store import Store
from vicreg.errors import InputError
from vicreg.training.settings import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class WorkersMachine:
    """A device that runs are executed on, and the machinery below a run of each precision there."""

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


def recorded_machine(store: Store, name: str) -> WorkersMachine:
    """Return the machine of that name whose runs the store has, whatever this one is.

    Args:
        store: of the runs.
        name: any part of what its runs record of it, such as `H200` of `cuda (NVIDIA H200), torch 2.11.0`.

    Raises:
        InputError: where no run or several machines' runs have that name, or where bfloat16 had several kinds of kernels.
    """
    recorded: dict[str, dict[str, Mapping[str, str]]] = {}  # name -> precision -> the machinery
    for _, identity in store.identities():
        below, precision = identity.machinery, identity.settings.get("precision")
        if precision not in PRECISIONS or "device" not in below:  # damaged, or of another version
            continue
        if recorded.setdefault(_name_of(below), {}).setdefault(precision, below) != below:
            raise InputError(
                f"the runs on {_name_of(below)} must have one kind of bfloat16 kernels, but have several; keep them in "
                "stores of their own."
            )
    named = [full for full in recorded if name.casefold() in full.casefold()]
    named = [full for full in named if name.casefold() == full.casefold()] or named
    if not named:
        known = "; ".join(sorted(recorded)) or "no runs"
        raise InputError(
            f"--machine must name the machine of runs in {store.root}, but none ran on {name!r}; the store has {known}."
        )
    if len(named) > 1:
        raise InputError(
            f"--machine must name one machine, but {name!r} is part of {len(named)} names; give more of one of these: "
            f"{'; '.join(sorted(named))}."
        )
    found = recorded[named[0]]
    first = next(iter(found.values()))
    kind = first["device"].split(" ")[0]
    return WorkersMachine(device=torch.device(kind), machinery={one: found.get(one, first) for one in PRECISIONS})


def _name_of(machinery: Mapping[str, str]) -> str:
    """Return the device and the versions as one line, without what bfloat16 alone depends on: a machine has one name."""
    versions = [f"{key} {value}" for key, value in sorted(machinery.items()) if key not in ("device", "bfloat16")]
    return ", ".join([machinery["device"], *versions])
