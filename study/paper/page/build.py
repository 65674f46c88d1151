"""Build the view of the page, formatted once for both twins."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.paper.copy_cost import CopyCost
from study.paper.judged import Judged
from study.paper.page.claims import copies_of, groups_of, protocols_of
from study.paper.page.commands import missing_commands
from study.paper.page.copies import cost_text
from study.paper.page.figures import longer_section, losses_section, map_section
from study.paper.page.measurements import Source, by_study, measurement_view, used_sources, warnings_of
from study.paper.page.published_results import field_view
from study.paper.page.standing import counts_of, first_step, next_commands, numbers_of, standing_text, tried_text
from study.paper.page.unstated import silent_rows
from study.paper.published import Published
from study.projection.results import Projection
from study.reporting.format import without_paths


def build_view(
    rows: Sequence[Judged], sources: Sequence[Source], maps: Sequence[Projection], published: Published,
    failures: Mapping[str, str], *, cost: CopyCost | None = None, in_git: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return everything both pages print: strings, lists and dicts.

    Args:
        rows: the judged claims.
        sources: all results, of whatever profile.
        maps: t-SNE projections with the data and the recipe of their run.
        published: the published numbers.
        failures: study -> why it could not be run this time, in a sentence.
        cost: what a copy of the images may cost; None where it is not measured.
        in_git: whether git keeps the Markdown of the page alone, so that it has no twin and no index to link to.
    """
    paper, cost = published.source_paper, cost or CopyCost()
    protocols = protocols_of(rows)
    used, found = used_sources(rows, sources), by_study(sources)
    return {
        "source": paper.source,
        "in_git": in_git,
        "answer": standing_text(rows),
        "first": first_step(rows),
        "next": next_commands(rows),
        "tried": tried_text(rows),
        "counts": counts_of(rows),
        "numbers": numbers_of(rows),
        "warnings": warnings_of(used),
        "copies": [(copy, cost_text(copy, cost)) for copy in copies_of(rows)],
        "failures": [f"{study}: {without_paths(why)}" for study, why in sorted(failures.items())],
        "groups": groups_of(rows, paper, protocols, found, cost),
        "protocols": [(letter, [one.text for one in deviations]) for deviations, letter in protocols.items()],
        "missing": missing_commands(rows),
        "silent": silent_rows(paper, found),
        "losses": losses_section(found, paper),
        "longer": longer_section(found),
        "map": map_section(maps, paper),
        "field": field_view(published.field, found),
        "used": [measurement_view(source) for source in used],
    }
