"""Send many small tensors to a device in one copy."""

from collections.abc import Sequence

import torch
from torch import Tensor

_ALIGNMENT = 16  # bytes: where a number of any type may start


def send(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return tensors on `device`, which those in the host's memory reach in one copy.

    To a GPU it goes from pinned memory, so the host does not wait for it. Sent one by one from pageable memory, each
    tensor would wait until the device has done all that was asked of it before.
    """
    if not all(tensor.is_cpu for tensor in tensors) or device.type == "cpu":
        return [tensor.to(device) for tensor in tensors]
    places, end = [], 0
    for tensor in tensors:
        places.append(slice(end, end + tensor.nbytes))
        end += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    block = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for tensor, place in zip(tensors, places, strict=True):
        block[place].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    sent = block.to(device, non_blocking=True)
    return [sent[place].view(tensor.dtype).view(tensor.shape) for tensor, place in zip(tensors, places, strict=True)]
