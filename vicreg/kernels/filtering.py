"""Multiply maps by a matrix along both axes, in one pass over memory."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from vicreg.kernels.compiled import compiled


class Terms(NamedTuple):
    """The entries of a matrix that are not 0, row by row; rows with fewer are filled with weights of 0."""

    columns: np.ndarray  # (rows, terms), unsigned
    weights: np.ndarray  # (rows, terms); `terms` is even


class Layout(NamedTuple):
    """Where maps (N, h, w, C) lie in a flat tensor, in numbers: place (n, i, j) is image * n + rows[i] + columns[j].

    Columns come in runs of `run`, which follow each other without a gap.
    """

    image: int
    rows: np.ndarray  # (h,), unsigned
    columns: np.ndarray  # (w,), unsigned
    run: int


def terms_of(matrix: Tensor) -> Terms:
    """Return the entries of a matrix (rows, columns) on the CPU, of which no row is empty."""
    entries = matrix.numpy()
    most = max(int(np.count_nonzero(row)) for row in entries)
    terms = most + most % 2
    columns = np.zeros((len(entries), terms), dtype=np.uint64)
    weights = np.zeros((len(entries), terms), dtype=entries.dtype)
    for row, own in enumerate(entries):
        found = np.flatnonzero(own)
        columns[row] = found[0]  # where the weight is 0, one that is read anyway
        columns[row, : len(found)], weights[row, : len(found)] = found, own[found]
    return Terms(columns, weights)


def multiply_along(
    rows: Terms, columns: Terms, maps: Tensor, at: Layout, *, out: Tensor, to: Layout, count: int, channels: int
) -> None:
    """Multiply maps by matrices (p, h) and (q, w) along their axes.

    Args:
        rows, columns: `terms_of` the matrices.
        maps: contiguous, of `count` maps (h, w, channels), which lie `at` these places.
        out: contiguous, for as many maps (p, q, channels), which lie at `to`.
    """
    _multiply(
        np.uint64(count), maps.view(-1).numpy(), np.uint64(at.image), at.rows, at.columns[columns.columns], columns.weights,
        out.view(-1).numpy(), np.uint64(to.image), to.rows, to.columns[:: to.run], np.uint64(to.run * channels),
        rows.columns, rows.weights, np.uint64(channels),
    )  # fmt: skip


@compiled
def _multiply(  # type: ignore[no-untyped-def]
    count, maps, image_step, starts, columns, column_weights, out, out_step, places, runs, run, rows, row_weights, channels
):  # fmt: skip
    """Write `count` maps: along the columns into a buffer, and from there along the rows, a run at a time."""
    across = np.uint64(len(columns)) * channels
    half = np.empty(np.uint64(len(starts)) * across, dtype=maps.dtype)
    one = np.uint64(1)
    for image in range(count):
        for row in range(np.uint64(len(starts))):
            start = image * image_step + starts[row]
            for column in range(np.uint64(len(columns))):
                _combine(
                    maps, start, one, columns[column], column_weights[column], half, row * across + column * channels,
                    channels,
                )  # fmt: skip
        for row in range(np.uint64(len(rows))):
            place = image * out_step + places[row]
            for number in range(np.uint64(len(runs))):
                _combine(half, number * run, across, rows[row], row_weights[row], out, place + runs[number], run)


@compiled
def _combine(source, start, step, columns, weights, out, place, count):  # type: ignore[no-untyped-def]
    """Write the weighted sum of rows of `count` numbers, of which row i begins at start + i * step, from `place` on."""
    a, b, u, v = start + columns[0] * step, start + columns[1] * step, weights[0], weights[1]
    if len(columns) == 2:
        for c in range(count):
            out[place + c] = u * source[a + c] + v * source[b + c]
        return
    d, e, w, x = start + columns[2] * step, start + columns[3] * step, weights[2], weights[3]
    if len(columns) == 4:
        for c in range(count):
            out[place + c] = u * source[a + c] + v * source[b + c] + w * source[d + c] + x * source[e + c]
        return
    f, g, y, z = start + columns[4] * step, start + columns[5] * step, weights[4], weights[5]
    for c in range(count):
        out[place + c] = (u * source[a + c] + v * source[b + c] + w * source[d + c] + x * source[e + c]) + (
            y * source[f + c] + z * source[g + c]
        )
    for term in range(6, len(columns), 2):
        a, b, u, v = start + columns[term] * step, start + columns[term + 1] * step, weights[term], weights[term + 1]
        for c in range(count):
            out[place + c] += u * source[a + c] + v * source[b + c]
