"""Write a study's report: its page, its Markdown and its figures."""

from pathlib import Path

from study.reporting.inputs import Sources, read_inputs
from study.reporting.neighbours import neighbours_of
from study.reporting.panels.panel import Panel
from study.reporting.render import render
from study.reporting.view.build import View, build_view
from study.reporting.written import figures_in
from vicreg.errors import InputError


def write_report(sources: Sources, out: Path, *, map_page: Path | None = None) -> None:
    """Read what a report is made from, and write it to the folder `out`.

    Where `map_page` is the page of another report, that one shows the map of the baseline, and this one links to it.

    Raises:
        InputError: for a file that is missing or malformed, and where `out` may not be written.
    """
    write_view(build_view(read_inputs(sources), neighbours_of(out, map_page=map_page)), out)


def write_view(view: View, out: Path) -> None:
    """Write index.html, README.md and figures/*.svg to the folder `out`; figures of the report that was there are removed.

    Raises:
        InputError: where `out` may not be written.
    """
    html, markdown = render(view)
    try:
        folder = out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for stale in figures_in(out):
            stale.unlink(missing_ok=True)
        for figure in figures_of(view):
            (folder / f"{figure['name']}.svg").write_text(figure["svg"], encoding="utf-8", newline="\n")
        (out / "index.html").write_text(html, encoding="utf-8", newline="\n")
        (out / "README.md").write_text(markdown, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"--out must be a folder that can be written, but {out} is not ({error.strerror}).") from None


def figures_of(view: View) -> list[Panel]:
    """Return every figure of a report, those of its map among them."""
    return [figure for group in view["figures"].values() for figure in group] + (view["map"] or {"figures": []})["figures"]
