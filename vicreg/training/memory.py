"""Where images live, and the host's allocator, told that what is freed will be asked for again in a moment."""

import ctypes
from contextlib import suppress
from typing import TypeVar

import torch
from torch import Tensor, nn

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h, M_TRIM_THRESHOLD and M_MMAP_THRESHOLD


def keep_freed_memory() -> None:
    """Lets glibc keep freed memory instead of giving it back to the system, for the rest of the process.

    A training step frees its activations and asks for as many in the next one. Given back, every page of them is zeroed
    by the kernel when it is touched again: 24,000 to 156,000 page faults a step were counted for a ResNet-18 of width 64,
    3 to 8 % of its time. Nothing but time depends on it; where the C library is another one, nothing is done.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_MMAP_THRESHOLD, 2**30)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def place(images: Tensor, device: torch.device) -> Tensor:
    """Images (N, C, H, W) where batches are best taken from: on the device, or in the host's pinned memory where they
    would fill more than half of what the device has free."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return images.pin_memory()
    return images.to(device)


Network = TypeVar("Network", bound=nn.Module)


def place_network(network: Network, device: torch.device) -> Network:
    """Move a network to a device, its convolutions' weights channels last, as images are."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
