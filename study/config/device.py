"""Chooses the device that a command runs on."""

import torch

from vicreg.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is the first GPU where there is one, else the CPU.

    Raises:
        InputError: for `cuda` on a machine without one.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda needs a GPU that this build of torch can use, but there is none; set ablate.device to cpu, or "
            "give --device cpu."
        )
    return torch.device(name)
