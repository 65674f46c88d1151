"""All figures of a report, in the groups that its sections show."""

from collections.abc import Sequence

from study.reporting.figures.curves import MANY_ARMS
from study.reporting.inputs import ProbePoint
from study.reporting.panels.accuracy import accuracy_panel, forest_panels, path_panels
from study.reporting.panels.classes import class_panels
from study.reporting.panels.curves import MANY_METHODS, collapse_panels, loss_panels, probe_panels, spectrum_panels
from study.reporting.panels.methods import loss_panels_by_method, plane_panels, similarity_panels
from study.reporting.panels.panel import Panel
from study.reporting.panels.phase_diagram import phase_panels
from study.reporting.panels.predictors import predictor_panels
from study.reporting.panels.search import search_panels
from study.reporting.panels.what_collapses import collapse_type_panels
from study.reporting.selection import shown_arms, trained_arms
from study.results.schema import StudyResults
from study.results.timing import NO_TIMING, Timing


def groups_of(
    study: StudyResults, measures: Sequence[str], curves: Sequence[ProbePoint] = (), timing: Timing = NO_TIMING
) -> dict[str, list[Panel]]:
    """Return the figures of a study by group.

    Args:
        study: the results.
        measures: probes whose accuracies are shown beside the primary one's.
        curves: the linear protocol epoch by epoch.
        timing: what the runs took.
    """
    arms = shown_arms(study)
    trained = trained_arms(arms)
    return {
        "forest": forest_panels(study, trained),
        "accuracy": [accuracy_panel(study, arms, name) for name in dict.fromkeys([study.primary, *measures])],
        "design": [*collapse_type_panels(study), *phase_panels(study, trained), *search_panels(study), *path_panels(study)],
        "loss": loss_panels(study, trained),
        "losses": [panel for _, panels in loss_panels_by_method(study, trained) for panel in panels],
        "methods": plane_panels(study, trained, timing),
        "similarity": similarity_panels(study),
        "collapse": collapse_panels(arms, trained, of_methods=study.methods is not None),
        "spectra": spectrum_panels(arms, most_named=MANY_METHODS if study.methods else MANY_ARMS),
        "predictors": predictor_panels(study),
        "probe": probe_panels(curves),
        "classes": class_panels(study),
    }
