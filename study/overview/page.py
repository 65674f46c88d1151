"""Writes the page over all studies and its Markdown twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.overview.view import build_view, report_links
from study.reporting.render import write_twins
from study.results.certificate import read_certificate
from study.results.files import FILE, read_results
from study.spec.study_file import STUDIES, load_study
from study.verification.freshness import freshness
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many runs finished, whether results are current, and the studies left out: params.yaml does not name them."""

    finished: str
    state: str
    left_out: tuple[str, ...]


def studies_with_results(folder: Path) -> list[str]:
    """Return the names of the studies that have results in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def write_page(
    *, html: Path, markdown: Path, results: Path, reports: Path, certificates: Path, store: Path, profile: str,
    wanted: Sequence[str], promised: Sequence[str] = (),
) -> Written:  # fmt: skip
    """Write both pages over the studies `wanted` that have results of a profile.

    Args:
        html, markdown: where the pages are written.
        results: folder of the studies' results.
        reports: folder of their reports, which the pages link to.
        certificates: folder of what `study.verify` wrote.
        store: folder of finished runs, which says what is stale.
        profile: of params.yaml. Results of another are named and left out.
        wanted: names of studies, the one of most interest first. Results of others are left out.
        promised: studies whose report is made after this page, so that it links to them as to those that are there.

    Raises:
        InputError: where a file cannot be read or written.
    """
    found = studies_with_results(results)
    every = [read_results(results / name) for name in wanted if name in found]
    shown = [one for one in every if one.profile == profile]
    read = [read_certificate(certificates / f"{name}.json") for name in sorted(wanted)]
    linked = [name for name in wanted if name in promised or (reports / name / "index.html").is_file()]
    view = build_view(
        shown,
        profile=profile,
        elsewhere=[one.study for one in every if one.profile != profile],
        wanted=wanted,
        certificates={one.study: one for one in read if one is not None},
        checked={one.study: freshness(one, store=store) for one in shown},
        links=report_links(linked, reports, html.parent),
        headlines=headlines_of(wanted),
    )
    write_twins("index", view, html=html, markdown=markdown)
    left_out = tuple(name for name in found if name not in wanted)
    return Written(finished=view["finished"], state=view["state"], left_out=left_out)


def headlines_of(studies: Sequence[str], *, folder: Path = STUDIES) -> dict[str, str]:
    """Return study -> the short question that its file gives; nothing for a file that gives none, is gone or is wrong."""
    found = {}
    for name in studies:
        try:
            headline = load_study(name, folder=folder).headline
        except InputError:  # `study.check` and the study's own command say what is wrong
            continue
        if headline is not None:
            found[name] = headline
    return found
