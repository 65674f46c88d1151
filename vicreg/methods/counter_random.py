"""Random numbers that are a function of a counter.

A method that draws numbers in its steps keeps a counter as a buffer, and adds 1 to it after each step. The numbers are
then the same after a resumed run, on any device, and in a captured CUDA graph. No state of a generator has to be saved.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators),
applied twice: to (stream, counter), and to that beside the index of each number.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Counters start below this. It leaves as many again, 2^62, before a 64-bit counter wraps, which the hash allows too.
FIRST_COUNTERS = 2**62


def first_counter(generator: torch.Generator) -> int:
    """Return the counter of a run's first step, uniform in [0, 2^62), so that runs of two seeds share no numbers.

    Args:
        generator: on the CPU; one number is drawn from it.
    """
    return int(torch.randint(FIRST_COUNTERS, (), generator=generator))


def uniform(counter: Tensor, shape: Sequence[int], *, stream: int = 0) -> Tensor:
    """Return float32 numbers, uniform in (0, 1], of `shape`, on the counter's device.

    1 itself is drawn with probability 2^-24, by rounding, so `uniform(...) * count` must be clamped to be an index. 0 never
    is, so the logarithm is finite.

    Args:
        counter: a scalar tensor, int64.
        shape: of the result.
        stream: another one gives other numbers at the same counter.
    """
    key = splitmix64(counter + _signed((stream * _GOLDEN) % 2**64))
    index = torch.arange(1, math.prod(shape) + 1, device=counter.device)
    bits = _shifted(splitmix64(key + index * _signed(_GOLDEN)), 40)  # the upper 24 of 64 bits
    return ((bits.float() + 0.5) * 2.0**-24).reshape(tuple(shape))


def normal(counter: Tensor, shape: Sequence[int], *, stream: int = 0) -> Tensor:
    """Return float32 numbers of a standard normal distribution, by the method of Box and Muller 1958.

    Args are those of `uniform`.
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    pairs = uniform(counter, (2, half), stream=stream)
    radius, angle = torch.sqrt(-2.0 * torch.log(pairs[0])), (2.0 * math.pi) * pairs[1]
    return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)))[:count].reshape(tuple(shape))


def permutation(counter: Tensor, count: int, *, stream: int = 0) -> Tensor:
    """Return a random permutation of 0 to count - 1, int64 (count,). Args are those of `uniform`."""
    key = splitmix64(counter + _signed((stream * _GOLDEN) % 2**64))
    return torch.argsort(splitmix64(key + torch.arange(1, count + 1, device=counter.device) * _signed(_GOLDEN)))


_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio, odd


def splitmix64(x: Tensor) -> Tensor:
    """Return SplitMix64's finaliser of 64-bit integers."""
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Return 64-bit integers shifted to the right, filled with zeros; torch's own shift fills with the sign."""
    return (x >> bits) & (2 ** (64 - bits) - 1)


def _signed(value: int) -> int:
    """Return the 64-bit integer with the bits of an unsigned one."""
    return value - 2**64 if value >= 2**63 else value
