"""Ticks of logarithmic axes, of which every axis has some."""

import math

from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

LEAST = 3  # ticks within an axis
STEPS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0))  # within a decade, from few to many


def log_ticks(low: float, high: float) -> list[float]:
    """Return ticks between two positive ends: powers of ten where they are enough, else steps between them."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in STEPS:
        ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
        if len(within := [tick for tick in ticks if low <= tick <= high]) >= LEAST:
            return within[:: -(-len(within) // 7)]  # seven at most
    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def tick_log_axis(axis: Axis, low: float, high: float) -> None:
    """Tick a logarithmic axis from `low` to `high`, and write its numbers plainly."""
    axis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def plain_number(value: float) -> str:
    """Return a number of a tick: `1000`, `0.03`, and `2·10⁻⁵` where digits would run on."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}".replace("-", "−")
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    factor = f"{value / 10.0**exponent:.3g}".replace("-", "−")
    power = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{power}" if factor == "1" else f"{factor}·10{power}"
