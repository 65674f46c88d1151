"""The GPUs of this host that runs of one study can share: those like the first."""

import os
from collections.abc import Sequence

import torch


def device_environments(device: torch.device) -> list[dict[str, str]]:
    """Return for each device of this host what a worker's environment holds that it may see it alone.

    Of GPUs those with the name of the first, which the runs' identity has: on another kind they would be other runs.
    """
    if device.type != "cuda":
        return [{}]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return gpu_environments(names, os.environ.get("CUDA_VISIBLE_DEVICES"))


def gpu_environments(names: Sequence[str], visible: str | None) -> list[dict[str, str]]:
    """Return the environment of a worker of each GPU whose name is the first's.

    Args:
        names: of the GPUs, in torch's order.
        visible: CUDA_VISIBLE_DEVICES as it is set, which holds numbers or UUIDs in that order; None where it is not.
    """
    labels = [one.strip() for one in visible.split(",")] if visible else [str(index) for index in range(len(names))]
    return [
        {"CUDA_VISIBLE_DEVICES": label} for name, label in zip(names, labels, strict=False) if name == names[0]
    ]  # CUDA takes no device behind the first label that it does not know, so there may be fewer names
