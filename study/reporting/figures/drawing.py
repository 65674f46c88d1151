"""The one style of all figures, and their conversion to SVG.

Every figure has one width, so that it reads on a phone.
"""

import base64
import functools
import io
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from PIL import Image

from study.reporting.figures.marks import mark_key, write_marks
from study.reporting.palette import COLLAPSE_TYPES, GRID, INK, MUTED, NO_NAME, NO_TYPE, PAPER, collapse_style

WIDTH = 345.6  # points: about a phone's width in CSS pixels, so 9 point text is read at 9 pixels or more
LABEL_SIZE = 8.5  # points
LABEL_ROOM = 132.0  # points that a label may take of the width: about 25 characters, and room for what it names
MANY_POINTS = 400  # beyond this, a dot carries no text of its own: the page would be made of them
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "vicreg", "text.parse_math": False, "axes.unicode_minus": True,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "axes.facecolor": "none",
    "xtick.color": GRID, "xtick.labelcolor": MUTED, "ytick.color": GRID, "ytick.labelcolor": MUTED,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.major.size": 0, "ytick.major.size": 0,
    "path.simplify_threshold": 0.3,  # pixels that a curve may leave its points by: not to be seen, and half the bytes
    "lines.solid_capstyle": "round", "figure.facecolor": PAPER,
}  # fmt: skip
P = ParamSpec("P")


def as_svg(function: Callable[P, Figure]) -> Callable[P, str]:
    """Make a function that returns a Figure return its SVG, the same bytes whatever the user's settings."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> str:
        with matplotlib.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has the font, we only measure
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(matplotlib.RcParams(STYLE))
            return _svg(function(*args, **kwargs))

    return draw


_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # such a name would leave no figure


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = _NOT_IN_XML.sub("\ufffd", buffer.getvalue())
    text = text[text.index("<svg") :]  # the prologue names a DTD on another host
    text = re.sub(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1Helvetica, Arial, sans-serif", text)
    text = write_marks(text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda match: _shorten(match[0]), text)
    text = re.sub(r"(?<=data:image/png;base64,)[^\"]+", lambda match: _with_a_palette(match[0]), text)
    return re.sub(r"\n\s+", "\n", text)


def _shorten(attribute: str) -> str:
    """Return an attribute of places to a tenth of a point: digits after it are invisible, and differ between machines."""
    rounded = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), attribute)
    return re.sub(r"\s*\n\s*|\s+(?=[MLQCz])|(?<=[MLQC]) ", "", rounded)


def _with_a_palette(png: str) -> str:
    """Return a PNG, both in base64, in 256 colours, which take a quarter of the bytes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        few = image.convert("RGBA").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def new_figure(height: float, left: float, right: float, *, top: float = 8, bottom: float = 36) -> tuple[Figure, Axes]:
    """Return a figure of the common width with its one axes; `height` and the margins are in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    box = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
    return figure, figure.add_axes(box)


def name_rows(axes: Axes, labels: Sequence[str], *, fontsize: float = 8.5) -> None:
    """Name rows from top to bottom on the y axis, with no lines across and none at the left."""
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels, fontsize=fontsize, color=INK)
    axes.grid(axis="y", visible=False)


def shorten(label: str, room: float = LABEL_ROOM, *, size: float = LABEL_SIZE) -> str:
    """Return a label of at most `room` points as text of `size` points, on one line.

    It is cut in the middle: names that begin alike often end apart.
    """
    line = " ".join(label.split())
    if text_width(line, size) <= room:
        return line
    for kept in reversed(range(min(len(line), int(2 * room)))):
        head = (2 * kept + 2) // 3
        short = f"{line[:head].rstrip()}…{line[len(line) - kept + head :].lstrip()}"
        if text_width(short, size) <= room:
            return short
    return "…"


def label_width(labels: Iterable[str], *, size: float = LABEL_SIZE) -> float:
    """Return the width in points of the longest label, with the room before an axis."""
    return 8 + max((text_width(label, size) for label in labels), default=0)


def text_width(text: str, size: float) -> float:
    """Return the width in points of a line of text.

    It is that of DejaVu Sans, which is wider than the fonts that browsers choose; of what that font lacks, as of Chinese, a
    character is as wide as it is high.
    """
    return size * sum(map(_advance, text))


@functools.cache
def _advance(character: str) -> float:
    """Return the width of a character, of a text of one point."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):  # drawn over the one before
        return 0.0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 1.1  # emoji are a little wider than high
    font = FontProperties(family="DejaVu Sans", size=100)
    return TextToPath().get_text_width_height_descent(character, font, ismath=False)[0] / 100


def legend_of_types(
    figure: Figure, names: Sequence[str | None], *, no_value: bool = False, others: Sequence[tuple[Artist, str]] = ()
) -> None:  # fmt: skip
    """Draw the types of collapse among `names`, each with its colour and marker, below everything.

    With `no_value` the cross of what came to no value, such as a pruned run, is among them; `others` follow.
    """
    shown = [name for name in COLLAPSE_TYPES if name in names]
    if any(name not in COLLAPSE_TYPES for name in names):
        shown.append(NO_NAME)
    styles = [collapse_style(name)[:2] for name in shown]
    if no_value:
        shown.append("ended early")
        styles.append((NO_TYPE[0], "x"))
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], linestyle="", color=colour, marker=marker, markersize=5), name)
        for (colour, marker), name in zip(styles, shown)
    ]
    draw_key(figure, [*entries, *others])


def draw_key(figure: Figure, entries: Sequence[tuple[Artist, str]]) -> None:
    """Draw a legend below everything, in as many columns as the width has room for."""
    if not entries:
        return
    widest = 18 + max(text_width(name, 7.5) for _, name in entries)
    columns = min(len(entries), max(1, int(WIDTH / widest)))
    columns = -(-len(entries) // -(-len(entries) // columns))  # rows of one length
    key = figure.legend(*zip(*entries), loc="lower center", ncols=columns, frameon=False, fontsize=7.5, handletextpad=0.0,
                        columnspacing=0.9, borderpad=0, borderaxespad=0.2, labelcolor=INK, labelspacing=0.2)  # fmt: skip
    mark_key(key)
