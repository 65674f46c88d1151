"""Write the page on the source paper, both twins and their figures."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.config.places import PAPER_PAGE
from study.paper.claims.judge import judge
from study.paper.copy_cost import read_copy_cost
from study.paper.kept_results import every_map, every_result, own_answers, read_failures, report_folder, write_own_report
from study.paper.page.build import build_view
from study.paper.page.measurements import Source, by_study
from study.paper.protocol import EARLIER
from study.paper.published import read_published
from study.reporting.panels.panel import Panel
from study.reporting.render import write_twins
from study.results.schema import StudyResults
from study.runs.code_digest import changed_definitions
from study.runs.identity import modules_of, training_code
from vicreg.files import write_atomically

WITH_FIGURES = ("losses", "longer", "map")  # sections of the view


def write_own_reports() -> None:
    """Write the report of each study that answers the paper under this profile.

    Raises:
        InputError: where results cannot be read or a report cannot be written.
    """
    for path in own_answers():
        write_own_report(path.parent, report_folder(path))


def write_page(page: Path = PAPER_PAGE, *, kept_only: bool = False) -> None:
    """Write both twins of the page, and their figures beside them, from every result there is or from the kept ones only.

    Raises:
        InputError: for results that are damaged, and where a file may not be written.
    """
    sources = [
        Source(results=results, links=_links(place, page), changed=tuple(changed_files(results)))
        for place, results in every_result(kept_only=kept_only)
    ]
    maps, published = every_map(kept_only=kept_only), read_published()
    rows = judge(by_study(sources), maps, published.source_paper)
    view = build_view(
        rows, sources, maps, published, read_failures(), cost=read_copy_cost(), in_git=kept_only
    )  # fmt: skip
    write_twins("source_paper", view, html=page, markdown=page.with_suffix(".md"))
    _write_figures(view, page.with_suffix(""))


def _links(place: Path, page: Path) -> dict[str, str]:
    """Return the addresses, seen from the page, of the report in a folder; nothing where there is none."""
    if not (place / "README.md").is_file():
        return {}
    where = Path(os.path.relpath(place, page.parent)).as_posix()
    html = "index.html" if (place / "index.html").is_file() else "README.md"  # git keeps the Markdown of a report alone
    return {"html": f"{where}/{html}", "markdown": f"{where}/README.md"}


def _write_figures(view: Mapping[str, Any], folder: Path) -> None:
    """Write the figures of the Markdown twin, one file each; those of an earlier page are removed."""
    for stale in folder.glob("*.svg"):
        stale.unlink()
    for section in WITH_FIGURES:
        figures: list[Panel] = view[section]["figures"] if view[section] else []
        for figure in figures:
            write_atomically(folder / f"{figure['name']}.svg", figure["svg"].encode())


def changed_files(results: StudyResults) -> list[str]:
    """Return the files of the code that trains which have changed since the results were made, with what changed in them."""
    today, recorded = training_code({**EARLIER, **results.recipe}["pretrain.method"]), results.identity
    if recorded is not None and recorded.code == today.root:
        return []
    before = recorded.definitions if recorded is not None else None
    return modules_of(changed_definitions(before or {}, today.definitions))
