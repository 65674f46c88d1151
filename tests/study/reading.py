"""What a reader sees of a report: headings, paragraphs, tables and figures of both twins, as text."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

BLOCKS = {"h1", "h2", "h3", "p", "li", "pre", "summary", "dt", "dd", "figcaption", "th", "td"}
UNREAD = {"svg", "script", "style", "canvas"}  # what is drawn, and what is for machines
VOID = {"meta", "br", "link", "img", "input"}


@dataclass(kw_only=True)
class Read:
    """`tables` are lists of rows of cells; `places` are what stands where: the kinds of all blocks in their order."""

    headings: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)  # paragraphs, points of lists, code
    tables: list[list[list[str]]] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)  # their titles
    places: list[tuple[str, str]] = field(default_factory=list)


def clean(text: str) -> str:
    """Without the sign that asks for a character to be drawn as text, and with single spaces."""
    return " ".join(text.replace("\ufe0e", "").split())


class _Page(HTMLParser):
    """Reads a page, and sees that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.open, self.text, self.term = Read(), [], {}, ""
        self.attributes: list[tuple[str, Mapping[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        self.attributes.append((tag, dict(attributes)))
        if tag == "br":
            self.handle_data(" ")
        if tag in VOID or tag == "path":  # an SVG's empty elements are closed by themselves
            return
        self.open.append(tag)
        if tag in BLOCKS:
            self.text[len(self.open)] = []
        if tag == "table":
            self.read.tables.append([])
            self.read.places.append(("table", ""))
        if tag == "tr":
            self.read.tables[-1].append([])

    def handle_startendtag(self, tag, attributes):
        self.attributes.append((tag, dict(attributes)))

    def handle_data(self, data):
        if UNREAD & set(self.open):
            return
        for parts in self.text.values():
            parts.append(data)

    def handle_endtag(self, tag):
        if tag == "path":
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        if tag in BLOCKS:
            self._end(tag, clean("".join(self.text.pop(len(self.open)))))
        self.open.pop()

    def _end(self, tag, text):
        if tag in ("th", "td"):
            self.read.tables[-1][-1].append(text)
        elif tag == "figcaption":
            self.read.figures.append(text)
        elif tag in ("h1", "h2", "h3"):
            self.read.headings.append((int(tag[1]), text))
        elif tag == "dt":
            self.term = text
        else:
            self.read.blocks.append(f"{self.term}: {text}" if tag == "dd" else text)
        self.read.places.append((tag, text))


def read_html(page: str) -> Read:
    return parse(page).read


def parse(page: str) -> _Page:
    """The page as parsed; fails where an element is not closed."""
    reader = _Page()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def read_markdown(text: str) -> Read:
    """The Markdown that the report's template writes, which is not all there is."""
    read, lines, code = Read(), text.splitlines(), False
    table: list[list[str]] | None = None
    for line in lines:
        if line.startswith("```"):
            code = not code
            continue
        if line.startswith("|") and not code:
            if table is None:
                table = []
                read.tables.append(table)
                read.places.append(("table", ""))
            cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
            if not all(re.fullmatch(r" -+ ", cell) for cell in cells):
                table.append([plain(cell) for cell in cells])
            continue
        table = None
        _block(read, line, code=code)
    return read


def _block(read: Read, line: str, *, code: bool) -> None:
    if not line.strip():
        return
    if code:
        kind, text = "pre", clean(line)
    elif heading := re.match(r"(#{1,3}) (.*)", line):
        kind, text = f"h{len(heading[1])}", plain(heading[2])
        read.headings.append((len(heading[1]), text))
        read.places.append((kind, text))
        return
    elif picture := re.match(r"!\[(.*)\]\(figures/[^)]*\)$", line):
        read.figures.append(plain(picture[1]))
        return
    else:
        kind, text = "p", plain(re.sub(r"^(> )?(⚠ )?([-*] )?", "", line))
    read.blocks.append(text)
    read.places.append((kind, text))


def plain(text: str) -> str:
    """A line of Markdown as it is read: without emphasis, code marks, links and escapes."""
    text = re.sub(r"<br>|</?details>|</?summary>", " ", text)
    text = re.sub(r"(?<!\\)(\*\*|`)", "", text)
    text = re.sub(r"(?<!\\)\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return clean(html.unescape(re.sub(r"\\([\\`*_{}\[\]|#~$])", r"\1", text)))
