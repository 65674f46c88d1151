"""Name the marks of a figure, and say which series each belongs to.

A mark of the SVG becomes a group with the class `mark`: its title is what a pointer on it shows, with no script, and its
`data-series` is what a legend of buttons switches on and off. Both travel through matplotlib in an artist's id.
"""

import re
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.collections import Collection

_FIELD, _ITEM = "\u241f", "\u241e"  # between a series and its text, and between marks: signs that no name holds
_DRAWN = re.compile(r"<defs>.*?</defs>|<(?:use|path)\b[^>]*/>", re.DOTALL)


def name_mark(artist: Artist, text: str, *, series: str = "") -> None:
    """Give an artist the text that a pointer on it shows, and the series that it belongs to."""
    artist.set_gid(f"mark {_packed(text, series)}")


def name_marks(collection: Collection, texts: Sequence[str], *, series: Sequence[str] | str = "") -> None:
    """Name each member of a collection, in the order in which it draws them; `series` is one of all, or one of each."""
    names = [series] * len(texts) if isinstance(series, str) else series
    collection.set_gid("marks " + _ITEM.join(_packed(text, name) for text, name in zip(texts, names)))


def mark_key(artist: Artist) -> None:
    """Say that an artist is the figure's legend, which buttons take the place of where there are scripts."""
    artist.set_gid("key")


def _packed(text: str, series: str) -> str:
    fields = (" ".join(part.replace(_FIELD, " ").replace(_ITEM, " ").split()) for part in (series, text))
    return _FIELD.join(fields)


def write_marks(svg: str) -> str:
    """Return the SVG with its named marks as groups, each with its title and series."""
    svg = svg.replace('<g id="key">', '<g class="key">')
    svg = re.sub(r'<g id="mark (.*?)">', lambda found: _opening(found[1]), svg)
    parts, place = [], 0
    for found in re.finditer(r'<g id="marks (.*?)">', svg):
        parts += [svg[place : found.start()], "<g>"]
        place = found.end()
        packed = found[1].split(_ITEM)
        group = svg[place : _end_of_group(svg, place)]
        drawn = [one for one in _DRAWN.finditer(group) if not one[0].startswith("<defs")]
        if len(drawn) != len(packed):  # one that is not drawn, as zero on a logarithmic axis, would shift all names
            continue
        for one, names in zip(drawn, packed):
            start = found.end() + one.start()
            parts += [svg[place:start], _opening(names), one[0], "</g>"]
            place = start + len(one[0])
    return "".join([*parts, svg[place:]])


def _end_of_group(svg: str, start: int) -> int:
    """Return where the group ends whose content starts at `start`."""
    depth = 1
    for tag in re.compile(r"<g\b|</g>").finditer(svg, start):
        depth += 1 if tag[0] == "<g" else -1
        if depth == 0:
            return tag.start()
    return len(svg)


def _opening(packed: str) -> str:
    """Return the start of a mark's group; the text is escaped already."""
    series, _, text = packed.partition(_FIELD)
    named = f' data-series="{series}"' if series else ""
    return f'<g class="mark"{named}>' + (f"<title>{text}</title>" if text else "")
