"""Figures of a report that show runs: plain rows of `study.json` in, one SVG string out."""

import functools
import math

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from study.reporting.drawing import (
    GRID,
    INK,
    MUTED,
    PAPER,
    VERDICTS,
    WIDTH,
    drawn,
    finite,
    label_width,
    legend_of_verdicts,
    panel,
    shortened,
    tip,
    verdict_style,
)

DASHES = ["-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5))]
CLASS_COLOURS = [
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#999999",
    "#8c6d00",
    "#6a3d9a",
    "#b3b300",
]
MANY_POINTS = 400  # beyond this, a dot carries no text of its own: the page would be made of them
DENSE = 3000  # points of a scatter from which on it is a picture within the figure, not a shape each
MANY_ARMS = 14  # beyond this, line labels no longer fit beside a panel of this height
MANY_CLASSES = 20  # beyond this, neither do the names of classes
DECADES = 6  # of a logarithmic axis; a collapsed run's 1e-12 would flatten every other curve


@drawn
def dot_plot(rows, *, chance=None):
    """Accuracy of each arm: a dot a seed, a tick at the mean, the controls' means as dashed lines.

    `rows`: dicts with label, is_baseline, is_control, mean (or None) and, one a seed, seeds, values (shares) and verdicts.
    """
    labels = [shortened(row["label"]) for row in rows]
    height = 62 + 19 * len(rows)
    figure, axes = panel(height, label_width(labels) + 6, 14, bottom=54)
    everything = [100 * v for row in rows for v in finite([*row["values"], row["mean"]])]
    low, high = (min(everything), max(everything)) if everything else (0, 100)
    margin = max(0.06 * (high - low), 0.5)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for y, row in enumerate(rows):
        _dot_row(axes, y, row, tips=len(everything) < MANY_POINTS)
    if chance is not None and low - margin < 100 * chance < high + margin:
        axes.axvline(100 * chance, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate("chance", (100 * chance, 0), (2, 0), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=7.5, color=MUTED)  # fmt: skip
    axes.set_yticks(range(len(rows)), labels, fontsize=8.5)
    for tick, row in zip(axes.get_yticklabels(), rows):
        tick.set_color(INK)
        tick.set_fontweight("bold" if row["is_baseline"] else "normal")
        tick.set_fontstyle("italic" if row["is_control"] else "normal")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=high - low > 6))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test accuracy, %", fontsize=8.5)
    measured = [zip(row["verdicts"], row["values"]) for row in rows if not row["is_control"]]
    legend_of_verdicts(figure, [verdict for pairs in measured for verdict, value in pairs if finite([value])])
    return figure


def _dot_row(axes, y, row, *, tips):
    if row["is_baseline"]:
        axes.axhspan(y - 0.5, y + 0.5, color=GRID, alpha=0.45, linewidth=0)
    dots = [one for one in zip(row["seeds"], row["values"], row["verdicts"]) if finite([one[1]])]
    mean = finite([row["mean"]])
    if not dots:
        axes.text(0.01, y, "no finished run", transform=axes.get_yaxis_transform(), va="center", fontsize=7.5, color=MUTED)
    if mean and row["is_control"]:
        axes.axvline(100 * mean[0], color=MUTED, linewidth=0.9, linestyle="--", zorder=1.5)
    if mean:
        axes.plot([100 * mean[0]] * 2, [y - 0.42, y + 0.42], color=INK, linewidth=1.4, zorder=2.5, solid_capstyle="butt")
    for index, (seed, share, verdict) in enumerate(dots):  # spread a little, so that equal seeds show as two dots
        colour, marker, _ = (MUTED, "o", "") if row["is_control"] else verdict_style(verdict)
        offset, value = 0.44 * (index / (len(dots) - 1) - 0.5) if len(dots) > 1 else 0, 100 * share
        (dot,) = axes.plot(value, y + offset, marker, color=colour, markersize=5, markeredgecolor=PAPER,
                           markeredgewidth=0.6, alpha=0.9, zorder=3)  # fmt: skip
        if tips:
            tip(dot, f"{row['label']}, seed {seed}: {value:.2f} %, {'untrained' if row['is_control'] else verdict}")


def histories(arm):
    """The epoch records of an arm, a list a run: of its finished runs, or of the others where none has finished."""
    finished = [run["history"] for run in arm["runs"] if run["status"] == "finished" and run["history"]]
    return finished or [run["history"] for run in arm["runs"] if run["history"]]


def trace(arm, key):
    """Epochs and the (mean, lowest, highest) over an arm's runs of one quantity, `key` a path such as embeddings.rankme."""
    by_epoch = {}
    for history in histories(arm):
        for record in history:
            value = functools.reduce(lambda part, name: (part or {}).get(name), key.split("."), record)
            if finite([value]):
                by_epoch.setdefault(record["epoch"], []).append(value)
    epochs = sorted(by_epoch)
    return epochs, [(math.fsum(by_epoch[e]) / len(by_epoch[e]), min(by_epoch[e]), max(by_epoch[e])) for e in epochs]


def spectrum(arm, space):
    """Index and (mean, lowest, highest) over an arm's finished runs of the eigenvalues, each run's largest being 1."""
    spectra = [finite(run.get("collapse", {}).get(space, {}).get("spectrum") or []) for run in arm["runs"]]
    spectra = [[v / values[0] for v in values] for values in spectra if values and values[0] > 0]
    columns = list(zip(*spectra))
    return list(range(1, len(columns) + 1)), [(math.fsum(c) / len(c), min(c), max(c)) for c in columns]


@drawn
def curves(arms, lines, *, log=False, xlabel="epoch", reference=None, from_zero=False, log_x=False):
    """One quantity, a line an arm (mean over seeds, band from lowest to highest), each named at its right end.

    `lines`: for each arm (x, [(mean, low, high), ...]), as `trace` gives. `reference`: (label, value) of a dashed line.
    """
    shown = [(arm, x, y) for arm, (x, y) in zip(arms, lines) if x]
    labels = [shortened(arm["label"], 22) for arm, _, _ in shown]
    figure, axes = panel(250, 38, 22 + label_width([*labels, reference[0] if reference else ""]))
    values = [v for _, _, y in shown for point in y for v in point] + ([reference[1]] if reference else [])
    floor = _set_scale(axes, values, log=log, from_zero=from_zero)
    ends, used = [], {}
    for (arm, x, y), label in zip(shown, labels):
        name = (arm.get("verdict") or {}).get("name")
        colour = MUTED if arm["is_control"] else verdict_style(name)[0]
        nth = used[name] = used.get(name, -1) + (0 if arm["is_baseline"] else 1)
        dash = ":" if arm["is_control"] else "-" if arm["is_baseline"] else DASHES[nth % len(DASHES)]
        mean, low, high = ([max(v, floor) for v in column] for column in zip(*y))
        few = len(shown) <= MANY_ARMS
        axes.plot(x, mean, color=colour, linestyle=dash, linewidth=2.6 if arm["is_baseline"] else 1.3,
                  alpha=1 if few or arm["is_baseline"] else 0.45, zorder=3 if arm["is_baseline"] else 2,
                  marker="o" if len(x) == 1 else None, markersize=3)  # fmt: skip
        if few:
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        if few or arm["is_baseline"]:
            ends.append((x[-1], mean[-1], label, colour, arm["is_baseline"]))
    if reference:
        axes.axhline(reference[1], color=MUTED, linewidth=0.9, linestyle="--", zorder=1.5)
        ends.append((None, reference[1], reference[0], MUTED, False))
    _set_x(axes, [x for _, xs, _ in shown for x in xs], xlabel, log_x)
    _name_lines(figure, axes, ends)
    return figure


def _set_x(axes, xs, xlabel, log_x):
    axes.set_xlabel(xlabel, fontsize=8.5)
    if xs and max(xs) > min(xs):
        axes.set_xlim(min(xs), max(xs))
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="x", visible=False)


def _set_scale(axes, values, *, log, from_zero):
    """Set the y axis for `values`; return the lowest value that is drawn, -inf on a linear axis."""
    positive = [v for v in values if v > 0]
    if log and positive:
        floor, top = max(min(positive), max(positive) * 10**-DECADES), max(positive)
        axes.set_yscale("log")
        axes.set_ylim(floor / 1.3, top * 1.3)
        if top / floor < 30:  # within a decade or so, powers of ten alone would leave the axis without a number
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))
        return floor
    low, high = (min(values), max(values)) if values else (0, 1)
    low = min(low, 0) if from_zero else low
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1
    axes.set_ylim(low - margin, high + margin)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.6g}".replace("-", "−")))
    return -math.inf


def _power_of_ten(value, _position=None):
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 < exponent < 4:
        return f"{value:g}"
    digit = f"{value / 10**exponent:.0f}"
    power = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ("" if digit == "1" else f"{digit}·") + f"10{power}"


def _name_lines(figure, axes, ends):
    """Write each line's name beside its right end, moved up or down until no two names touch."""
    height = axes.get_position().height * figure.get_figheight() * 72
    to_points = axes.transAxes.inverted()
    wanted = sorted(
        (to_points.transform(axes.transData.transform((1, end[1])))[1] * height, i) for i, end in enumerate(ends)
    )
    placed = _spread([y for y, _ in wanted], gap=min(10, height / max(len(ends) - 1, 1)), top=height)
    for (y_line, i), y in zip(wanted, placed):
        x_last, _, label, colour, bold = ends[i]
        x_data = axes.get_xlim()[1] if x_last is None else x_last
        x_line = to_points.transform(axes.transData.transform((x_data, ends[i][1])))[0]
        axes.plot([x_line, 1.02, 1.05], [y_line / height, y_line / height, y / height], color=colour, linewidth=0.8,
                  transform=axes.transAxes, clip_on=False)  # fmt: skip
        axes.text(1.06, y / height, label, transform=axes.transAxes, fontsize=8, va="center_baseline",
                  fontweight="bold" if bold else "normal")  # fmt: skip


def _spread(wanted, *, gap, top):
    """Positions at least `gap` apart and within [0, top], near the sorted `wanted`: push up, then push back down."""
    placed = []
    for y in wanted:
        placed.append(max(y, placed[-1] + gap if placed else 0))
    ceiling = top
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def class_colour(index, n_classes):
    if n_classes <= len(CLASS_COLOURS):
        return CLASS_COLOURS[index]
    return matplotlib.colors.to_hex(matplotlib.colormaps["turbo"](index / max(n_classes - 1, 1)))


@drawn
def map_2d(points, labels, classes):
    """t-SNE in the plane: `points` (N, 2), coloured by class, each class named at the median of its points."""
    figure, axes = panel(WIDTH, 6, 6, top=6, bottom=6)
    for index, name in enumerate(classes):
        mine = [p for p, label in zip(points, labels) if label == index]
        if not mine:
            continue
        colour = class_colour(index, len(classes))
        axes.plot(*zip(*mine), "o", color=colour, markersize=2.6, markeredgewidth=0, alpha=0.85,
                  rasterized=len(points) > DENSE)  # fmt: skip
        if len(classes) <= MANY_CLASSES:
            middle = [sorted(axis)[len(mine) // 2] for axis in zip(*mine)]
            box = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": colour, "alpha": 0.9, "linewidth": 0.9}
            axes.text(*middle, shortened(name, 14), ha="center", va="center", fontsize=8, bbox=box)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    return figure


@drawn
def map_3d(points, labels, classes, *, azimuth):
    """t-SNE in space: `points` (N, 3), coloured by class as in the plane, seen from `azimuth` degrees."""
    figure = Figure(figsize=(WIDTH / 72, WIDTH / 72))
    axes = figure.add_axes((0.0, 0.0, 1, 1), projection="3d", elev=22, azim=azimuth)
    axes.set_box_aspect(None, zoom=1.2)
    if points:
        colours = [class_colour(label, len(classes)) for label in labels]
        axes.scatter(*zip(*points), c=colours, s=8, linewidths=0, depthshade=True, rasterized=len(points) > DENSE)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_ticklabels([])
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(GRID)
        axis._axinfo["grid"].update(color=GRID, linewidth=0.6)
    return figure


@drawn
def class_accuracies(per_seed, classes):
    """Accuracy of each class: `per_seed` is a list a seed of shares (C,); a dot a seed, classes from top to bottom."""
    named = len(classes) <= MANY_CLASSES
    figure, axes = panel(250, label_width(classes) + 4 if named else 38, 14)
    for values in per_seed:
        pairs = [(100 * v, y) for y, v in enumerate(values) if finite([v])]
        axes.plot([x for x, _ in pairs], [y for _, y in pairs], "o", color=VERDICTS["informational"][0], alpha=0.65,
                  markersize=4.5 if named else 2.5, markeredgewidth=0)  # fmt: skip
    axes.set_ylim(len(classes) - 0.4, -0.6)
    if named:
        axes.set_yticks(range(len(classes)), [shortened(name) for name in classes], fontsize=8.5, color=INK)
    else:
        axes.set_ylabel("class, in the data set's order", fontsize=8.5)
    axes.set_xlabel("test accuracy, %", fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


@drawn
def confusion(counts, classes):
    """Confusion matrix (C, C) of counts, rows the true class, columns the predicted; the diagonal is left pale."""
    n = len(classes)
    named = n <= MANY_CLASSES
    left = min(label_width(classes), 90) + 14 if named else 30
    figure, axes = panel(290, left, 24, bottom=44)
    largest = max([counts[i][j] for i in range(n) for j in range(n) if i != j] + [1])
    shade = matplotlib.colormaps["Oranges"]
    for i in range(n):
        for j in range(n):
            if not counts[i][j]:
                continue
            face = GRID if i == j else matplotlib.colors.to_hex(shade(0.12 + 0.4 * counts[i][j] / largest))
            axes.add_patch(matplotlib.patches.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, linewidth=0))
            if named:  # black on orange in both themes: only the diagonal's grey follows the page
                axes.text(j, i, str(counts[i][j]), ha="center", va="center", fontsize=7, color=INK if i == j else "#000000")
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(range(n)) if named else MaxNLocator(5, integer=True))
    if named:
        axes.set_yticks(range(n), [shortened(name, 14) for name in classes], fontsize=8)
        axes.set_xticks(range(n), [shortened(name, 14) for name in classes], fontsize=8,
                        rotation=60 if max(map(len, classes)) > 2 else 0)  # fmt: skip
    axes.set_xlabel("predicted", fontsize=8.5)
    axes.set_ylabel("true", fontsize=8.5)
    return figure
