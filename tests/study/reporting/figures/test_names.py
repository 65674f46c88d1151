"""Names of any length and script stay inside every figure that writes them."""

import math
import xml.etree.ElementTree

import pytest

from study.reporting.figures.classes import class_accuracies, confusion_matrix
from study.reporting.figures.collapse_rows import collapse_rows
from study.reporting.figures.correlations import correlation_plot
from study.reporting.figures.curves import curves
from study.reporting.figures.dots import dot_plot
from study.reporting.figures.drawing import WIDTH, label_width, shorten, text_width
from study.reporting.figures.forest import forest_plot
from study.reporting.figures.maps import map_2d
from study.reporting.figures.method_plane import method_plane
from study.reporting.figures.phase_diagram import phase_diagram
from study.reporting.figures.search import importance_bars

NAMES = {
    "of CIFAR-100": ["aquarium_fish", "chimpanzee", "lawn_mower", "pickup_truck", "sweet_pepper", "willow_tree", "bowl"],
    "of thirty letters": [f"a_class_of_thirty_letters_{i:02d}__" for i in range(10)],
    "two": ["negative", "positive"],
    "twenty": [f"class number {i}" for i in range(20)],
    "a hundred": [f"class {i}" for i in range(100)],
    "wide": ["家猫" * 20, "W" * 40, "🐈" * 30, "é" * 40, "M" * 14, "ﬁ ÅÄÖ"],
    "markup": ["<script>alert(1)</script>", "$x_1$ ^ \\frac{a}{b}", "a | b & c", "x" * 200, "two\nlines",
               "\x01\x0b odd", "%(s)s {0}"],
}  # fmt: skip


def confusion(names):
    n = len(names)
    return confusion_matrix([[999 * (i == j) + (n <= 10 or j == 0) for j in range(n)] for i in range(n)], names)


def accuracies(names):
    return class_accuracies([[0.5] * len(names)], names)


def map_of(names):
    """Every class at one point, those at the edges without a margin of points around them."""
    return map_2d([[10 * (i % 4), i // 4] for i in range(len(names))], list(range(len(names))), names)


def rows_of(names):
    return [
        {"label": name, "is_baseline": i == 0, "is_control": i == 1, "mean": 0.5, "low": 0.4, "high": 0.6,
         "decision": "undecided", "seeds": [0, 1], "values": [0.4, 0.6], "types": ["healthy", "complete"], "type": "healthy",
         "text": "+12.3 [−1.2, +23.4] *", "fanova": 0.5, "ped_anova": None,
         "spearman": {"value": 0.5, "low": 0.1, "high": 0.9}, "kendall": {"value": 0.5, "low": 0.1, "high": 0.9}}
        for i, name in enumerate(names[:20])
    ]  # fmt: skip


FIGURES = {
    "confusion": confusion,
    "accuracies": accuracies,
    "map": map_of,
    "dots": lambda names: dot_plot(rows_of(names), chance=0.1),
    "forest": lambda names: forest_plot(rows_of(names), margin=0.01),
    "collapse types": lambda names: collapse_rows(
        [
            {
                "label": name,
                "is_unchanged": i % 2 == 0,
                "is_open": False,
                "types": ["healthy"] * 3,
                "text": "healthy, 2 of 3",
            }
            for i, name in enumerate(names[:20])
        ],
        [0, 1, 2],
    ),
    "method plane": lambda names: method_plane(
        [{"x": i % 5, "y": i // 5, "type": "healthy", "tip": name} for i, name in enumerate(names)],
        names,
        xlabel="x",
        ylabel="y",
    ),
    "curves": lambda names: curves(
        rows_of(names)[:10], [([1, 2], [(1.0, 0.5, 1.5), (2.0, 1.5, 2.5)])] * min(len(names), 10)
    ),
    "importances": lambda names: importance_bars(rows_of(names), floor={"fanova": 0.1, "ped_anova": None}),
    "correlations": lambda names: correlation_plot(rows_of(names)),
}


def texts(svg):
    """Each text of a figure with its corners: (text, [(x, y), ...]), by the width that `text_width` gives it."""
    for one in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        style = dict(part.split(": ") for part in one.attrib["style"].split("; "))
        size, anchor = float(style["font-size"].removesuffix("px")), style.get("text-anchor", "start")
        angle = math.radians(float(one.attrib["transform"].removeprefix("rotate(").split()[0]))
        width = text_width(one.text or "", size)
        start = {"start": 0.0, "middle": -width / 2, "end": -width}[anchor]
        x, y = float(one.attrib["x"]), float(one.attrib["y"])
        along = [(start, 0.0), (start + width, 0.0), (start, -0.75 * size), (start + width, -0.75 * size)]
        corners = [
            (x + a * math.cos(angle) - b * math.sin(angle), y + a * math.sin(angle) + b * math.cos(angle)) for a, b in along
        ]
        yield one.text, corners


HARD = ("of thirty letters", "wide", "markup")


@pytest.mark.parametrize(
    ("figure", "names"),
    [(figure, names) for figure in FIGURES for names in (NAMES if figure == "confusion" else HARD)],
)
def test_every_text_lies_inside_the_figure(figure, names):
    svg = FIGURES[figure](NAMES[names])
    _, _, width, height = map(float, xml.etree.ElementTree.fromstring(svg).attrib["viewBox"].split())
    found = list(texts(svg))
    assert found and width == pytest.approx(WIDTH, abs=0.01)
    for text, corners in found:
        assert all(-1 <= x <= width + 1 and -1 <= y <= height + 1 for x, y in corners), (text, corners)


def test_names_beside_a_confusion_matrix_touch_neither_it_nor_the_title_of_the_axis():
    svg = confusion(NAMES["of CIFAR-100"])
    found = dict(texts(svg))
    beside = [corners for text, corners in texts(svg) if text == "aquarium_fish" and corners[0][1] == corners[1][1]]
    true = max(x for x, _ in found["true"])
    assert beside and all(x > true for corners in beside for x, _ in corners)
    below = [y for text, corners in texts(svg) if text in NAMES["of CIFAR-100"] for _, y in corners]
    assert max(below) < min(y for _, y in found["predicted"])


def test_numbers_that_do_not_fit_their_square_are_left_to_the_table():
    few, many = confusion([f"{i}" for i in range(10)]), confusion(NAMES["twenty"])
    assert few.count(">1000</text>") == 10 and many.count(">1000</text>") == 0 and many.count(">1</text>") == 19


def test_axes_of_ratios_of_any_size_stay_inside_the_figure():
    ratios = [1.2345e-7, 1.0, 123456.0, 9.87e12]
    cells = [
        {
            "x": x,
            "y": y,
            "type": "healthy",
            "rank": 3.0,
            "accuracy": 0.5,
            "tip": "a < b",
            "decision": "worse",
            "is_baseline": x == y,
        }
        for x in ratios
        for y in ratios
    ]
    for colour in ("type", "rank"):
        svg = phase_diagram(cells, colour=colour, axes_names=("λ / ν", "μ / ν"))
        _, _, width, height = map(float, xml.etree.ElementTree.fromstring(svg).attrib["viewBox"].split())
        for text, corners in texts(svg):
            assert all(-1 <= x <= width + 1 and -1 <= y <= height + 1 for x, y in corners), (text, corners)


def test_a_name_is_cut_in_the_middle_so_that_names_that_begin_alike_differ():
    cut = [shorten(name, 84, size=8) for name in NAMES["of thirty letters"]]
    assert len(set(cut)) == 10 and all("…" in name and name.startswith("a_class") for name in cut)
    assert all(text_width(name, 8) <= 84 for name in cut)
    assert shorten("short") == "short" and shorten("two\nlines") == "two lines" and shorten("猫" * 100, 3) == "…"


def test_a_width_grows_with_what_is_written():
    assert text_width("i" * 10, 8.5) < text_width("n" * 10, 8.5) < text_width("W" * 10, 8.5)
    assert text_width("猫", 8.5) >= 8.5 and text_width("e\u0301", 8.5) == text_width("e", 8.5)
    assert text_width("", 8.5) == 0 and label_width([]) == 8
