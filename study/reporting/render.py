"""Render a view as one self-contained HTML page and its Markdown twin."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from study.reporting.palette import COLLAPSE_TYPES, GRID, INK, MUTED, PAPER
from study.reporting.panels.panel import Panel
from vicreg.files import write_atomically

TEMPLATES = Path(__file__).parent / "templates"
VARIABLES = ((INK, "ink"), (MUTED, "muted"), (GRID, "grid"), (PAPER, "paper"))  # of the page's style sheet


def themed(figure: Panel) -> markupsafe.Markup:
    """Return an SVG for the page itself: ids of its own, a name for screen readers, no fixed size, the page's colours."""
    svg, name = figure["svg"], figure["name"]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    label = markupsafe.escape(figure["title"])
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda found: f'<svg viewBox="{found[1]}" role="img" aria-label="{label}">',
        svg, count=1,
    )  # fmt: skip
    for colour, variable in VARIABLES:
        svg = svg.replace(colour, f"var(--{variable})")
    return markupsafe.Markup(svg)


def slug(text: object) -> str:
    """Return `text` for an id or a key: its letters and digits in small letters, hyphens between."""
    return re.sub(r"[^\w]+|_", "-", str(text).lower()).strip("-") or "none"


def unique(names: Iterable[object], prefix: str = "") -> list[str]:
    """Return a slug of each name, after `prefix`; equal ones are numbered, so that no two are alike."""
    taken: dict[str, int] = {}
    made = []
    for name in names:
        own = slug(name)
        taken[own] = taken.get(own, 0) + 1
        while taken[own] > 1 and f"{own}-{taken[own]}" in taken:
            taken[own] += 1
        numbered = own if taken[own] == 1 else f"{own}-{taken[own]}"
        taken.setdefault(numbered, 1)
        made.append(prefix + numbered)
    return made


def raw(text: object) -> str:
    """Return the number behind a formatted one to six digits, for scripts that sort and copy; empty where it is missing."""
    value = getattr(text, "value", None)
    return "" if value is None else f"{value:.6g}"


def heading_anchor(text: object) -> str:
    """Return the anchor that GitHub gives a heading of Markdown."""
    return re.sub(r"[^\w\- ]", "", str(text).lower()).replace(" ", "-")


def escaped(text: object) -> str:
    """Return `text` for a line or a table cell of Markdown: nothing in it is markup."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", line)


def code(text: object) -> str:
    """Return `text` as a code span of Markdown, whatever it holds."""
    line = " ".join(str(text).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if "`" in line else ""  # a backtick may not touch the fence
    return f"{fence}{room}{line}{room}{fence}"


def code_in_cell(text: object) -> str:
    """Return `text` as a code span for a table cell of Markdown, where a bar in a code span ends the cell too."""
    return code(text).replace("|", r"\|")


def render(view: Mapping[str, Any], name: str = "report") -> tuple[str, str]:
    """Return (HTML, Markdown) of a view, by the templates `<name>.html.j2` and `<name>.md.j2`."""
    html, markdown = _environment(autoescape=True), _environment(autoescape=False)
    html.filters |= {"themed": themed, "slug": slug, "raw": raw}
    html.globals |= {"unique": unique, "collapse_types": COLLAPSE_TYPES}
    markdown.filters |= {"md": escaped, "code": code, "code_cell": code_in_cell, "heading": heading_anchor}
    return html.get_template(f"{name}.html.j2").render(view), markdown.get_template(f"{name}.md.j2").render(view)


def _environment(*, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=autoescape, loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def write_twins(name: str, view: Mapping[str, Any], *, html: Path, markdown: Path) -> None:
    """Write the pages of a view by the templates `<name>.html.j2` and `<name>.md.j2`; equal views give equal bytes.

    Raises:
        InputError: where a file may not be written.
    """
    page, text = render(view, name)
    write_atomically(html, page.encode())
    write_atomically(markdown, text.encode())
