"""Quotes the answer of kept results in the README, with its figure."""

import re
from pathlib import Path

from study.analysis.read import read_analysed
from study.config.places import KEPT_RESULTS
from study.projection.results import FILE as MAP
from study.reporting.lead import lead_figure
from study.reporting.render import escaped
from study.reporting.selection import shown_arms
from study.reporting.view.first_screen import facts_of, found_text
from study.results.files import PACKED
from study.results.schema import StudyResults
from vicreg.errors import InputError
from vicreg.files import write_atomically

README = Path("README.md")
_KEPT = re.compile(r"(<!-- kept reports -->\n).*?(<!-- end of kept reports -->)", re.DOTALL)
_QUOTED = re.compile(r"(<!-- answer of (\S+) -->\n).*?(<!-- end of answer -->)", re.DOTALL)


def update_readme(path: Path = README) -> bool:
    """Write the answers that a document quotes anew, and return whether any has changed; False without a document.

    A quotation stands between `<!-- answer of FOLDER -->` and `<!-- end of answer -->`; FOLDER is that of a kept report.

    Raises:
        InputError: where the document names results that are not kept, or may not be written.
    """
    if not path.is_file():
        return False
    before = path.read_text(encoding="utf-8")
    after = _QUOTED.sub(lambda found: f"{found[1]}{quotation(path.parent, found[2])}{found[3]}", before)
    after = _KEPT.sub(lambda found: f"{found[1]}{kept_reports(path.parent)}{found[2]}", after)
    if after != before:
        write_atomically(path, after.encode())
    return after != before


def quotation(root: Path, folder: str) -> str:
    """Return the question, the answer, how sure it is and the figure of the kept results whose report is in a folder.

    Raises:
        InputError: where there are none.
    """
    kept = root / f"{folder}{PACKED}"
    if not kept.is_file():
        raise InputError(f"{README} must quote results that are kept, but {folder}{PACKED} is not there; correct the name.")
    results = read_analysed(kept)
    figure = lead_figure(results)
    shown = f"![{escaped(figure['title'])}]({folder}/figures/{figure['name']}.svg)\n\n" if figure else ""
    return (
        f"**{escaped(results.question)}**\n\n> {escaped(results.answer)}\n\n{escaped(found_text(results))}\n\n"
        f"{shown}{_facts(results)} [The whole report]({folder}/README.md); no part of this is written by hand.\n"
    )


def kept_reports(root: Path) -> str:
    """Return a table of all kept reports of studies: each with its seeds and its answer."""
    rows = []
    for kept in sorted((root / KEPT_RESULTS).glob(f"*/*{PACKED}")):
        if kept.name == f"{MAP}.xz":
            continue
        results = read_analysed(kept)
        facts = dict(facts_of(results, shown_arms(results)))
        link = f"[{results.study}]({(KEPT_RESULTS / kept.parent.name / results.study).as_posix()}/README.md)"
        rows.append(f"| {link} | {results.profile} | {escaped(facts['Seeds'])} | {escaped(results.answer)} |")
    return "\n".join(["| report | profile | seeds | answer |", "|:--|:--|:--|:--|", *rows, ""])


def _facts(results: StudyResults) -> str:
    """Return how far to trust the answer, in a line."""
    facts = [f"{term.lower()}: {text}" for term, text in facts_of(results, shown_arms(results))]
    return escaped(f"Measured on {results.data.dataset}, profile {results.profile}; {'; '.join(facts)}.")
