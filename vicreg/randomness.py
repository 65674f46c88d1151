"""Explicit, counted sources of randomness.

Every stream of random numbers is named by what it is for and counted by epoch, and its generator is made anew from
(seed, stream, epoch). So a resumed run needs no saved generator: it asks for the same stream of the same epoch.
"""

import hashlib

import torch


def make_generator(seed: int, stream: str, epoch: int = 0, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose state depends on (seed, stream, epoch) alone.

    The three are hashed (SHA-256, 63 bits kept), so neighbouring seeds and epochs give unrelated streams.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{epoch}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
