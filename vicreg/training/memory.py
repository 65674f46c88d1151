"""Where images and networks live, and how the host keeps freed memory."""

import ctypes
from contextlib import suppress
from typing import TypeVar

import torch
from torch import Tensor, nn

# glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8


def keep_freed_memory() -> None:
    """Make glibc keep freed memory instead of returning it to the system, for the rest of the process.

    A training step frees its activations and allocates as many in the next one. Each page that was returned is zeroed by
    the kernel when it is touched again. For a ResNet-18 of width 64 that was measured as 24,000 to 156,000 page faults a
    step, 3 to 8 % of its time. No result depends on it. With another C library nothing is done.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_MMAP_THRESHOLD, 2**30)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        library.mallopt(_MOST_ARENAS, 1)  # a new thread's own arena would not keep large blocks


def place(images: Tensor, device: torch.device) -> Tensor:
    """Return images (N, C, H, W) on the device, or in pinned host memory where they take over half of its free memory."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return images.pin_memory()
    return images.to(device)


def images_of(images: Tensor, on_host: Tensor, on_device: Tensor) -> Tensor:
    """Return the images (n, C, H, W) of indices (n,), on the device, from where `place` put the images.

    The indices are given on the host and on the device. No copy waits for the device: images in the host's memory are
    gathered into pinned memory.
    """
    device = on_device.device
    if images.device == device:
        return images.index_select(0, on_device)
    chosen = torch.empty((len(on_host), *images.shape[1:]), dtype=images.dtype, pin_memory=device.type == "cuda")
    return torch.index_select(images, 0, on_host, out=chosen).to(device, non_blocking=True)


Network = TypeVar("Network", bound=nn.Module)


def place_network(network: Network, device: torch.device) -> Network:
    """Move a network to a device, with the weights of convolutions channels last, as images are; return it."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
