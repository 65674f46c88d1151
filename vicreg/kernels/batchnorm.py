"""BatchNorm with what follows it (a sum, ReLU), forward and backward, in two passes over memory each.

Maps are rows of channels. Sums over rows are of float32 within blocks of 32 rows, and of float64 over blocks. Where channels
are few, `fold` rows are taken for one of as many times the channels: loops are then long enough.
"""

import numpy as np

from vicreg.kernels.compiled import compiled
from vicreg.kernels.rows import narrow, widen

_BLOCK = 32  # rows that are summed in float32
_WIDE = 128  # numbers that make a loop long enough


def foldable(channels: int, rows: int) -> int:
    """Return how many rows are taken for one: a divisor of `rows`."""
    fold = 1
    while fold * channels < _WIDE and rows % (2 * fold) == 0:
        fold *= 2
    return fold


@compiled
def write_moments(x, begin, steps, rows, fold, means, inverses, running_mean, running_variance, momentum, epsilon):  # type: ignore[no-untyped-def]
    """Write the mean and 1 / std over the rows of a view, and update the running statistics, of the channels given.

    Sums are of differences from the first row, which lose nothing to a mean that is far from 0. Where the first row itself
    lies hundreds of standard deviations off, they lose a digit or two.

    Args:
        x: numbers, of which those of the view begin at `begin`.
        steps, fold: how often rows are taken, and how many at a time.
        rows: of the view.
        means, inverses, running_mean, running_variance: (C,), the channels' own.
        momentum, epsilon: BatchNorm's.
    """
    count = np.uint64(len(means))
    width = count * np.uint64(fold)
    row, shift = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    part, part_squares = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    widen(x, begin, row, count)
    for c in range(width):
        shift[c] = row[c % count]
    sums, squares = np.zeros(width, dtype=np.float64), np.zeros(width, dtype=np.float64)
    for block in range(np.uint64(0), steps, np.uint64(_BLOCK)):
        part[:] = 0
        part_squares[:] = 0
        for r in range(block, min(block + np.uint64(_BLOCK), steps)):
            widen(x, begin + r * width, row, width)
            for c in range(width):
                d = row[c] - shift[c]
                part[c] += d
                part_squares[c] += d * d
        for c in range(width):
            sums[c] += part[c]
            squares[c] += part_squares[c]
    for c in range(count):
        total, square = 0.0, 0.0
        for k in range(np.uint64(fold)):
            total += sums[k * count + c]
            square += squares[k * count + c]
        difference = total / rows
        variance = square / rows - difference * difference
        variance = 0.0 if variance < 0 else variance
        means[c], inverses[c] = shift[c] + difference, 1 / np.sqrt(variance + epsilon)
        running_mean[c] += momentum * (means[c] - running_mean[c])
        running_variance[c] += momentum * (variance * rows / max(1, rows - 1) - running_variance[c])


@compiled
def forward(  # type: ignore[no-untyped-def]
    x, residual, weight, bias, running_mean, running_variance, momentum, epsilon, views, rows, channels, fold, has_residual,
    has_relu, y, means, inverses
):  # fmt: skip
    """Write y = relu(weight * (x - mean) / std + bias + residual) of all views, one after the other.

    Args:
        x, residual, y: (views * rows * channels,), float32 or the bits of bfloat16.
        weight, bias: (channels,).
        running_mean, running_variance: (channels,), updated by each view in turn.
        momentum, epsilon: BatchNorm's.
        fold: rows taken for one.
        has_residual, has_relu: whether they are part of it.
        means, inverses: (views, channels), the mean and 1 / std of each view.
    """
    count, steps, width = np.uint64(channels), np.uint64(rows // fold), np.uint64(channels * fold)
    row, other = np.empty(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    a, b = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for view in range(views):
        begin = np.uint64(view * rows) * count
        write_moments(
            x, begin, steps, rows, fold, means[view], inverses[view], running_mean, running_variance, momentum, epsilon
        )  # fmt: skip
        for c in range(count):
            for k in range(np.uint64(fold)):
                a[k * count + c] = weight[c] * inverses[view, c]
                b[k * count + c] = bias[c] - means[view, c] * a[k * count + c]
        for r in range(steps):
            widen(x, begin + r * width, row, width)
            if has_residual:
                widen(residual, begin + r * width, other, width)
            if has_relu:
                for c in range(width):
                    value = row[c] * a[c] + b[c] + other[c]
                    row[c] = np.float32(0) if value < 0 else value
            else:
                for c in range(width):
                    row[c] = row[c] * a[c] + b[c] + other[c]
            narrow(row, y, begin + r * width, width)


@compiled
def backward(  # type: ignore[no-untyped-def]
    gradient, x, y, weight, means, inverses, views, rows, channels, fold, has_residual, has_relu, of_x, of_residual,
    of_weight, of_bias
):  # fmt: skip
    """Write the gradients from that of y.

    With g the gradient of what enters ReLU, m(.) the mean over a view's rows and x' the normalised input:

        dx = weight / std * (g - m(g) - x' m(g x')),    dweight = sum(g x'),    dbias = sum(g),    dresidual = g

    Arguments are those of `forward`; of_x and of_residual are as x, of_weight and of_bias (channels,) of 0.
    """
    count, steps, width = np.uint64(channels), np.uint64(rows // fold), np.uint64(channels * fold)
    row, inputs = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    outputs, centre = np.ones(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    part, part_products = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    a, b, k = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for view in range(views):
        begin = np.uint64(view * rows) * count
        for c in range(width):
            centre[c] = means[view, c % count]
        sums, products = np.zeros(width, dtype=np.float64), np.zeros(width, dtype=np.float64)
        for block in range(np.uint64(0), steps, np.uint64(_BLOCK)):
            part[:] = 0
            part_products[:] = 0
            for r in range(block, min(block + np.uint64(_BLOCK), steps)):
                place = begin + r * width
                widen(gradient, place, row, width)
                widen(x, place, inputs, width)
                if has_relu:
                    widen(y, place, outputs, width)
                    for c in range(width):
                        row[c] = np.float32(0) if outputs[c] <= 0 else row[c]
                if has_residual:
                    narrow(row, of_residual, place, width)
                for c in range(width):
                    part[c] += row[c]
                    part_products[c] += row[c] * (inputs[c] - centre[c])
            for c in range(width):
                sums[c] += part[c]
                products[c] += part_products[c]
        for c in range(count):
            total, product, inverse = 0.0, 0.0, inverses[view, c]
            for number in range(np.uint64(fold)):
                total += sums[number * count + c]
                product += products[number * count + c]
            product *= inverse
            of_bias[c] += total
            of_weight[c] += product
            scale = weight[c] * inverse
            slope = -scale * inverse * product / rows
            for number in range(np.uint64(fold)):
                a[number * count + c], b[number * count + c] = scale, slope
                k[number * count + c] = -scale * total / rows - slope * means[view, c]
        for r in range(steps):
            place = begin + r * width
            widen(x, place, inputs, width)
            if has_residual:
                widen(of_residual, place, row, width)
            else:
                widen(gradient, place, row, width)
            if has_relu and not has_residual:
                widen(y, place, outputs, width)
                for c in range(width):
                    g = np.float32(0) if outputs[c] <= 0 else row[c]
                    row[c] = a[c] * g + b[c] * inputs[c] + k[c]
            else:
                for c in range(width):
                    row[c] = a[c] * row[c] + b[c] * inputs[c] + k[c]
            narrow(row, of_x, place, width)
