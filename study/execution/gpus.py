"""The GPUs of this host that runs of one study can share: those like the first."""

import os
from collections.abc import Sequence

import torch


def device_environments(device: torch.device, *, each: int = 1) -> list[dict[str, str]]:
    """Return for each device of this host what a worker's environment holds that it may see it alone.

    Of GPUs those with the name of the first, which the runs' identity has: on another kind they would be other runs.

    Args:
        device: `cpu`, which is one, or `cuda`.
        each: GPUs that a worker sees, for runs that several train; all, where there are fewer.
    """
    if device.type != "cuda":
        return [{}]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return gpu_environments(names, os.environ.get("CUDA_VISIBLE_DEVICES"), each=each)


def gpu_environments(names: Sequence[str], visible: str | None, *, each: int = 1) -> list[dict[str, str]]:
    """Return the environment of a worker of every so many GPUs whose name is the first's.

    Args:
        names: of the GPUs, in torch's order.
        visible: CUDA_VISIBLE_DEVICES as it is set, which holds numbers or UUIDs in that order; None where it is not.
        each: GPUs of one worker. A rest that is too few stays idle; where all are too few, one worker has them.
    """
    labels = [one.strip() for one in visible.split(",")] if visible else [str(index) for index in range(len(names))]
    # CUDA takes no device behind the first label that it does not know, so there may be fewer names.
    alike = [label for name, label in zip(names, labels, strict=False) if name == names[0]]
    groups = max(1, len(alike) // each)
    return [{"CUDA_VISIBLE_DEVICES": ",".join(alike[each * one : each * (one + 1)])} for one in range(groups)]
