"""Find the pages that a report links to: all studies, the source paper, its own twin."""

import os
from dataclasses import dataclass
from pathlib import Path

from study.config.places import INDEX_PAGE, KEPT_RESULTS, PAPER_PAGE, REPORTS

PAGE, TWIN = "index.html", "README.md"
PAPER_TWIN = PAPER_PAGE.with_suffix(".md")


@dataclass(frozen=True, kw_only=True)
class Link:
    """The addresses of a page and of its Markdown twin, as seen from a report; either may be empty."""

    html: str = ""
    markdown: str = ""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Where a report leads: the page over all studies, the source paper's, its own page, and the page with the map."""

    home: Link = Link()
    paper: Link = Link()
    page: str = PAGE  # as seen from the twin; empty where the twin is kept without it
    map: Link | None = None  # None: the map is shown here


ALONE = Neighbours()


def neighbours_of(out: Path, *, map_page: Path | None = None) -> Neighbours:
    """Return the links of a report that is written to the folder `out`; `map_page` is the page that shows the map.

    What lies in `reports` leads to pages that `dvc repro` makes, be it after this one. Git keeps of `reports/measured` the
    Markdown alone. Anywhere else a report leads to the pages that are there.
    """
    map_link = None if map_page is None or _is_same(map_page.parent, out) else _twins(map_page, map_page.parent / TWIN, out)
    if _is_below(out, KEPT_RESULTS):
        kept = Link(markdown=_from(out, KEPT_RESULTS / PAPER_TWIN.name))
        return Neighbours(paper=kept, page="", map=map_link)
    if _is_below(out, REPORTS):
        home = _twins(INDEX_PAGE, INDEX_PAGE.parent / TWIN, out)
        return Neighbours(home=home, paper=_twins(PAPER_PAGE, PAPER_TWIN, out), map=map_link)
    beside = out.parent
    home = _existing(beside / PAGE, beside / TWIN, out)
    return Neighbours(home=home, paper=_existing(beside / PAPER_PAGE.name, beside / PAPER_TWIN.name, out), map=map_link)


def _twins(page: Path, twin: Path, out: Path) -> Link:
    return Link(html=_from(out, page), markdown=_from(out, twin))


def _existing(page: Path, twin: Path, out: Path) -> Link:
    return Link(html=_from(out, page) if page.is_file() else "", markdown=_from(out, twin) if twin.is_file() else "")


def _from(out: Path, path: Path) -> str:
    """Return the address of a file as seen from the folder `out`."""
    return Path(os.path.relpath(path, out)).as_posix()


def _is_below(out: Path, folder: Path) -> bool:
    return Path(os.path.abspath(folder)) in Path(os.path.abspath(out)).parents


def _is_same(one: Path, other: Path) -> bool:
    return os.path.abspath(one) == os.path.abspath(other)
