"""Figures of a report that show what a design was made for: differences, a phase diagram, a search, predictors."""

import math

import matplotlib
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from study.reporting.drawing import (
    GRID,
    INK,
    PAPER,
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

INFORMATIONAL = "#0072b2"  # the palette's blue, for what has no verdict
MANY_POINTS = 400  # beyond this, a dot carries no text of its own: the page would be made of them
EVEN = 0.1791  # the luminance on which black and white have one contrast, 4.58: (L + 0.05) / 0.05 = 1.05 / (L + 0.05)
RANKS = "cividis"  # a scale of one lightness from end to end, read alike by all eyes


@drawn
def forest(rows, *, margin):
    """Differences from the baseline in points: a dot a seed, the mean with its 95 % interval, a band of ± `margin`.

    `rows`: dicts with label, verdict, mean, low, high (shares; low and high may be None), values (one a seed) and text.
    The axis spans what healthy arms need; an arm beyond it is an arrow at the edge, its number beside it.
    """
    labels = [shortened(row["label"]) for row in rows]
    figure, axes = panel(64 + 19 * max(len(rows), 1), label_width(labels) + 6, 118, bottom=56)
    low, high = _forest_span(rows, margin)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvspan(-100 * margin, 100 * margin, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.axvline(0, color=INK, linewidth=1)
    for y, row in enumerate(rows):
        _forest_row(axes, y, row, low, high)
    axes.set_yticks(range(len(rows)), labels, fontsize=8.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+g}".replace("-", "−") if v else "0"))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference from the baseline, points", fontsize=8.5)
    legend_of_verdicts(figure, [row["verdict"] for row in rows])
    return figure


def _forest_span(rows, margin):
    healthy = [row for row in rows if row["verdict"] == "healthy" and finite([row["mean"]])]
    shown = healthy or [row for row in rows if finite([row["mean"]])]
    bounds = [100 * v for row in shown for v in finite([row["low"], row["high"], row["mean"], *row["values"]])]
    low, high = min([*bounds, -200 * margin]), max([*bounds, 200 * margin])
    room = 0.06 * (high - low)
    return low - room, high + room


def _forest_row(axes, y, row, low, high):
    colour, marker, _ = verdict_style(row["verdict"])
    axes.text(1.03, y, row["text"], transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
    if not finite([row["mean"]]):
        return
    mean = 100 * row["mean"]
    if not low <= mean <= high:
        edge = low + 0.025 * (high - low) if mean < low else high - 0.025 * (high - low)
        inwards = edge + (0.05 if mean < low else -0.05) * (high - low)
        (arrow,) = axes.plot(edge, y, "<" if mean < low else ">", color=colour, markersize=6, clip_on=False, zorder=4)
        axes.plot(inwards, y, marker, color=colour, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.6, zorder=4)
        tip(arrow, f"{row['label']}: {row['text']}")
        return
    if finite([row["low"], row["high"]]):
        ends = max(100 * row["low"], low), min(100 * row["high"], high)
        axes.plot(ends, [y, y], color=colour, linewidth=1.6, zorder=2)
        for end, bound, sign in ((ends[0], 100 * row["low"], "<"), (ends[1], 100 * row["high"], ">")):
            if end != bound:  # the interval goes on beyond the axis
                axes.plot(end, y, sign, color=colour, markersize=4, clip_on=False, zorder=3)
    for index, value in enumerate(finite(row["values"])):
        offset = 0.24 + 0.16 * (index / max(len(row["values"]) - 1, 1) - 0.5)
        if low <= 100 * value <= high:
            axes.plot(100 * value, y + offset, "o", color=colour, markersize=2.2, markeredgewidth=0, alpha=0.75, zorder=3)
    (dot,) = axes.plot(mean, y, marker, color=colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6, zorder=4)
    tip(dot, f"{row['label']}: {row['text']}")


@drawn
def phase(cells, *, colour, published=()):
    """The plane of λ/ν and μ/ν, logarithmic: a tile a cell, coloured by `verdict` or by `rank`, with published points.

    `cells`: dicts with x, y (the ratios), label, verdict, verdicts (name -> count), rank, accuracy. `published`: dicts
    with x, y, text and collapsed.
    """
    figure, axes = panel(330, 46, 20 if colour == "verdict" else 62, top=12, bottom=64 if colour == "verdict" else 40)
    xs, ys = (sorted({cell[axis] for cell in cells}) for axis in "xy")
    x_edges, y_edges = _edges(xs), _edges(ys)
    ranks = finite([cell["rank"] for cell in cells])
    scale = matplotlib.colors.LogNorm(max(min(ranks, default=1), 1), max([*ranks, 2]))
    for cell in cells:
        left, right = x_edges[xs.index(cell["x"])]
        bottom, top = y_edges[ys.index(cell["y"])]
        face, ink, text = _tile(cell, colour, scale)
        axes.fill([left, right, right, left], [bottom, bottom, top, top], facecolor=face, edgecolor=PAPER, linewidth=1.5)
        below = (math.sqrt(left * right), bottom * (top / bottom) ** 0.16)  # a published point may lie in the middle
        words = axes.text(*below, text, ha="center", va="center", fontsize=8, color=ink)
        tip(words, cell["tip"])
    _scale_of_ratio(axes, axes.xaxis, xs, [p["x"] for p in published], x_edges)
    _scale_of_ratio(axes, axes.yaxis, ys, [p["y"] for p in published], y_edges)
    axes.set_xlabel("λ / ν", fontsize=9)
    axes.set_ylabel("μ / ν", fontsize=9)
    axes.grid(visible=False)
    for point in published:
        _published_point(axes, point)
    if colour == "verdict":
        legend_of_verdicts(figure, [cell["verdict"] for cell in cells])
    else:
        _bar_of_ranks(figure, scale)
    return figure


def _edges(levels):
    """Bounds of each level's tile, half way to its neighbours on a logarithmic scale."""
    logs = [math.log10(level) for level in levels]
    step = min([b - a for a, b in zip(logs, logs[1:])], default=1)
    between = [(a + b) / 2 for a, b in zip(logs, logs[1:])]
    bounds = [logs[0] - step / 2, *between, logs[-1] + step / 2]
    return [(10**low, 10**high) for low, high in zip(bounds, bounds[1:])]


def _tile(cell, colour, scale):
    """Face, ink and text of a tile."""
    accuracy = f"{100 * cell['accuracy']:.1f} %" if finite([cell["accuracy"]]) else "no result"
    if colour == "verdict":
        face, _, sign = verdict_style(cell["verdict"])
        return (*matplotlib.colors.to_rgb(face), 0.55), INK, f"{sign} {accuracy}"
    if not finite([cell["rank"]]):
        return GRID, INK, "no result"
    face = matplotlib.colormaps[RANKS](scale(max(cell["rank"], 1)))
    ink = "#000000" if _luminance(face[:3]) > EVEN else "#fffffe"  # not the page's own colours
    return matplotlib.colors.to_hex(face), ink, f"{cell['rank']:.3g}"


def _luminance(rgb):
    """Relative luminance, 0 to 1, of (red, green, blue) in 0 to 1: WCAG 2.2."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _scale_of_ratio(axes, axis, levels, others, edges):
    low, high = edges[0][0], edges[-1][1]
    set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if axis is axes.xaxis else (axes.set_yscale, axes.set_ylim)
    set_scale("log")
    set_limits(min([low, *(other / 1.3 for other in others)]), max([high, *(other * 1.3 for other in others)]))
    axis.set_major_locator(FixedLocator(levels))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_tick_params(labelcolor=INK)


def _published_point(axes, point):
    """A published point: a ring where it trained, a cross where it collapsed, above the middle of its tile."""
    marker = "x" if point["collapsed"] else "o"
    for colour, width in ((PAPER, 3.6), (INK, 1.5)):  # seen on tiles of any colour
        (mark,) = axes.plot(
            point["x"], point["y"], marker, color=colour, markersize=15, markerfacecolor="none", markeredgewidth=width
        )
    tip(mark, point["text"])


def _bar_of_ranks(figure, scale):
    axes = figure.add_axes((1 - 54 / WIDTH, 0.2, 10 / WIDTH, 0.6))
    ends = math.log10(scale.vmin), math.log10(scale.vmax)
    steps = 24
    for step in range(steps):
        low, high = (10 ** (ends[0] + (ends[1] - ends[0]) * k / steps) for k in (step, step + 1))
        axes.axhspan(low, high, color=matplotlib.colormaps[RANKS]((step + 0.5) / steps), linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(scale.vmin, scale.vmax)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_title("RankMe", fontsize=8, color=INK)
    axes.grid(visible=False)


@drawn
def correlations(rows):
    """Spearman's (filled) and Kendall's (hollow) correlation of each metric with accuracy, with 95 % intervals.

    `rows`: dicts with label, spearman and kendall, each with value, low, high (these may be None).
    """
    figure, axes = panel(66 + 17 * len(rows), label_width([shortened(row["label"], 32) for row in rows]) + 26, 14, bottom=54)
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0, color=INK, linewidth=1)
    for y, row in enumerate(rows):
        for offset, name, face in ((-0.16, "spearman", INFORMATIONAL), (0.16, "kendall", PAPER)):
            one = row[name]
            if finite([one["low"], one["high"]]):
                axes.plot([one["low"], one["high"]], [y + offset] * 2, color=INFORMATIONAL, linewidth=1.1, zorder=2)
            if finite([one["value"]]):
                (dot,) = axes.plot(one["value"], y + offset, "o", color=INFORMATIONAL, markerfacecolor=face, markersize=4.2,
                                   zorder=3)  # fmt: skip
                tip(dot, f"{row['label']}, {name.capitalize()}: {one['value']:.2f}")
    axes.set_yticks(range(len(rows)), [shortened(row["label"], 32) for row in rows], fontsize=8, color=INK)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("rank correlation with test accuracy", fontsize=8.5)
    styles = (("Spearman", INFORMATIONAL), ("Kendall", PAPER))
    handles = [
        matplotlib.lines.Line2D([], [], linestyle="", marker="o", markersize=4.2, color=INFORMATIONAL, markerfacecolor=face)
        for _, face in styles
    ]
    figure.legend(handles, [name for name, _ in styles], loc="lower center", ncols=2, frameon=False, fontsize=7.5,
                  handletextpad=0.0, borderpad=0, borderaxespad=0.2, labelcolor=INK)  # fmt: skip
    return figure


@drawn
def scatter(points, *, xlabel, ylabel="test accuracy, %", log_x=False, line=()):
    """Runs as points: `points` are dicts with x, y, verdict and tip; `line` joins some (x, y) from left to right. A point
    whose y is None came to no value: a cross at the lower edge."""
    figure, axes = panel(250, 42, 14, bottom=54)
    for point in points:
        colour, marker, _ = verdict_style(point["verdict"])
        if point["y"] is None:
            (dot,) = axes.plot(point["x"], 0.02, "x", color=colour, markersize=5, markeredgewidth=1.2,
                               transform=axes.get_xaxis_transform())  # fmt: skip
        else:
            (dot,) = axes.plot(point["x"], point["y"], marker, color=colour, markersize=5, markeredgecolor=PAPER,
                               markeredgewidth=0.5, alpha=0.85)  # fmt: skip
        if len(points) <= MANY_POINTS:
            tip(dot, point["tip"])
    if line:
        axes.plot(*zip(*sorted(line)), color=INK, linewidth=1, zorder=1.5)
    positive = [point["x"] for point in points if point["x"] > 0]
    if log_x and positive:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.set_xlim(min(positive) / 1.15, max(positive) * 1.15)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
    legend_of_verdicts(figure, [point["verdict"] for point in points if point["y"] is not None],
                       no_value=any(point["y"] is None for point in points))  # fmt: skip
    return figure


@drawn
def search_history(trials, *, objective):
    """Trials in the order they were proposed, and the best so far. `trials`: dicts with number, value (or None), verdict,
    tip; `objective` names the values with their unit."""
    figure, axes = panel(250, 42, 14, bottom=54)
    values = finite([trial["value"] for trial in trials])
    floor = min(values, default=0) - 0.06 * ((max(values, default=1) - min(values, default=0)) or 1)
    best, line = -math.inf, []
    for trial in trials:
        colour, marker, _ = verdict_style(trial["verdict"])
        style = {"marker": marker, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
        if not finite([trial["value"]]):
            style = {"marker": "x", "markeredgewidth": 1.2}
        height = trial["value"] if finite([trial["value"]]) else floor
        (dot,) = axes.plot(trial["number"], height, color=colour, markersize=5, linestyle="", **style)
        tip(dot, trial["tip"])
        best = max([best, *finite([trial["value"]])])
        if math.isfinite(best):
            line.append((trial["number"], best))
    if line:
        axes.plot(*zip(*line), color=INK, linewidth=1.2, drawstyle="steps-post", zorder=1.5)
    axes.set_xlabel("trial, as proposed", fontsize=8.5)
    axes.set_ylabel(objective, fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    valued = [trial["verdict"] for trial in trials if finite([trial["value"]])]
    legend_of_verdicts(figure, valued, no_value=len(valued) < len(trials))
    return figure


@drawn
def importance_bars(rows, *, floor):
    """Importances by two evaluators side by side: `rows` are dicts with label, fanova, ped_anova, the controls among them;
    `floor` is by evaluator the largest share that noise had, a line each."""
    labels = [shortened(row["label"]) for row in rows]
    figure, axes = panel(64 + 30 * len(rows), label_width(labels) + 6, 18, bottom=54)
    styles = (("fanova", "fANOVA", INFORMATIONAL, -0.19, "--"), ("ped_anova", "PED-ANOVA", "#e69f00", 0.19, ":"))
    handles = []
    for key, name, colour, offset, dash in styles:
        for y, row in enumerate(rows):
            if finite([row[key]]):
                (bar,) = axes.barh(y + offset, row[key], height=0.34, color=colour, linewidth=0)
                tip(bar, f"{row['label']}, {name}: {row[key]:.2f}")
        handles.append(matplotlib.patches.Patch(facecolor=colour, label=name))
        if finite([floor.get(key)]):
            axes.axvline(floor[key], color=colour, linestyle=dash, linewidth=1.3)
            handles.append(matplotlib.lines.Line2D([], [], color=colour, linestyle=dash, label="its noise floor"))
    axes.set_xlim(0, None)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), labels, fontsize=8.5, color=INK)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("share of importance", fontsize=8.5)
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=7.5, handlelength=1.4,
                  columnspacing=0.9, borderpad=0, borderaxespad=0.2, labelcolor=INK)  # fmt: skip
    return figure
