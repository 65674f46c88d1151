"""What clustering methods share: scores, one-hot assignments, and a queue of rows."""

import torch
from torch import Tensor

from vicreg.methods.batch_statistics import at_least_float32, full_precision


def similarities(u: Tensor, prototypes: Tensor) -> Tensor:
    """Return the scores u C^T, (n, K), of unit rows (n, d) and prototypes C (K, d), in float32 at least.

    Autocast is off: with a temperature of 0.1, bfloat16's rounding of 0.004 would change a probability by 4 %.
    """
    with full_precision(u):
        return at_least_float32(u) @ at_least_float32(prototypes).T


def one_hot(indices: Tensor, like: Tensor) -> Tensor:
    """Return a matrix of the shape and type of `like` (n, K) with a 1 in each row at `indices` (n,), else 0."""
    return torch.zeros_like(like).scatter_(1, indices[:, None], 1.0)


def used_count(assignments: Tensor) -> Tensor:
    """Return the effective number of clusters that one-hot assignments (n, K) use: exp of their entropy, from 1 to K."""
    return torch.special.entr(assignments.mean(dim=0)).sum().exp()


@torch.no_grad()
def push(queue: Tensor, pushed: Tensor, rows: Tensor, *, when: Tensor | None = None) -> None:
    """Write rows (n, d) over the oldest of a queue (L, d), in place; of more than L rows the last L.

    Args:
        queue: used as a ring; the order of its rows has no meaning.
        pushed: how many rows were written so far, a scalar tensor, int64; it is increased.
        rows: the new rows.
        when: a scalar tensor, bool: nothing is written where it is false. None: always.
    """
    rows = rows[-len(queue) :].to(queue.dtype)
    positions = (pushed + torch.arange(len(rows), device=queue.device)) % len(queue)
    if when is not None:
        rows = torch.where(when, rows, queue[positions])
    queue.index_copy_(0, positions, rows)
    pushed.add_(len(rows) if when is None else when * len(rows))
