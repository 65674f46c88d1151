"""How every figure of a report is drawn: one style, one palette, one way to an SVG of the same bytes everywhere.

Colour always means the verdict, in the palette of Okabe and Ito (2008), which stays apart under the common colour
blindnesses; markers and dashes say the same again. Every panel is drawn at one width, so that it reads on a phone.
"""

import functools
import io
import math
import re
import warnings

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1c1c1e", "#66666b", "#dedee2", "#ffffff"  # a page may put its own colours in their place
VERDICTS = {  # name -> colour, marker, the same marker as a character
    "healthy": ("#009e73", "o", "●"),
    "uninformative": ("#e69f00", "D", "◆"),
    "informational": ("#0072b2", "^", "▲"),
    "dimensional": ("#cc79a7", "s", "■"),
    "complete": ("#d55e00", "X", "✖"),
}
NO_VERDICT = ("#8a8a8f", "o", "○")
WIDTH = 345.6  # points: about a phone's width in CSS pixels, so 9 point text is read at 9 pixels or more
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "vicreg", "text.parse_math": False, "axes.unicode_minus": True,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "axes.facecolor": "none",
    "xtick.color": GRID, "xtick.labelcolor": MUTED, "ytick.color": GRID, "ytick.labelcolor": MUTED,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.major.size": 0, "ytick.major.size": 0,
    "lines.solid_capstyle": "round", "figure.facecolor": PAPER,
}  # fmt: skip


def verdict_style(name):
    """(colour, matplotlib marker, character) of the verdict `name`; grey for a name not known or None."""
    return VERDICTS.get(name, NO_VERDICT)


def drawn(function):
    """Turn a function that returns a Figure into one that returns its SVG, the same bytes whatever the user's settings."""

    @functools.wraps(function)
    def draw(*args, **kwargs):
        with matplotlib.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has the font, we only measure
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return _svg(function(*args, **kwargs))

    return draw


def _svg(figure):
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # the prologue names a DTD on another host
    text = re.sub(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1Helvetica, Arial, sans-serif", text)
    text = re.sub(r'<g id="tip (.*?)">', lambda match: f"<g><title>{match[1]}</title>", text)
    # A hundredth of a point is invisible; the digits after it are most of the file and differ between machines.
    shorten = functools.partial(re.sub, r"(\.\d\d)\d+", r"\1")
    return re.sub(r' (?:d|x|y)="[^"]*"', lambda match: shorten(match.group()), text)


def panel(height, left, right, *, top=8, bottom=36):
    """A figure of the common width with one axes, margins in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    box = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
    return figure, figure.add_axes(box)


def tip(artist, text):
    """Give an artist a text that a pointer on it shows, with no script: it becomes the title of its group in the SVG."""
    artist.set_gid(f"tip {' '.join(text.split())}")


def finite(values):
    """The values that are finite numbers."""
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)]


def shortened(label, length=26):
    return label if len(label) <= length else label[: length - 1] + "…"


def label_width(labels):
    return 8 + 4.7 * max((len(shortened(label)) for label in labels), default=0)  # points a character of 8.5 point text


def legend_of_verdicts(figure, verdicts, *, no_value=False):
    """The verdicts among `verdicts`, each with its colour and marker, below everything; with `no_value` the cross of what
    came to none, such as a pruned run."""
    names = [name for name in VERDICTS if name in verdicts]
    if any(name not in VERDICTS for name in verdicts):
        names.append("no verdict")
    styles = [verdict_style(name)[:2] for name in names]
    if no_value:
        names.append("no value")
        styles.append((NO_VERDICT[0], "x"))
    handles = [
        matplotlib.lines.Line2D([], [], linestyle="", color=colour, marker=marker, markersize=5) for colour, marker in styles
    ]
    if handles:
        figure.legend(handles, names, loc="lower center", ncols=3 if len(names) > 4 else len(names), frameon=False,
                      fontsize=7.5, handletextpad=0.0, columnspacing=0.9, borderpad=0, borderaxespad=0.2,
                      labelcolor=INK, labelspacing=0.2)  # fmt: skip
