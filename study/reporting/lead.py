"""The one figure that stands for a study."""

from collections.abc import Iterator

from study.reporting.panels.accuracy import accuracy_panel, forest_panels
from study.reporting.panels.panel import Panel
from study.reporting.panels.phase_diagram import phase_panels
from study.reporting.panels.search import search_panels
from study.reporting.panels.what_collapses import collapse_type_panels
from study.reporting.selection import shown_arms, trained_arms
from study.results.schema import StudyResults


def lead_figure(study: StudyResults) -> Panel | None:
    """Return the figure that a study's report shows first; None where nothing was measured.

    It is the types of a study about collapse, the phase diagram of a grid, the trials of a search, and else the forest plot.
    Where there is none, it is the accuracies.
    """
    return next(_figures(study), None)


def _figures(study: StudyResults) -> Iterator[Panel]:
    arms = shown_arms(study)
    trained = trained_arms(arms)
    yield from collapse_type_panels(study)
    yield from phase_panels(study, trained)
    yield from search_panels(study)
    yield from forest_panels(study, trained)
    if any(study.primary in arm.summary for arm in arms):
        yield accuracy_panel(study, arms, study.primary)
