"""Writes the page over all studies and its Markdown twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.overview.view import build_view, report_links
from study.reporting.render import write_twins
from study.results.certificate import read_certificate
from study.results.files import FILE, read_results
from study.verification.freshness import freshness


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a page says, in short, and the studies it leaves out because params.yaml does not name them."""

    answer: str
    state: str
    left_out: tuple[str, ...]


def studies_with_results(folder: Path) -> list[str]:
    """Return the names of the studies that have results in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def write_page(
    *, html: Path, markdown: Path, results: Path, reports: Path, certificates: Path, store: Path, profile: str,
    wanted: Sequence[str],
) -> Written:  # fmt: skip
    """Write both pages over the studies `wanted` that have results of a profile.

    Args:
        html, markdown: where the pages are written.
        results: folder of the studies' results.
        reports: folder of their reports, which the pages link to.
        certificates: folder of what `study.verify` wrote.
        store: folder of finished runs, which says what is stale.
        profile: of params.yaml. Results of another are named and left out.
        wanted: names of studies. Results of others are left out.

    Raises:
        InputError: where a file cannot be read or written.
    """
    found = studies_with_results(results)
    every = [read_results(results / name) for name in found if name in wanted]
    shown = [one for one in every if one.profile == profile]
    read = [read_certificate(certificates / f"{name}.json") for name in sorted(wanted)]
    view = build_view(
        shown,
        profile=profile,
        elsewhere=[one.study for one in every if one.profile != profile],
        wanted=wanted,
        certificates={one.study: one for one in read if one is not None},
        checked={one.study: freshness(one, store=store) for one in shown},
        links=report_links(wanted, reports, html.parent),
    )
    write_twins("index", view, html=html, markdown=markdown)
    left_out = tuple(name for name in found if name not in wanted)
    return Written(answer=view["answer"], state=view["state"], left_out=left_out)
