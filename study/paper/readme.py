"""Quotes the answer of kept results in the README, with its figure."""

import re
from pathlib import Path

from study.analysis.read import read_analysed
from study.reporting.lead import lead_figure
from study.reporting.render import escaped
from study.reporting.selection import shown_arms
from study.reporting.view.first_screen import facts_of
from study.results.files import PACKED
from study.results.schema import StudyResults
from vicreg.errors import InputError
from vicreg.files import write_atomically

README = Path("README.md")
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
        f"**{escaped(results.question)}**\n\n> {escaped(results.answer)}\n\n"
        f"{shown}{_facts(results)} [The whole report]({folder}/README.md); no part of this is written by hand.\n"
    )


def _facts(results: StudyResults) -> str:
    """Return how far to trust the answer, in a line."""
    facts = [f"{term.lower()}: {text}" for term, text in facts_of(results, shown_arms(results))]
    return escaped(f"Measured on {results.data.dataset}, profile {results.profile}; {'; '.join(facts)}.")
