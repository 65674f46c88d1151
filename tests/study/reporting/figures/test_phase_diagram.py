"""The collapse phase diagram."""

import re

from study.reporting.figures.phase_diagram import phase_diagram

NAMES = ("x", "y")
PLAIN = {"decision": None, "is_baseline": False}


def test_a_cell_without_a_result_says_so_and_published_points_are_drawn():
    cells = [
        {
            "x": x,
            "y": y,
            "type": name,
            "rank": rank,
            "accuracy": rank and 0.5,
            "tip": "a cell",
            "decision": "worse",
            "is_baseline": x == 25,
        }
        for x, y, name, rank in ((1, 1, "healthy", 12.0), (25, 1, "complete", 1.0), (1, 25, "diverged", None))
    ]
    published = [{"x": 25, "y": 25, "collapsed": True, "text": "published"}]
    for colour in ("type", "rank"):
        svg = phase_diagram(cells, colour=colour, axes_names=NAMES, published=published)
        assert "no result" in svg and "<title>published</title>" in svg
        assert ">published: collapsed</text>" in svg and "published: trained" not in svg and ">baseline</text>" in svg
        assert all(f">{tick}</text>" in svg for tick in (1, 25)) and svg.count("<title>a cell</title>") >= 3
    assert all(f">{sign} worse</text>" in phase_diagram(cells, colour="type", axes_names=NAMES) for sign in "●✖○")


def test_the_number_on_a_tile_is_readable_whatever_its_rank():
    cells = [
        {"x": 1 + n, "y": 1, "type": "healthy", "rank": 1.6**n, "accuracy": 0.5, "tip": str(n), **PLAIN} for n in range(14)
    ]
    svg = phase_diagram(cells, colour="rank", axes_names=NAMES)
    faces = re.findall(r'<path d="[^"]*" clip-path="[^"]*" style="fill: (#\w+); stroke: #ffffff', svg)
    styles = re.findall(r'<title>\d+</title>\s*(?:<!--.*?-->)?\s*<text style="([^"]*)"', svg)
    inks = [found[1] if (found := re.search(r"fill: (#\w+)", style)) else "#000000" for style in styles]
    assert len(faces) == len(inks) == len(cells)
    assert {"#fffffe"} < set(inks)
    for face, ink in zip(faces, inks):
        low, high = sorted(map(luminance, (face, ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def luminance(colour):
    """WCAG 2.2's relative luminance of #rrggbb."""
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear))


def test_tiles_of_one_rank_are_drawn():
    for rank in (1.0, 2.0, 3.0, 500.0):
        cell = {"x": 1.0, "y": 1.0, "type": "healthy", "rank": rank, "accuracy": 0.5, "tip": "", **PLAIN}
        assert f">{rank:.3g}</text>" in phase_diagram([cell], colour="rank", axes_names=("x", "y"))
