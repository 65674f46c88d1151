"""Make random generators from a seed, a purpose and an epoch.

Every stream of random numbers has the name of its purpose, and a new generator in each epoch. So a resumed run needs no
saved generator: it asks for the same stream of the same epoch.
"""

import hashlib

import torch


def make_generator(seed: int, stream: str, epoch: int = 0, *, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator whose state depends only on (seed, stream, epoch).

    They are hashed by SHA-256, of which 63 bits are kept, so that neighbouring seeds and epochs give unrelated streams.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{epoch}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
