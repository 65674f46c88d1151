"""Pages beside the reports: an HTML page and its Markdown twin from one view, in the reports' style."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.reporting.formatting import figure_of, verdict_view
from study.reporting.render import render
from vicreg.files import write_atomically


def write_twins(name: str, view: Mapping[str, Any], *, html: Path, markdown: Path) -> None:
    """Renders the templates `<name>.html.j2` and `<name>.md.j2`; the same view always gives the same bytes.

    Raises:
        InputError: where a file may not be written.
    """
    page, text = render(view, name)
    write_atomically(html, page.encode())
    write_atomically(markdown, text.encode())


def percent(share: float | None, sd: float | None = None) -> str:
    """`96.10 ± 0.40`: a share in percent, with its standard deviation over seeds where there is one."""
    return figure_of(share, ".2f", 100) + (f" ± {figure_of(sd, '.2f', 100)}" if sd is not None else "")


def points(share: float | None) -> str:
    """A difference of shares in percentage points, with its sign: `+0.28`, and `0.00` for none."""
    return figure_of(share, "+.2f" if share is not None and abs(share) >= 5e-5 else ".2f", 100)


def badge(verdict: str | None, status: str) -> dict[str, str]:
    """A run's verdict, or its status where it has none, as pages show one: name, sign and class of style."""
    view = verdict_view({"name": verdict or status})
    return {"name": view["name"], "sign": view["sign"], "style": view["known"]}


def many(words: Sequence[str], *, most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
