"""A view -> one self-contained HTML page and its Markdown twin."""

import re
from pathlib import Path

import jinja2
import markupsafe

from study.reporting import drawing
from vicreg.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"


def themed(figure):
    """An SVG for the page itself: its own ids, a name for screen readers, no fixed size, and the page's colours."""
    svg, name = figure["svg"], figure["name"]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" '
                 rf'role="img" aria-label="{markupsafe.escape(figure["title"])}">', svg, count=1)  # fmt: skip
    for colour, variable in (
        (drawing.INK, "ink"),
        (drawing.MUTED, "muted"),
        (drawing.GRID, "grid"),
        (drawing.PAPER, "paper"),
    ):
        svg = svg.replace(colour, f"var(--{variable})")
    return markupsafe.Markup(svg)


def escaped(text):
    """`text` for a line or a table cell of Markdown: nothing in it is markup."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", text)


def render(view, name="report"):
    """(HTML, Markdown) of a view, by the templates `<name>.html.j2` and `<name>.md.j2`."""
    options = {"loader": jinja2.FileSystemLoader(TEMPLATES), "undefined": jinja2.StrictUndefined, "trim_blocks": True,
               "lstrip_blocks": True, "keep_trailing_newline": True}  # fmt: skip
    html = jinja2.Environment(autoescape=True, **options)
    html.filters["themed"] = themed
    markdown = jinja2.Environment(autoescape=False, **options)
    markdown.filters["md"] = escaped
    return html.get_template(f"{name}.html.j2").render(view), markdown.get_template(f"{name}.md.j2").render(view)


def write(view, out):
    """Write index.html, README.md and figures/*.svg under `out`; figures of an earlier report are removed."""
    html, markdown = render(view)
    drawn = [figure for group in view["figures"].values() for figure in group] + (view["map"] or {"figures": []})["figures"]
    try:
        folder = Path(out) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.svg"):
            stale.unlink()
        for figure in drawn:
            (folder / f"{figure['name']}.svg").write_text(figure["svg"], encoding="utf-8", newline="\n")
        (Path(out) / "index.html").write_text(html, encoding="utf-8", newline="\n")
        (Path(out) / "README.md").write_text(markdown, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"--out must be a folder that can be written, but {out} is not ({error.strerror}).") from None
